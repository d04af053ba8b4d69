"""Emulated boards that stand for their GPU: what their processes use while they wait is the CPU's work, not the GPU's. Pure.

On such a board the time of its processes stands for the time of the GPU, and is charged with the GPU's watts. A rank that waits
leaves the GPU idle and keeps at most a core of the CPU busy, by ``comm.wait``. So between two readings the GPU has at most
the time in which ranks computed, and the rest of the processor's time is charged as cores of the CPU that wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bench.cluster.board_class import BoardClass
from bench.cluster.board_power import GPU, PowerModel
from bench.joules.attribution import Stretches
from bench.joules.channel import Channel, Trace
from bench.joules.energy_curve import Array

EMULATED = "emulated"
Span = tuple[float, float]
WAITING = ("communicate", "wait")


def charge_waiting(
    trace: Trace,
    ranks: Sequence[Stretches],
    windows: Sequence[Span],
    to_common_s: Callable[[float], float],
    model: PowerModel,
    cores: float,
) -> Trace:
    """The readings of a board that stands for its GPU, with waiting charged to the CPU.

    Args:
        trace: Readings of the board's processor time, charged with the GPU's watts.
        ranks: The stretches of each rank on this board, in seconds on the common axis.
        windows: The timed windows; outside them nobody says who waits, and nothing is changed.
        to_common_s: From nanoseconds of the board's clock to seconds on the common axis.
        model: The coefficients of the board's class.
        cores: Its number of cores: a rank that waits keeps one of them busy at most.

    Returns:
        A copy with one more channel, ``cpu-waiting``. The readings' sum stays what it was.
    """
    gpu = trace.channels[0]
    t_s = np.array([to_common_s((a + b) / 2) for a, b in zip(trace.t_before_ns, trace.t_after_ns, strict=True)])
    used = np.diff(trace.raw[:, 0]).astype(np.float64)
    full_rate = model.gpu_W / gpu.scale  # raw units in a second of the board while its GPU is busy
    computing_s = np.diff(_computing_s(t_s, ranks, windows))
    inside = np.diff(_cumulative(t_s, windows)) > 0
    on_gpu = np.where(inside, np.minimum(used, computing_s * full_rate), used)
    raw = np.stack([trace.raw[0, 0] + _summed(on_gpu), _summed(used - on_gpu)], axis=1)
    core_W = model.cpu_W / cores * len(ranks)
    waiting = Channel(
        id="cpu-waiting",
        kind="counter",
        scale=gpu.scale * core_W / model.gpu_W,
        scope=f"waiting ranks: {core_W:.3g} W while they keep {len(ranks)} of {cores:g} cores busy",
        level=gpu.level,
        model_u=gpu.model_u,
        may_stand=True,
    )
    return replace(trace, channels=(gpu, waiting), raw=raw)


def _computing_s(t_s: Array, ranks: Sequence[Stretches], windows: Sequence[Span]) -> Array:
    """Cumulative seconds of the windows in which ranks compute: the mean over the ranks of a board, which share its GPU."""
    waiting = [_cumulative(t_s, _clipped([span for label in WAITING for span in one.get(label, ())], windows)) for one in ranks]
    return _cumulative(t_s, windows) - np.mean(waiting, axis=0)


def _clipped(spans: Sequence[Span], windows: Sequence[Span]) -> list[Span]:
    """The parts of ``spans`` that lie in windows."""
    parts = [(max(begin, start), min(end, stop)) for start, stop in windows for begin, end in spans]
    return [(begin, end) for begin, end in parts if end > begin]


def _cumulative(t_s: Array, spans: Sequence[Span]) -> Array:
    """How much of ``spans``, which do not overlap, lies before each time, in seconds."""
    if not len(spans):
        return np.zeros_like(t_s)
    edges = np.asarray(sorted(spans), dtype=np.float64)
    lengths = np.concatenate([[0.0], np.cumsum(edges[:, 1] - edges[:, 0])])
    return np.interp(t_s, np.ravel(edges), np.repeat(lengths, 2)[1:-1])


def _summed(steps: Array) -> Array:
    return np.concatenate([[0], np.rint(np.cumsum(steps))]).astype(np.int64)


def model_on_gpu(trace: Trace, board: BoardClass) -> PowerModel | None:
    """The model of a trace's board where that is emulated and stands for its GPU.

    Args:
        trace: Any trace.
        board: The class of its board.

    Returns:
        None for every other trace.
    """
    return board.power_model() if trace.source == EMULATED and board.device == GPU else None
