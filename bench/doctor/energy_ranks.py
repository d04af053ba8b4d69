"""The power sources of each host, read on itself: ``mpirun ... python -m mpi4py -m bench.doctor.energy_ranks order.json``.

One rank a host starts the sampler as a run would and keeps its readings; rank 0 puts them together and writes the report.
A host that cannot be read is part of the report, and no error.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.common.atomic_files import write_json
from bench.common.user_error import UserError
from bench.doctor.energy_report import describe
from bench.doctor.host_energy_report import EnergyReport
from bench.doctor.host_readings import HostReadings
from bench.doctor.rank_orders import EnergyOrder
from bench.energy.sampling.energy_session import meters_of, root_of
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.meter_entry import MeterEntry
from bench.energy.sampling.sampler import Sampler
from bench.timeline.clock_model import ClockModel, measure

if TYPE_CHECKING:
    from mpi4py import MPI

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def look(order: EnergyOrder, number: int, processor: str) -> HostReadings:
    """Read the power of one host for ``order.seconds``.

    Args:
        order: The hosts and the energy settings.
        number: The host's place in the order.
        processor: The name that MPI gives to the machine.

    Returns:
        The readings; without any where the settings ask for none here, and with a ``problem`` where a run would end.
    """
    energy, host, labels = order.energy, order.hosts[number], order.labels
    unread = HostReadings(host.label, host.board, own_boot_id(), processor)
    if energy.source == "none":
        return unread
    metered = unread.label in energy.metered
    if energy.source == "meters" and not metered:
        return replace(unread, problem="energy=meters, but no meter has it; describe one under meters:, or use energy=auto")
    meters = meters_of(unread.label, labels, energy.meters)
    if not energy.own_sources and not meters:  # another host reads its meter
        return unread
    try:
        readings = _read(unread, order, number, meters, metered)
    except UserError as problem:
        partial = _without_meters(unread, order, number) if meters and energy.own_sources else unread
        return replace(partial, problem=str(problem))
    if not readings.traces and not metered:
        return replace(readings, problem="the power sampler ended before its time; run it again, and see dmesg")
    return readings


def _without_meters(unread: HostReadings, order: EnergyOrder, number: int) -> HostReadings:
    """The host's own sources, where one of its meters does not answer."""
    try:
        return _read(unread, order, number, {}, True)
    except UserError:
        return unread


def _read(
    unread: HostReadings, order: EnergyOrder, number: int, meters: Mapping[str, MeterEntry], metered: bool
) -> HostReadings:
    """Readings of ``seconds``, and the sampler's share of a core in them, without its start. Raises UserError."""
    energy = order.energy
    root = root_of(energy.root, unread.label)
    sampler = Sampler(energy.own_sources, order.boards[unread.board], root, energy.period_s, meters, metered)
    sampler.start()
    try:
        begin, before = time.monotonic(), _children_cpu_s()
        time.sleep(order.seconds)
        cpu = (_children_cpu_s() - before) / (time.monotonic() - begin)
        home = HostIdentity(unread.processor, unread.boot_id, unread.board, unread.label, number)
        traces = sampler.stop(home, energy.covers, energy.calibration.get(unread.label, {}))
        return replace(unread, traces=tuple(traces), left_out=sampler.reading.left_out, sampler_cpu=cpu)
    finally:
        sampler.kill()


def _children_cpu_s() -> float:
    """Processor time of this process's children: the sampler is the only one.

    By its threads, which the kernel counts in nanoseconds; a process's own count has steps of 10 ms.
    """
    total = 0.0
    for child in psutil.Process().children():
        try:
            tasks = list(Path(f"/proc/{child.pid}/task").glob("*/schedstat"))
            used = [int(task.read_text().split()[0]) / 1e9 for task in tasks]
            total += sum(used) if used else sum(child.cpu_times()[:2])
        except (OSError, ValueError, psutil.Error):
            continue
    return total


def own_boot_id() -> str:
    """This host's boot id, by which ranks of one host are told from those of another."""
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else "unknown"


def here(order: EnergyOrder) -> EnergyReport:
    """The report of one host, which is this machine, without MPI.

    Args:
        order: This host and the energy settings.

    Returns:
        Its sources and their total; no clocks are compared.
    """
    return describe([look(order, 0, socket.gethostname())], order.energy, None)


def main(argv: list[str]) -> int:
    """Entry of each rank."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    order = comm.bcast(json.loads(Path(argv[0]).read_text()) if comm.Get_rank() == 0 else None)
    report = together(EnergyOrder.from_json(order), comm)
    if report is not None:
        write_json(Path(order["found"]), report.to_json())
    return 0


def together(order: EnergyOrder, comm: MPI.Intracomm) -> EnergyReport | None:
    """All hosts look at the same time. Collective.

    Args:
        order: The hosts, one for each rank, and the energy settings.
        comm: The communicator of all ranks.

    Returns:
        The report on rank 0, None elsewhere.
    """
    from mpi4py import MPI

    before = measure(comm, own_boot_id())
    readings = look(order, comm.Get_rank(), MPI.Get_processor_name())
    looks = comm.gather(readings)
    after = measure(comm, own_boot_id())
    if looks is None or before is None or after is None:
        return None
    return describe(looks, order.energy, ClockModel.fit(before, after))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
