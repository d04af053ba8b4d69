"""The state of each host and the links between them, from the ranks' side.

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
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from bench.cluster.link_rates import RankLink, links
from bench.common.paths import PROJECT
from bench.conditions import environment, host_state
from bench.conditions.host_agreement import busy_together, code_hash
from bench.doctor.clock_agreement import ClockAgreement
from bench.doctor.cluster_report import ClusterReport, HostReport, LinkReport, SupplyState, ThrottleState
from bench.doctor.energy_ranks import own_boot_id
from bench.doctor.rank_orders import ClusterOrder
from bench.energy.sampling.energy_session import root_of
from bench.launch.supervised_process import RUN_ID
from bench.record.host_state_record import HostStateRecord
from bench.timeline.clock_model import ClockModel, measure

if TYPE_CHECKING:
    from mpi4py import MPI

REDUCES = 20


def host_report(order: ClusterOrder, number: int, run_id: str, busy: float | None) -> HostReport:
    """Facts of this host.

    Args:
        order: The hosts, and the folders that they must have.
        number: This host's place in the order.
        run_id: The mark of this run's own processes.
        busy: Share of the cores that others keep busy, from 0 to 1; None where it is unknown.

    Returns:
        Software, state, missing folders and left processes of the host.
    """
    from mpi4py import MPI

    host, processor = order.hosts[number], MPI.Get_processor_name()
    root = Path(root_of(order.root, host.label))
    state, code = host_state.collect(root), environment.collect_code()
    memory_bytes, memory_free_bytes = _memory(root)
    return HostReport(
        label=host.label,
        board=host.board,
        machine=f"{own_boot_id()} {processor}",
        processor=processor,
        project=str(PROJECT),
        python=platform.python_version(),
        mpi=MPI.Get_library_version().split("\n")[0].strip("\0 "),
        architecture=platform.machine(),
        packages=code.packages or {},
        code_hash=code_hash(),
        missing=tuple(path for path in order.paths if not Path(path).exists()),
        cores=os.cpu_count(),
        disk_free_bytes=shutil.disk_usage(PROJECT).free,
        memory_bytes=memory_bytes,
        memory_free_bytes=memory_free_bytes,
        busy=busy,
        leftovers=tuple(leftovers(run_id)),
        governors=tuple(sorted({policy.governor for policy in state.cpufreq if policy.governor})),
        load_1min=state.load_1min,
        throttle=_throttle(state),
        supplies=tuple(SupplyState(supply.name, supply.type, supply.online) for supply in state.supplies),
        hottest_C=max((zone.temperature_C for zone in state.temperatures), default=None),
    )


def _throttle(state: HostStateRecord) -> ThrottleState | None:
    throttle = state.throttle
    return None if throttle is None else ThrottleState(tuple(throttle.now), tuple(throttle.since_boot))


def _memory(root: Path) -> tuple[int | None, int | None]:
    """The size of the main memory and what of it a new process can have, bytes; None for what is not told."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None, None
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if len(line.split()) > 1 and line.split()[1].isdigit()}
    total, available = (kib[name] * 1024 if name in kib else None for name in ("MemTotal", "MemAvailable"))
    return total, available


def leftovers(run_id: str, proc: Path = Path("/proc")) -> list[int]:
    """Processes on this machine that carry the mark of a run of this project, but not of this one.

    Args:
        run_id: The mark of this run.
        proc: The kernel's folder of processes.

    Returns:
        Their process ids, in ascending order.
    """
    pids = []
    for folder in proc.glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        marks = [variable for variable in variables if variable.startswith(f"{RUN_ID}=".encode())]
        if marks and f"{RUN_ID}={run_id}".encode() not in marks:
            pids.append(int(folder.name))
    return sorted(pids)


def all_reduce_s(comm: MPI.Intracomm) -> float:
    """The median time of an all-reduce of 8 bytes. Collective.

    Args:
        comm: The communicator of all ranks.

    Returns:
        Seconds of one all-reduce on this rank, the median of REDUCES.

    Raises:
        RuntimeError: A sum is wrong: the hosts disagree about numbers.
    """
    size, times = comm.Get_size(), []
    for _ in range(REDUCES):
        mine, total = np.array([comm.Get_rank() + 1.0]), np.zeros(1)
        begin = time.perf_counter()
        comm.Allreduce(mine, total)
        times.append(time.perf_counter() - begin)
        if total[0] != size * (size + 1) / 2:
            raise RuntimeError(f"all-reduce over {size} hosts gave {total[0]} and not {size * (size + 1) / 2}")
    return median(times)


def together(order: ClusterOrder, run_id: str, comm: MPI.Intracomm) -> ClusterReport | None:
    """All hosts describe themselves and measure their links. Collective.

    Args:
        order: The hosts, and the size of the messages.
        run_id: The mark of this run's own processes.
        comm: The communicator of all ranks; those of one host follow each other.

    Returns:
        The report on rank 0, None elsewhere.

    Raises:
        RuntimeError: An all-reduce gave a wrong sum.
        UserError: The report of a host lacks a key.
    """
    # Ranks of one host follow each other, and its first looks at it.
    ranks_of_host = comm.Get_size() // len(order.hosts)
    number, first = comm.Get_rank() // ranks_of_host, comm.Get_rank() % ranks_of_host == 0
    busy = busy_together(comm.Barrier, first, Path(root_of(order.root, order.hosts[number].label)))
    offsets = measure(comm, own_boot_id())
    reduce_s = all_reduce_s(comm)
    pairs = links(comm, order.megabytes)
    # As JSON: hosts with other code are a finding, and no error of reading their classes.
    hosts = comm.gather(host_report(order, number, run_id, busy).to_json() if first else None)
    if hosts is None or offsets is None:
        return None
    return ClusterReport(
        hosts=tuple(HostReport.from_json(host) for host in hosts if host is not None),
        ranks=comm.Get_size(),
        all_reduce_s=reduce_s,
        clock=ClockAgreement.of(ClockModel.fit(offsets, offsets)),
        links=tuple(_link(pair, [label for label in order.labels for _ in range(ranks_of_host)]) for pair in pairs),
    )


def _link(pair: RankLink, label_of_rank: Sequence[str]) -> LinkReport:
    """The report of a pair of ranks as ``link_rates`` measured it."""
    return LinkReport(
        first=label_of_rank[pair.low],
        second=label_of_rank[pair.high],
        latency_s=pair.latency_s,
        there_bit_s=pair.there_bit_s,
        back_bit_s=pair.back_bit_s,
    )


def main(argv: list[str]) -> int:
    """Entry of each rank."""
    from mpi4py import MPI

    from bench.common.atomic_files import write_json

    comm = MPI.COMM_WORLD
    order = comm.bcast(json.loads(Path(argv[0]).read_text()) if comm.Get_rank() == 0 else None)
    report = together(ClusterOrder.from_json(order), order["run_id"], comm)
    if report is not None:
        write_json(Path(order["found"]), report.to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
