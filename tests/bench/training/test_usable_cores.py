"""The cores of a rank: shared affinities, and quotas of control groups as the kernel's files tell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.training.usable_cores import container_quota, fair_share


@pytest.mark.parametrize(
    ("affinity", "everyone", "cores"),
    [
        ([0, 1], [[0, 1]], 2.0),
        ([0, 1], [[0, 1], [0, 1]], 1.0),
        ([0], [[0], [1]], 1.0),  # bound: each has its own
        ([0, 1], [[0, 1]] * 4, 0.5),  # more ranks than cores
        ([0, 1], [[0, 1], [1]], 1.5),
    ],
)
def test_a_core_is_shared_by_the_ranks_that_may_run_on_it(affinity: list[int], everyone: list[list[int]], cores: float) -> None:
    assert fair_share(affinity, everyone) == cores


def written(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_least_quota_of_version_2_from_the_group_upwards(tmp_path: Path) -> None:
    """A pod's quota binds its containers: it lies above the group that the process is in."""
    membership = tmp_path / "membership"
    membership.write_text("0::/pod/container\n")
    written(tmp_path / "v2/pod/container", cpu__max="max 100000\n")
    written(tmp_path / "v2/pod", cpu__max="150000 100000\n")
    assert container_quota(tmp_path / "v2", membership) == 1.5
    written(tmp_path / "v2/pod/container", cpu__max="50000 100000\n")
    assert container_quota(tmp_path / "v2", membership) == 0.5


def test_quotas_of_version_1_beside_an_empty_version_2(tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    membership.write_text("5:memory:/job\n4:cpu,cpuacct:/job\n0::/\n")
    written(tmp_path / "v1/memory/job", cpu__cfs_quota_us="1\n", cpu__cfs_period_us="100000\n")  # not the processor's
    written(tmp_path / "v1/cpu,cpuacct/job", cpu__cfs_quota_us="25000\n", cpu__cfs_period_us="100000\n")
    written(tmp_path / "v1/unified")
    assert container_quota(tmp_path / "v1", membership) == 0.25
    written(tmp_path / "v1/cpu,cpuacct/job", cpu__cfs_quota_us="-1\n")
    assert container_quota(tmp_path / "v1", membership) is None


def test_without_control_groups_no_quota_is_known(tmp_path: Path) -> None:
    assert container_quota(tmp_path, tmp_path / "missing") is None
    membership = tmp_path / "membership"
    membership.write_text("0::/nowhere\n")
    assert container_quota(tmp_path, membership) is None
