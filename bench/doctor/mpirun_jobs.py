"""Ranks on the hosts of a cluster, started as a run would start them, and their answer."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Mapping
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
from bench.launch.supervised_process import RUN_ID, Outcome, run, telling_line

LOG_LINES = 12
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class RanksAnswer:
    """The end of a job of the doctor.

    Attributes:
        report: The JSON object that rank 0 wrote; None where it wrote none.
        trouble: One line that says what went wrong; None where nothing did.
        launcher: Name of the MPI launcher.
        took_s: Time from the start of mpirun to its end, s.
    """

    report: dict[str, Any] | None
    trouble: str | None
    launcher: str
    took_s: float


def is_here(address: str) -> bool:
    """Whether an address is this machine's.

    Args:
        address: An IP address or a host name.

    Returns:
        False too for a name that cannot be resolved.
    """
    if address in LOCAL or address == socket.gethostname():
        return True
    local_addresses = {entry.address.split("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries}
    if address in local_addresses:
        return True
    try:
        resolved = {str(info[4][0]) for info in socket.getaddrinfo(address, None)}
    except OSError:
        return False
    return bool(resolved & local_addresses) or any(one.startswith("127.") for one in resolved)


def over_mpirun(
    cluster: Mapping[str, Any],
    order: Mapping[str, Any],
    module: str,
    limit_s: float,
    energy: Mapping[str, Any] | None = None,
    slots: int | None = 1,
) -> RanksAnswer:
    """Run a module with ranks on each host of a cluster. Emulated boards are brought up for it.

    Args:
        cluster: The ``cluster`` block of the point.
        order: The JSON object that the ranks get as a file, with ``run_id`` and ``found``, where rank 0 writes, added.
        module: The module that each rank runs.
        limit_s: Time after which the ranks are ended, s.
        energy: The ``energy`` block, whose passwords go to the ranks by name; None: there are none.
        slots: Ranks on each host; None: as many as it has slots.

    Returns:
        The report of rank 0, or what went wrong.

    Raises:
        UserError: The ranks cannot be started.
        KeyboardInterrupt: The user ended it.
    """
    block = from_json(PointCluster, to_json(cluster), "the cluster")
    block = replace(block, hosts=tuple(replace(host, slots=slots or host.slots) for host in block.hosts))
    folder, run_id = Path(tempfile.mkdtemp(prefix="edgejoule-doctor-")), uuid.uuid4().hex
    try:
        report_file = folder / "found.json"
        write_json(folder / "order.json", {**order, "run_id": run_id, "found": str(report_file)})
        outcome, launcher, took_s = _run_ranks(block, energy or {}, module, limit_s, folder, run_id)
        if outcome.status == "interrupted":
            raise KeyboardInterrupt
        if outcome.status == "ended" and outcome.exit_code == 0 and report_file.exists():
            return RanksAnswer(json.loads(report_file.read_text()), None, launcher, took_s)
        return RanksAnswer(None, _trouble(outcome, limit_s, cluster), launcher, took_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_ranks(
    block: PointCluster, energy: Mapping[str, Any], module: str, limit_s: float, folder: Path, run_id: str
) -> tuple[Outcome, str, float]:
    """How the ranks of a job ended, the launcher's name, and the time they took, s. ``folder`` has their order.json."""
    with Lease([block]) as lease:
        lease.ready(block)
        launcher, job = cluster_job(block, energy, sum(host.slots for host in block.hosts), folder, run_id)
        job = replace(job, module=module, arguments=[str(folder / "order.json")])
        write_text(job.hostfile, launcher.hostfile(job.hosts))
        environment = own_environment(**{RUN_ID: run_id, **import_variables()})
        begin = time.monotonic()
        outcome = run(launcher.command(job), folder / "mpirun.log", limit_s, run_id, JOB_FOLDER, environment)
        return outcome, launcher.name, time.monotonic() - begin


def _trouble(outcome: Outcome, limit_s: float, cluster: Mapping[str, Any]) -> str:
    """One line on a job without a report, after the end of its log on the terminal."""
    if outcome.status == "timeout":
        reason = f"no answer within {limit_s:.0f} s"
    elif outcome.exit_code == 0:
        reason = f"rank 0 ran elsewhere: start from the first host of {cluster['hostfile']}"
    else:
        reason = f"exit code {outcome.exit_code}"
    for line in outcome.log_tail[-LOG_LINES:]:
        print(f"    | {line}")
    said = telling_line(outcome.log_tail)
    return f"mpirun did not come back from all hosts ({reason}): {said}; try: ssh HOST true, for each of them"
