"""One rank on each host of a cluster: started as a run would start it, and what came back."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from bench.campaign.point_launch import cluster_job
from bench.common.atomic_files import write_json, write_text
from bench.common.paths import JOB_FOLDER, import_variables
from bench.config.config_json import from_json, to_json
from bench.config.point_cluster_config import PointCluster
from bench.emulation.lease import Lease
from bench.launch.mpirun import own_environment
from bench.launch.supervised_process import RUN_ID, run, telling_line

LOG_LINES = 12
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Came:
    """What rank 0 wrote (None: nothing), what went wrong (None: nothing), and how it was started."""

    report: dict[str, Any] | None
    trouble: str | None
    launcher: str
    took_s: float


def is_here(address: str) -> bool:
    """Whether an address or a host name is this machine's."""
    if address in LOCAL or address == socket.gethostname():
        return True
    own = {found.address.split("%")[0] for addresses in psutil.net_if_addrs().values() for found in addresses}
    if address in own:
        return True
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(address, None)}
    except OSError:
        return False
    return bool(found & own) or any(one.startswith("127.") for one in found)


def over_mpirun(
    cluster: Mapping[str, Any],
    order: Mapping[str, Any],
    module: str,
    limit_s: float,
    energy: Mapping[str, Any] | None = None,
    slots: int | None = 1,
) -> Came:
    """Run ``module`` with ``slots`` ranks on each host (None: as many as it has slots).

    It gets the path of the order and writes to ``order["found"]``.

    Emulated boards are brought up for it. Raises UserError for what cannot be started, and KeyboardInterrupt on.
    """
    block = from_json(PointCluster, to_json(cluster), "the cluster")
    block = replace(block, hosts=tuple(replace(host, slots=slots or host.slots) for host in block.hosts))
    ranks = sum(host.slots for host in block.hosts)
    folder, run_id = Path(tempfile.mkdtemp(prefix="edgejoule-doctor-")), uuid.uuid4().hex
    try:
        with Lease([block]) as lease:
            lease.ready(block)
            launcher, job = cluster_job(block, energy or {}, ranks, folder, run_id)
            job = replace(job, module=module, arguments=[str(folder / "order.json")])
            write_json(folder / "order.json", {**order, "run_id": run_id, "found": str(folder / "found.json")})
            write_text(job.hostfile, launcher.hostfile(job.hosts))
            environment = own_environment(**{RUN_ID: run_id, **import_variables()})
            begin = time.monotonic()
            outcome = run(launcher.command(job), folder / "mpirun.log", limit_s, run_id, JOB_FOLDER, environment)
            took_s = time.monotonic() - begin
        if outcome.status == "interrupted":
            raise KeyboardInterrupt
        found = folder / "found.json"
        if outcome.status == "ended" and outcome.exit_code == 0 and found.exists():
            return Came(json.loads(found.read_text()), None, launcher.name, took_s)
        if outcome.status == "timeout":
            why = f"no answer within {limit_s:.0f} s"
        elif outcome.exit_code == 0:
            why = f"rank 0 ran elsewhere: start from the first host of {cluster['hostfile']}"
        else:
            why = f"exit code {outcome.exit_code}"
        return Came(None, _trouble(why, outcome.log_tail), launcher.name, took_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _trouble(why: str, log_tail: Sequence[str]) -> str:
    for line in log_tail[-LOG_LINES:]:
        print(f"    | {line}")
    return f"mpirun did not come back from all hosts ({why}): {telling_line(log_tail)}; try: ssh HOST true, for each of them"
