"""What each host can measure, seen from itself: ``mpirun ... python -m mpi4py -m bench.doctor.energy_ranks order.json``.

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
from typing import TYPE_CHECKING, Any

import psutil

from bench.cluster.board_class import BoardClass
from bench.common.atomic_files import write_json
from bench.common.user_error import UserError
from bench.doctor.energy_report import describe
from bench.doctor.host_readings import HostReadings
from bench.energy.sampling.energy_session import meters_of, root_of
from bench.energy.sampling.energy_settings import EnergySettings
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.meter_entry import MeterEntry
from bench.energy.sampling.sampler import Sampler
from bench.timeline.clock_model import ClockModel, measure

if TYPE_CHECKING:
    from mpi4py import MPI

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def look(order: Mapping[str, Any], number: int, processor: str) -> HostReadings:
    """Read what host ``number`` of the order has, for ``seconds``."""
    hosts, energy = order["hosts"], EnergySettings.from_dict(order["energy"])
    host, labels = hosts[number], [label_of(host) for host in hosts]
    found = HostReadings(labels[number], host["board"], own_boot_id(), processor)
    if energy.source == "none":
        return found
    metered = found.label in energy.metered
    if energy.source == "meters" and not metered:
        return replace(found, problem="energy=meters, but no meter has it; describe one under meters:, or use energy=auto")
    meters = meters_of(found.label, labels, energy.meters)
    if not energy.own_sources and not meters:  # another host reads its meter
        return found
    try:
        seen = _read(found, order, number, meters, metered)
    except UserError as problem:
        return replace(_without_meters(found, order, number) if meters and energy.own_sources else found, problem=str(problem))
    if not seen.traces and not metered:
        return replace(seen, problem="the power sampler ended before its time; run it again, and see dmesg")
    return seen


def _without_meters(found: HostReadings, order: Mapping[str, Any], number: int) -> HostReadings:
    """What the host has itself, where one of its meters does not answer."""
    try:
        return _read(found, order, number, {}, True)
    except UserError:
        return found


def _read(
    found: HostReadings, order: Mapping[str, Any], number: int, meters: Mapping[str, MeterEntry], metered: bool
) -> HostReadings:
    """Readings of ``seconds``, and the sampler's share of a core in them, without its start. Raises UserError."""
    energy = EnergySettings.from_dict(order["energy"])
    root = root_of(energy.root, found.label)
    board = BoardClass.from_dict(order["boards"][found.board])
    sampler = Sampler(energy.own_sources, board, root, energy.period_s, meters, metered)
    sampler.start()
    try:
        begin, before = time.monotonic(), _children_cpu_s()
        time.sleep(order["seconds"])
        cpu = (_children_cpu_s() - before) / (time.monotonic() - begin)
        home = HostIdentity(found.processor, found.boot_id, found.board, found.label, number)
        traces = sampler.stop(home, energy.covers, energy.calibration.get(found.label, {}))
        return replace(found, traces=tuple(traces), left_out=sampler.reading.left_out, sampler_cpu=cpu)
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


def label_of(host: Mapping[str, Any]) -> str:
    """A host's name, or its address where it has none."""
    return str(host.get("name") or host["address"])


def here(order: Mapping[str, Any]) -> dict[str, Any]:
    """The report of this one host, without MPI."""
    return describe([look(order, 0, socket.gethostname())], order["energy"], None)


def main(argv: list[str]) -> int:
    """Entry of each rank."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    order = comm.bcast(json.loads(Path(argv[0]).read_text()) if comm.Get_rank() == 0 else None)
    found = together(order, comm)
    if found is not None:
        write_json(Path(order["found"]), found)
    return 0


def together(order: Mapping[str, Any], comm: MPI.Intracomm) -> dict[str, Any] | None:
    """All hosts look at the same time; the report on rank 0. Collective."""
    from mpi4py import MPI

    before = measure(comm, own_boot_id())
    mine = look(order, comm.Get_rank(), MPI.Get_processor_name())
    looks = comm.gather(mine)
    after = measure(comm, own_boot_id())
    if looks is None or before is None or after is None:
        return None
    return describe(looks, order["energy"], ClockModel.fit(before, after))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
