"""Every inventory that comes with the project can be used as it stands, with its examples in comments too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from bench.cluster.inventory import read_inventory
from bench.common import paths
from bench.config.host_config import Host
from bench.energy.sampling.energy_settings import energy_settings
from bench.energy.sampling.inventory_meters import read_meters, read_others
from bench.launch.mpirun import OpenMPI5
from bench.point import hydra_compose, resolved_point
from tests.bench.cluster.test_inventory import job

REAL = {"four-orin-nano": 4, "mixed-jetson": 3, "four-pi5": 4, "two-x86": 2, "two-boards": 2}
CLUSTERS = sorted(path.stem for path in (paths.CONF / "cluster").glob("*.yaml") if path.stem != "slurm")


def composed(name: str) -> dict[str, Any]:
    hydra_compose.register()
    with initialize_config_dir(str(paths.CONF), version_base="1.3"):
        return hydra_compose.to_plain(compose("config", overrides=[f"cluster={name}"]))


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_cluster_can_be_used(name: str) -> None:
    plain = composed(name)
    block, boards = resolved_point.cluster_of(plain)
    assert block["name"] == name
    assert all(host["board"] in boards for host in block["hosts"])
    assert block["inventory"] == [host.label for host in read_inventory(paths.PROJECT / block["hostfile"], "x").hosts]
    energy_settings(plain["energy"], block["inventory"], resolved_point.hostfile_of(plain) or resolved_point.NO_HOSTFILE)


@pytest.mark.parametrize("name", REAL)
def test_real_boards(name: str) -> None:
    block, _ = resolved_point.cluster_of(composed(name))
    hosts = [Host(**host) for host in block["hosts"]]
    assert len(hosts) == REAL[name]
    assert block["interface"] == "192.168.1.0/24"
    line = OpenMPI5("mpirun").command(job(hosts=hosts, ranks=len(hosts), interface=block["interface"]))
    assert "192.168.1.0/24" in line


@pytest.mark.parametrize("name", REAL)
def test_meters_in_comments(name: str) -> None:
    """What a reader would take the comment signs from is right too: sources, settings, hosts."""
    path = Path(paths.PROJECT / f"hostfiles/{name}.yaml")
    hosts = [host.label for host in read_inventory(path, "x").hosts]
    lines = path.read_text().splitlines()
    block: list[str] = []
    for number, line in enumerate(lines):
        if line == "# meters:":
            block = ["meters:"]
            for entry in lines[number + 1 :]:
                if not entry.startswith("#   "):
                    break
                block.append(entry.removeprefix("# "))
    if block:
        given = yaml.safe_load("\n".join(block))["meters"]
        meters = read_meters(given, hosts)
        assert set(meters) == set(given)
        assert read_others({}, meters) is not None
