"""Sensors as they are, on the virtual clock: stale, jittery, coarse, lying about themselves; with true joules of windows.

Independent of ``simulator.read``: whole arrays at once, renewals on a grid of their own that may vary, and declared values that
need not be the true ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from bench.joules.channel import Channel, Trace
from tests.bench.energy.simulator import S


@dataclass(frozen=True)
class Drawn:
    """A load drawn at random: 3 to 60 W, a sine of 0.2 to 3 Hz and steps of 0.16 to 2 s; ``swing`` 0 is steady."""

    seed: int
    swing: float = 1.0
    values: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        draw = np.random.default_rng(self.seed)
        base = draw.uniform(3, 60)
        values = (
            base, self.swing * draw.uniform(0.1, 0.8) * base, 10 ** draw.uniform(-0.7, 0.5),
            (draw.choice([0, 0, 0.3, 1.0]) if self.swing == 1 else 0.0) * base,
            10 ** draw.uniform(-0.8, 0.3), draw.uniform(0.2, 0.8),
        )  # fmt: skip
        object.__setattr__(self, "values", tuple(float(value) for value in values))

    def joules(self, t: np.ndarray) -> np.ndarray:
        base, swing, frequency, step, period, duty = self.values
        whole = np.floor(t / period)
        high_s = whole * duty * period + np.minimum(t - whole * period, duty * period)
        angle = 2 * math.pi * frequency
        return base * t + swing / angle * (1 - np.cos(angle * t)) + step * high_s


@dataclass(frozen=True)
class Family:
    """A kind of sensor. ``update_s`` is true, ``declared_s`` what it says (None: the truth); so with ``lsb``, microwatts or
    microjoules. ``held`` shows the power of the moment of a renewal until the next, and no mean."""

    kind: str
    update_s: float
    period_s: float
    lsb: int = 1
    declared_s: float | None = None
    declared_lsb: int | None = None
    varies: float = 0.0
    noise_W: float = 0.0
    swing: float = 1.0
    window_s: tuple[float, float] = (5.0, 40.0)
    held: bool = False

    def read(self, seed: int) -> tuple[Trace, tuple[float, float], float]:
        """A trace, a window, and its true joules."""
        load, draw = Drawn(seed, self.swing), np.random.default_rng(seed + 10_000)
        begin = draw.uniform(1, 5) + 2 * self.update_s
        end = begin + draw.uniform(*self.window_s)
        times = np.cumsum(self.period_s * draw.uniform(0.6, 1.4, int(1.3 * (end + 5) / self.period_s) + 20))
        times = times[times < end + 2 * self.period_s + 2 * self.update_s + 2]
        seen, before = self._renewals(times, draw)
        raw = np.floor(load.joules(seen) * 1e6 / self.lsb) * self.lsb
        before = seen - 1e-6 if self.held else before
        if self.kind == "power":
            watts = (load.joules(seen) - load.joules(before)) / np.maximum(seen - before, 1e-9)
            raw = np.round((watts + draw.normal(0, 1, len(times)) * self.noise_W) * 1e6 / self.lsb) * self.lsb
        declared_s = self.update_s if self.declared_s is None else self.declared_s
        channel = Channel("c", self.kind, 1e-6, "t", update_period_s=declared_s, lsb=self.declared_lsb or self.lsb)  # type: ignore[arg-type]
        t_ns = (times * S).astype(np.int64)
        table = raw.astype(np.int64).reshape(-1, 1)
        trace = Trace("h", "b", "x", "t", "measured", self.period_s, (channel,), t_ns, t_ns, table, "h", ("h",))
        true = load.joules(np.array([begin, end]))
        return trace, (begin, end), float(true[1] - true[0])

    def _renewals(self, times: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The last renewal before each reading, and the one before that."""
        if self.update_s == 0:
            return times, times - 1e-6
        steps = self.update_s * (1 + self.varies * draw.uniform(-1, 1, int(2.5 * times[-1] / self.update_s) + 10))
        grid = np.concatenate([[-self.update_s], np.cumsum(steps) - steps[0] * draw.uniform()])
        last = np.maximum(np.searchsorted(grid, times, "right") - 1, 1)
        return grid[last], grid[last - 1]


LONG = (60.0, 90.0)
FAMILIES = {
    "RAPL": Family("counter", 1e-3, 0.05, 61),
    "RAPL, read seldom": Family("counter", 1e-3, 0.25, 61),
    "counter of 10 Hz": Family("counter", 0.1, 0.05),
    "stale counter that declares nothing": Family("counter", 1.0, 0.1, declared_s=0.0),
    "stale counter of a varying period": Family("counter", 2.0, 0.2, declared_s=0.1, varies=0.5),
    "plug of 3.6 J steps": Family("counter", 1.0, 1.0, 3_600_000, window_s=(20, 80)),
    "counter of 0.1 Wh steps": Family("counter", 1.0, 1.0, 360_000_000, window_s=(120, 300)),
    "counter that lies about its step": Family("counter", 0.1, 0.5, 36_000_000, declared_lsb=1, window_s=(30, 100)),
    "power at a moment": Family("power", 0.0, 0.05, 1000),
    "power at a moment, read seldom": Family("power", 0.0, 1.0, 1000, window_s=LONG),
    "INA3221": Family("power", 6.6e-3, 0.05, 1000),
    "means of 1 s": Family("power", 1.0, 0.1, 1000, window_s=LONG),
    "means of 1 s, read each second": Family("power", 1.0, 1.0, 1000, window_s=LONG),
    "stale power that declares nothing": Family("power", 1.0, 0.1, 1000, declared_s=0.0, window_s=LONG),
    "a moment of about each second, held": Family("power", 1.0, 0.1, 1000, varies=0.3, held=True, window_s=LONG),
    "a moment now and then, held": Family("power", 2.0, 0.2, 1000, declared_s=0.1, varies=0.5, held=True, window_s=LONG),
    "stale power of a varying period": Family("power", 2.0, 0.2, 1000, declared_s=0.1, varies=0.5, window_s=LONG),
    "steady load in steps of 0.1 W": Family("power", 0.0, 0.1, 100_000, swing=0.0),
    "steady load in steps of 0.38 W": Family("power", 0.0, 0.1, 380_000, swing=0.0),
    "steady load in steps of 1 W": Family("power", 0.0, 0.1, 1_000_000, swing=0.0),
    "ripple in steps of 0.38 W": Family("power", 0.0, 0.1, 380_000, swing=0.005),
    "noise in steps of 0.38 W": Family("power", 0.0, 0.1, 380_000, swing=0.0, noise_W=0.3),
}
