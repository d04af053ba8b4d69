"""Energy of several hosts whose clocks have nothing in common and whose names are equal: one axis, one answer."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mpi4py import MPI

from bench.cluster.board_class import BoardClass
from bench.common.user_error import UserError
from bench.energy.sampling.energy_session import EnergySession
from bench.energy.sampling.energy_settings import EnergySettings
from bench.energy.sampling.host_identity import HostIdentity
from bench.joules.channel import Channel
from bench.joules.cover import find_cover
from bench.joules.energy_block import energy_block
from bench.joules.metered_parts import EnergyContext
from bench.joules.timed_run import Run
from bench.timeline.clock_model import ClockModel, measure
from tests.bench.energy.simulator import Clock, Phases, S, read

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.Get_rank(), COMM.Get_size()
NOTHING = {"source": "rapl", "others": {}, "meters": {}, "carbon": {"g_per_kWh": None, "source": None}}
COUNTER = Channel("c", "counter", 1e-6, "t", update_period_s=1e-3, lsb=61)


def load(rank: int) -> Phases:
    """Hosts differ in power and in rhythm."""
    return Phases([("forward", 0.11, 12.0 + rank), ("backward", 0.07 + 0.01 * rank, 6.5), ("wait", 0.03, 3.0)])


def energies(clock: Clock) -> dict[str, object] | None:
    """What the record would say when this rank's host has ``clock``; rank 0 gets it.

    The truth is this machine's own clock. The simulated load begins at a whole second that all agree on.
    """
    boot_id = f"boot-{RANK}"

    def now() -> int:
        return clock.ns(time.monotonic_ns() / S)

    before = measure(COMM, boot_id, now=now)
    begin = COMM.bcast(math.floor(time.monotonic_ns() / S) - 30.0)
    time.sleep(0.5)  # drift shows between the two measurements
    after = measure(COMM, boot_id, now=now)
    late = Clock(clock.offset_s + begin * (1 + clock.drift), clock.drift)
    trace = read(COUNTER, load(RANK).energy_J, 30, 0.05, seed=RANK, clock=late)
    trace = replace(trace, host="board", boot_id=boot_id, label=f"b{RANK}", covers=(f"b{RANK}",), rank=RANK)
    traces, clocks = COMM.gather(trace), COMM.gather(late)
    if traces is None or clocks is None or before is None or after is None:
        return None
    model = ClockModel.fit(before, after)
    # Ranks hand in events by their own clocks; the record puts them on rank 0's axis.
    begin_ns = clocks[0].ns(0)

    def seen(rank: int, t: float) -> float:
        return (model.to_common(rank, clocks[rank].ns(t)) - begin_ns) / S

    spans = {
        rank: {name: [(seen(rank, a), seen(rank, b)) for a, b in own] for name, own in load(rank).stretches(30).items()}
        for rank in range(SIZE)
    }
    run = Run(
        windows=[(seen(0, 2.0), seen(0, 28.0))],
        idle_windows=[(seen(0, 0.5), seen(0, 1.5)), (seen(0, 28.5), seen(0, 29.5))],
        rank_host={rank: f"b{rank}" for rank in range(SIZE)},
        stretches=spans,
        samples=100,
        tokens=6400,
        steps=10,
    )
    found = find_cover(traces, run.hosts, lambda rank, ns: (model.to_common(rank, ns) - begin_ns) / S)
    return energy_block(found, traces, model.bound_s, run, EnergyContext.of(NOTHING)).to_dict()


def test_injected_offset_and_drift_change_nothing() -> None:
    """Offsets of hours and drifts of up to 200 ppm against one clock for all: totals, hosts, phases."""
    one = energies(Clock())
    other = energies(Clock(offset_s=5000.0 * RANK + 0.123, drift=2e-4 * (-1) ** RANK * (RANK > 0)))
    if one is None or other is None:
        return
    truth = sum(load(r).energy_J(28.0) - load(r).energy_J(2.0) for r in range(SIZE))
    for found in (one, other):
        assert found["kind"] == "measured"
        assert abs(found["total_J"] - truth) < 3 * found["uncertainty_J"]
        assert [host["quality"] for host in found["by_host"]] == ["good"] * SIZE
        assert found["coverage"]["measured"] == SIZE  # equal names do not merge
    for name in ("by_host", "phases", "by_rank"):
        assert len(one[name]) == len(other[name]) > 0
    for a, b in zip(one["by_host"], other["by_host"], strict=True):
        assert b["total_J"] == pytest.approx(a["total_J"], rel=2e-3)
    for a, b in zip(one["phases"], other["phases"], strict=True):
        assert abs(a["joules"] - b["joules"]) <= 3 * math.hypot(a["standard_error_J"], b["standard_error_J"]) + 0.5
    for r in range(SIZE):
        spent = 26.0 * 12.0 * 0.11 / load(r).period_s
        assert other["by_rank"][r]["wait_J"] == pytest.approx(26.0 * 3.0 * 0.03 / load(r).period_s, rel=0.1)
        assert other["by_rank"][r]["compute_J"] > spent


def test_a_start_only_offset_would_not_do() -> None:
    """The same clocks with the drift forgotten: 200 ppm of 5000 s are a second."""
    before = [Clock(5000.0, 2e-4).ns(0), Clock(5000.0, 2e-4).ns(5000.0)]
    assert (before[1] - before[0]) / S - 5000.0 == pytest.approx(1.0)


def session(root: Path, readable: bool = True, **changes: object) -> EnergySession:
    """Every rank is a host of its own with the same name; its tree holds one RAPL package, whose counter may be missing."""
    zone = root / f"b{RANK}/sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True, exist_ok=True)
    for name, text in (("name", "package-0"), ("energy_uj", "1000"), ("max_energy_range_uj", "262143328850")):
        (zone / name).write_text(text + "\n")
    if not readable:
        (zone / "energy_uj").unlink()
    config = {"source": "rapl", "period_s": 0.02, "root": f"{root}/%h", "meters": {}, "calibration": {}, **changes}
    board = BoardClass("x")
    settings = EnergySettings.from_dict(config)
    return EnergySession(COMM, settings, {"x": board}, HostIdentity("board", f"boot-{RANK}", "x", f"b{RANK}"))


def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(COMM.bcast(str(tmp_path_factory.mktemp("hosts")) if RANK == 0 else None))


def test_hosts_of_one_name_have_a_sampler_each(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = session(folder(tmp_path_factory))
    found.start()
    counter = Path(found.settings.root.replace("%h", f"b{RANK}")) / "sys/class/powercap/intel-rapl:0/energy_uj"
    time.sleep(0.1)
    counter.write_text(f"{1000 + 1_000_000 * (RANK + 1)}\n")
    time.sleep(0.1)
    needed = found.window_needed_s()
    found.stop()
    traces = found.gather()
    assert needed >= 60 * 0.02
    if traces is not None:
        assert [trace.label for trace in traces] == [f"b{rank}" for rank in range(SIZE)]
        assert [int(trace.raw[-1, 0] - trace.raw[0, 0]) for trace in traces] == [10**6 * (r + 1) for r in range(SIZE)]


def test_a_host_without_a_source_is_named_on_every_rank(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = folder(tmp_path_factory)
    found = session(root, readable=RANK < SIZE - 1)
    with pytest.raises(UserError, match=f"^b{SIZE - 1}: energy=rapl cannot be read"):
        found.start()


def test_meters_alone_must_have_every_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    meters = {"plug": {"source": "shelly", "hosts": ["b0"], "includes": [], "reader": None}}
    root = folder(tmp_path_factory)
    if SIZE == 1:
        pytest.skip("one host has its meter")
    with pytest.raises(UserError, match=r"energy=meters, but no meter has b1"):
        session(root, source="meters", meters=meters)
