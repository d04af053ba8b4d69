"""Boards that stand for their GPU: processor time while ranks wait is a core of the CPU, not the GPU."""

from __future__ import annotations

import numpy as np
import pytest

from bench.cluster.board_power import PowerModel
from bench.joules.channel import Channel, Trace
from bench.joules.energy_curve import curve_of, joules_at
from bench.joules.waiting_share import charge_waiting

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
    return Trace("b1", "boot", "x", "emulated", "modelled", 0.1, (channel,), t_ns, t_ns, raw, covers=("b1",))


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
