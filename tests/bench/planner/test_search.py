"""Everything is looked at once, the best comes first, and its command line runs just that."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from bench.cluster.rank_hosts import hosts_of
from bench.planner import __main__ as planner
from bench.planner import search as searching
from bench.planner.search import SearchResult, compositions, meshes, orders, participants, search
from bench.point import hydra_compose, resolved_point
from bench.prediction.cluster_profile import load
from strategies.base import get
from strategies.plan.shapes import MeshShape
from tests.bench.prediction import made_profiles as made


@pytest.fixture
def searched(tmp_path: Path):  # type: ignore[no-untyped-def]
    """What a cluster of boards of these speeds could do, and what it was asked of."""

    def run(*speeds: float, **changes: Any) -> tuple[SearchResult, dict[str, Any], list[str]]:
        overrides = made.cluster(tmp_path, *speeds)
        path = made.written(tmp_path, overrides, speeds, **changes)
        plain = made.composed(*overrides, f"planner.profile={path}")
        point = planner.whole_cluster(plain)
        return search(point, load(path, point), plain), point, [*overrides, f"planner.profile={path}"]

    return run


def test_boards_of_one_class_are_interchangeable(tmp_path: Path) -> None:
    """Two of one class and one of another: 3 x 2 choices without none."""
    overrides = made.cluster(tmp_path, 1.0, 1.0, 2.0)
    path = made.written(tmp_path, overrides, (1.0, 1.0, 2.0))
    point = made.resolved(tmp_path, *overrides)
    taken = [[host.address for host in hosts] for hosts in participants(point, load(path, point))]
    assert sorted(taken) == [["pi-1"], ["pi-1", "pi-2"], ["pi-1", "pi-2", "pi-3"], ["pi-1", "pi-3"], ["pi-3"]]


def test_of_many_boards_the_fastest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six choices are more than five: the fastest, the two fastest, all."""
    overrides = made.cluster(tmp_path, 1.0, 1.0, 2.0)
    path = made.written(tmp_path, overrides, (1.0, 1.0, 2.0))
    point = made.resolved(tmp_path, *overrides)
    monkeypatch.setattr(searching, "MOST_CHOICES", 5)
    taken = [[host.address for host in hosts] for hosts in participants(point, load(path, point))]
    assert taken == [["pi-3"], ["pi-1", "pi-3"], ["pi-1", "pi-2", "pi-3"]]


def test_orders_differ_by_class(tmp_path: Path) -> None:
    overrides = made.cluster(tmp_path, 1.0, 1.0, 2.0)
    path = made.written(tmp_path, overrides, (1.0, 1.0, 2.0))
    point = made.resolved(tmp_path, *overrides)
    hosts = list(participants(point, load(path, point)))[-1]
    found = {tuple(host.address for host in order) for order in orders(hosts, load(path, point))}
    assert found == {("pi-1", "pi-2", "pi-3"), ("pi-1", "pi-3", "pi-2"), ("pi-3", "pi-1", "pi-2")}


def test_meshes_and_compositions() -> None:
    assert list(meshes(get("data"), 4)) == [MeshShape(data=4)]
    found = list(meshes(get("hybrid"), 4))
    assert MeshShape(pipeline=2, data=2) in found
    assert all(mesh.size == 4 and sum(size > 1 for size in mesh.dims) == 2 for mesh in found)
    assert len(found) == 6
    assert sorted(compositions(3)) == [[1, 1, 1], [1, 2], [2, 1], [3]]


def test_the_best_come_first(searched) -> None:  # type: ignore[no-untyped-def]
    found, _, _ = searched(1.0, 2.0)
    names = {candidate.strategy for candidate in found.candidates}
    assert {"single", "data", "sequence", "tensor", "pipeline"} <= names
    steps = [candidate.prediction.step_s for candidate in found.best("time")]
    assert steps == sorted(steps)
    joules = [candidate.prediction.per_sample_J for candidate in found.best("energy")]
    assert joules == sorted(joules)  # type: ignore[type-var]
    limit = steps[len(steps) // 2]
    assert all(candidate.prediction.step_s <= limit for candidate in found.best("energy", limit))
    assert found.best("energy", 1e-9) == []
    front = found.front()
    for candidate in found.candidates:  # nothing beats one of the front in both
        for best in front:
            assert candidate.prediction.step_s >= best.prediction.step_s or candidate.cost("energy") >= best.cost("energy")


def test_planned_shares_beat_even_ones_on_unequal_boards(searched) -> None:  # type: ignore[no-untyped-def]
    found, _, _ = searched(1.0, 4.0)
    data = [c for c in found.best("time") if c.strategy == "data"]
    assert [dict(c.options) for c in data] == [{"shares": [6, 26]}, {}]  # 26 / 4 is less than 7


def test_equal_boards_have_no_other_shares_of_samples(searched) -> None:  # type: ignore[no-untyped-def]
    found, _, _ = searched(1.0, 1.0)
    assert [dict(c.options) for c in found.candidates if c.strategy == "data"] == [{}]


def test_the_command_line_is_what_was_priced(searched, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """All ways of three boards: composed again, each gives the same hosts in the same order, and the same prediction."""
    found, _, overrides = searched(1.0, 1.0, 2.0)
    inventory = [f"pi-{n}" for n in (1, 2, 3)]
    chosen = [*found.best("time")[:12], *found.best("energy")[:4], found.best("time")[-1]]
    assert any(len(c.hosts) < 3 for c in chosen)
    assert any(c.strategy == "pipeline" for c in chosen)
    for candidate in chosen:
        words = candidate.words(inventory, overrides)
        assert not any(word.startswith("planner.") for word in words)
        again = made.resolved(tmp_path, overrides[-1], *words)
        assert hosts_of(again) == list(candidate.hosts)
        assert again.mesh == candidate.mesh
        assert again.predicted["step_s"] == pytest.approx(candidate.prediction.step_s, rel=1e-12), words
        assert again.predicted["step_J"] == pytest.approx(candidate.prediction.step_J, rel=1e-12)


def test_the_command_lines_keep_what_was_planned_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two of three hosts, the other way round, another batch, no thread beside: each printed line gives what was priced."""
    cluster = made.cluster(tmp_path, 1.0, 2.0, 2.0)
    profile = f"planner.profile={made.written(tmp_path, cluster, (1.0, 2.0, 2.0))}"
    given = ("cluster.hosts=[pi-1,pi-3]", "cluster.order=reverse", "train.batch=24", "comm.progress=inline")
    words = ["model=gpt2-tiny", "task=lm", "energy=none", cluster[0], profile, *given]
    assert planner.main(["plan", "planner.top=20", *words]) == 0
    lines = [
        line.split(": python -m bench ")[1] for line in capsys.readouterr().out.splitlines() if ": python -m bench " in line
    ]
    point = planner.whole_cluster(hydra_compose.composed(words))
    found = search(point, load(Path(profile.split("=")[1]), point), hydra_compose.composed(words)).best("time")
    assert len(lines) == min(20, len(found))
    for line, candidate in zip(lines, found, strict=False):
        again = resolved_point.resolve(hydra_compose.composed([*shlex.split(line), profile]), None, tmp_path / "results")
        assert again.train.batch == 24
        assert hosts_of(again) == list(candidate.hosts)
        assert again.predicted["step_s"] == pytest.approx(candidate.prediction.step_s, rel=1e-12), line


def test_the_all_reduce_that_the_profile_found_fastest(tmp_path: Path) -> None:
    """The library's took three times as long as the ring: worth a word where there is an all-reduce, and only there."""
    overrides = made.cluster(tmp_path, 1.0, 1.0)
    path = made.written(tmp_path, overrides, (1.0, 1.0))
    values = json.loads(path.read_text())
    values["all_reduce"] = {"mpi": [[1_000_000, 0.036]], "ring": [[1_000_000, 0.012]]}
    path.write_text(json.dumps(values))
    automatic = made.composed(*overrides, f"planner.profile={path}")
    plain = made.composed(*overrides, f"planner.profile={path}", "comm.all_reduce=mpi")
    point = planner.whole_cluster(plain)
    found = search(point, load(path, point), plain)
    by_strategy = {candidate.strategy: candidate for candidate in found.candidates}
    assert by_strategy["data"].all_reduce == "ring"
    assert by_strategy["server"].all_reduce is None
    words = by_strategy["data"].words(["pi-1", "pi-2"], [*overrides, "comm.all_reduce=mpi"])
    assert "comm.all_reduce=ring" in words
    again = made.resolved(tmp_path, f"planner.profile={path}", *words)
    assert again.predicted["step_s"] == pytest.approx(by_strategy["data"].prediction.step_s, rel=1e-12)
    # auto will find the ring itself: priced like it, and no word is needed.
    auto = {one.strategy: one for one in search(point, load(path, point), automatic).candidates}["data"]
    assert auto.all_reduce is None
    assert auto.prediction.step_s == pytest.approx(by_strategy["data"].prediction.step_s, rel=1e-12)


def test_what_does_not_fit_is_told(searched, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    found, _, overrides = searched(1.0, 1.0, memory_bytes=2**28)
    assert found.candidates == []
    assert found.over
    assert planner.main(["plan", "model=gpt2-tiny", "task=lm", "energy=none", *overrides]) == 1
    printed = capsys.readouterr().out
    assert "none of 0 ways fits" in printed
    assert f"{len(found.over)} ways are too large, such as " in printed
    assert "has 256 MiB and needs " in printed
