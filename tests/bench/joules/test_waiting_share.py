"""Boards that stand for their GPU: processor time while ranks wait is a core of the CPU, not the GPU."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bench.cluster.board_class import BoardClass
from bench.cluster.board_power import BoardPower, PowerModel
from bench.common.sourced_number import SourcedNumber
from bench.joules.channel import Channel, Trace
from bench.joules.cover import find_cover
from bench.joules.energy_curve import curve_of, joules_at
from bench.joules.timed_run import Run
from bench.joules.waiting_share import charge_waiting
from bench.run.gathered_run import GatheredRun

MODEL = PowerModel(idle_W=5.0, cpu_W=8.0, exponent=1.4, gpu_W=20.0, relative_u=0.3, basis="made")
QUOTA, FACTOR = 0.5, 4.0
"""Cores of this machine for a board, and seconds of this machine for one of the board's."""


def trace(waiting_use: float) -> Trace:
    """Ten board seconds, forty of this machine: each board second computes for 0.6 and waits for 0.4, at a use of the quota."""
    t_s = np.arange(0.0, 40.0 + 1e-9, 0.1)
    board_s = t_s / FACTOR
    computed = np.floor(board_s) * 0.6 + np.minimum(board_s % 1.0, 0.6)
    used = QUOTA * FACTOR * (computed + waiting_use * (board_s - computed))
    t_ns = np.rint(t_s * 1e9).astype(np.int64)
    channel = Channel(
        "cpu-time", "counter", MODEL.gpu_W / (QUOTA * 1e9) / FACTOR, "emulated", "board", baseline_W=5.0, model_u=0.3
    )
    raw = np.rint(used * 1e9).astype(np.int64)[:, None]
    return Trace("b1", "boot", "x", "emulated", "modelled", 0.1, (channel,), t_ns, t_ns, raw, covers=("b1",), label="b1")


STRETCHES = {"wait": [(n + 0.6, n + 1.0) for n in range(10)]}


def to_common_s(t_ns: float) -> float:
    return t_ns / 1e9 / FACTOR


@pytest.mark.parametrize(("use", "waiting_W"), [(0.0, 0.0), (1.0, 2.0), (0.5, 1.0)])
def test_a_waiting_rank_draws_idle_and_its_core(use: float, waiting_W: float) -> None:
    """Spinning keeps one of four cores busy (2 W of 8 W); sleeping draws idle alone. Before, both drew up to the GPU's 20 W."""
    charged = charge_waiting(trace(use), [STRETCHES], [(0.0, 10.0)], to_common_s, MODEL, 4)
    curve = curve_of(charged, to_common_s)
    assert curve.problem is None
    joules = float(np.diff(joules_at(curve, [0.0, 10.0]))[0])
    assert joules == pytest.approx(10 * 5.0 + 6.0 * 20.0 + 4.0 * waiting_W, rel=1e-3)
    before = float(np.diff(joules_at(curve_of(trace(use), to_common_s), [0.0, 10.0]))[0])
    assert before == pytest.approx(10 * 5.0 + (6.0 + 4.0 * use) * 20.0, rel=1e-3)


def test_outside_the_windows_nothing_changes() -> None:
    """Nobody says there who waits."""
    charged = charge_waiting(trace(1.0), [STRETCHES], [(2.0, 8.0)], to_common_s, MODEL, 4)
    joules = joules_at(curve_of(charged, to_common_s), [0.0, 2.0, 8.0, 10.0])
    assert np.diff(joules) == pytest.approx([2 * 25.0, 6 * 5.0 + 3.6 * 20.0 + 2.4 * 2.0, 2 * 25.0], rel=2e-3)


def test_ranks_of_one_board_share_its_gpu() -> None:
    """Where one of two ranks waits, half of the board's processor computes; each waiting rank keeps a core busy."""
    whole = {"wait": [(0.0, 10.0)]}
    charged = charge_waiting(trace(1.0), [{}, whole], [(0.0, 10.0)], to_common_s, MODEL, 4)
    joules = float(np.diff(joules_at(curve_of(charged, to_common_s), [0.0, 10.0]))[0])
    assert joules == pytest.approx(10 * (5.0 + 0.5 * 20.0 + 0.5 * 2 * 2.0), rel=1e-3)


def test_a_run_charges_the_waiting_of_its_gpu_boards_and_of_no_other() -> None:
    """Of a gathered run: a board that stands for its GPU is charged anew, one that stands for its CPU stays what it was."""
    power = BoardPower(SourcedNumber(5.0, "x"), SourcedNumber(25.0, "x", "gpu"), cpu_W=SourcedNumber(8.0, "x"))
    on_gpu = BoardClass("x", cores=SourcedNumber(4, "x"), power=power, device="gpu")
    boards = {"x": on_gpu, "y": replace(on_gpu, name="y", device="cpu")}
    traces = [trace(1.0), replace(trace(1.0), board="y", covers=("b2",), label="b2")]
    config = SimpleNamespace(boards={name: board.to_dict() for name, board in boards.items()}, dilation_factor=FACTOR)
    clock, facts = SimpleNamespace(to_common=lambda rank, t_ns: t_ns), SimpleNamespace(begin_ns=0)
    gathered = GatheredRun(config, None, [], traces, clock, facts)  # type: ignore[arg-type]
    ranks = {0: "b1", 1: "b2"}
    windows = [(0.0, 10.0)]
    gathered.__dict__["run"] = Run(windows, [], ranks, {0: STRETCHES, 1: STRETCHES}, samples=1, tokens=1, steps=1)
    charged, same = gathered.with_waiting_charged().traces
    assert same is traces[1]
    assert [channel.id for channel in charged.channels] == ["cpu-time", "cpu-waiting"]
    joules = float(np.diff(joules_at(curve_of(charged, to_common_s), [0.0, 10.0]))[0])
    assert joules == pytest.approx(10 * 5.0 + 6.0 * 20.0 + 4.0 * 2.0, rel=1e-3)
    cover = find_cover([charged, same], ["b1", "b2"], lambda rank, t_ns: to_common_s(t_ns))
    assert cover.complete
    assert cover.parts[0].energies(windows, 0.0).quality == "good"
    config.boards = {"x": boards["y"].to_dict() | {"name": "x"}, "y": boards["y"].to_dict()}
    assert gathered.with_waiting_charged() is gathered
