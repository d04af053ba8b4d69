"""What each host is and how the hosts reach each other.

``mpirun ... python -m mpi4py -m bench.doctor.cluster_ranks order.json``.

One rank on each host looks at its host by its own interpreter; pairs of ranks exchange messages, one pair at a time, while
the others sleep; rank 0 writes the report. Nothing is changed on any host.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.cluster.link_rates import links
from bench.common.paths import PROJECT
from bench.conditions import environment, host_state
from bench.conditions.host_agreement import busy_together, code_hash
from bench.config.host_config import Host
from bench.doctor.energy_ranks import own_boot_id
from bench.energy.sampling.energy_session import root_of
from bench.launch.supervised_process import RUN_ID
from bench.record.block import as_json
from bench.timeline.clock_model import ClockModel, measure

if TYPE_CHECKING:
    from mpi4py import MPI

REDUCES = 20


def host_report(order: Mapping[str, Any], number: int, processor: str, busy: float | None) -> dict[str, Any]:
    """Facts of this host: bytes, Celsius, shares from 0 to 1; null for what it does not tell."""
    host = order["hosts"][number]
    root = Path(root_of(order["root"], Host(**host).label))
    state, code = host_state.collect(root), environment.collect_code()
    disk = shutil.disk_usage(PROJECT)
    return {
        "label": Host(**host).label,
        "board": host["board"],
        "machine": f"{own_boot_id()} {processor}",
        "processor": processor,
        "project": str(PROJECT),
        "executable": sys.executable,
        "python": platform.python_version(),
        "architecture": platform.machine(),
        "packages": code.packages,
        "code_hash": code_hash(),
        "missing": [path for path in order["paths"] if not Path(path).exists()],
        "cores": os.cpu_count(),
        "disk_free_bytes": disk.free,
        **_memory(root),
        "busy": busy,
        "leftovers": leftovers(order["run_id"]),
        "governors": sorted({policy.governor for policy in state.cpufreq if policy.governor}),
        **{key: as_json(getattr(state, key)) for key in ("load_1min", "throttle", "supplies", "nvpmodel")},
        "hottest_C": max((zone.temperature_C for zone in state.temperatures), default=None),
    }


def _memory(root: Path) -> dict[str, int | None]:
    found: dict[str, int | None] = {"memory_bytes": None, "memory_free_bytes": None}
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return found
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if len(line.split()) > 1 and line.split()[1].isdigit()}
    for key, name in (("memory_bytes", "MemTotal"), ("memory_free_bytes", "MemAvailable")):
        if name in kib:
            found[key] = kib[name] * 1024
    return found


def leftovers(own: str, proc: Path = Path("/proc")) -> list[int]:
    """Processes on this machine that carry the mark of a run of this project, but not of this one."""
    found = []
    for folder in proc.glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        marks = [word for word in words if word.startswith(f"{RUN_ID}=".encode())]
        if marks and f"{RUN_ID}={own}".encode() not in marks:
            found.append(int(folder.name))
    return sorted(found)


def all_reduce_s(comm: MPI.Intracomm) -> float:
    """The median time of an all-reduce of 8 bytes. Raises RuntimeError for a wrong sum: the hosts disagree about numbers."""
    size, times = comm.Get_size(), []
    for _ in range(REDUCES):
        mine, total = np.array([comm.Get_rank() + 1.0]), np.zeros(1)
        begin = time.perf_counter()
        comm.Allreduce(mine, total)
        times.append(time.perf_counter() - begin)
        if total[0] != size * (size + 1) / 2:
            raise RuntimeError(f"all-reduce over {size} hosts gave {total[0]} and not {size * (size + 1) / 2}")
    return median(times)


def main(argv: list[str]) -> int:
    """Entry of each rank."""
    from mpi4py import MPI

    from bench.common.atomic_files import write_json

    comm = MPI.COMM_WORLD
    order = comm.bcast(json.loads(Path(argv[0]).read_text()) if comm.Get_rank() == 0 else None)
    # Ranks of one host follow each other, and its first looks at it.
    each = comm.Get_size() // len(order["hosts"])
    number, first = comm.Get_rank() // each, comm.Get_rank() % each == 0
    root = Path(root_of(order["root"], Host(**order["hosts"][number]).label))
    busy = busy_together(comm.Barrier, first, root)
    clock = measure(comm, own_boot_id())
    reduce_s = all_reduce_s(comm)
    found = links(comm, order["megabytes"])
    mine = host_report(order, number, MPI.Get_processor_name(), busy) if first else None
    library = MPI.Get_library_version().split("\n")[0].strip("\0 ")
    hosts = comm.gather(None if mine is None else {**mine, "mpi": library})
    if hosts is not None and clock is not None:
        agreement = ClockModel.fit(clock, clock).summary()
        labels = [Host(**host).label for host in order["hosts"]]
        report = {
            "hosts": [host for host in hosts if host is not None],
            "ranks": comm.Get_size(),
            "all_reduce_s": reduce_s,
            "clock": {"hosts_share_a_clock": agreement.hosts_share_a_clock, "bound_s": agreement.bound_s},
            "links": [{**link, "from": labels[link["from"] // each], "to": labels[link["to"] // each]} for link in found],
        }
        write_json(Path(order["found"]), report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
