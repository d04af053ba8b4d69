"""Sensors of an analytic load on a virtual clock: what a counter or a power meter would have shown, and the true joules.

The load is never constant, for a constant one hides wrong edges, gaps and aliasing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.energy.sampling.sampler_process import JITTER
from bench.joules.channel import Channel, Trace

S = 1_000_000_000


@dataclass(frozen=True)
class Load:
    """Watts: a base, a sine, and a square wave of steps; ``energy_J`` is its exact integral from 0."""

    base_W: float = 12.0
    swing_W: float = 5.0
    frequency_Hz: float = 0.7
    step_W: float = 0.0
    period_s: float = 0.4
    duty: float = 0.5

    def energy_J(self, t: float) -> float:
        angle = 2 * math.pi * self.frequency_Hz
        whole, rest = divmod(t, self.period_s)
        high_s = whole * self.duty * self.period_s + min(rest, self.duty * self.period_s)
        return self.base_W * t + self.swing_W / angle * (1 - math.cos(angle * t)) + self.step_W * high_s

    def power_W(self, t: float) -> float:
        high = t % self.period_s < self.duty * self.period_s
        return self.base_W + self.swing_W * math.sin(2 * math.pi * self.frequency_Hz * t) + self.step_W * high


@dataclass(frozen=True)
class Phases:
    """Watts by phase: the phases follow each other again and again, for the given seconds each."""

    phases: Sequence[tuple[str, float, float]]
    """(name, seconds, watts)"""

    @property
    def period_s(self) -> float:
        return sum(seconds for _, seconds, _ in self.phases)

    def energy_J(self, t: float) -> float:
        whole, rest = divmod(t, self.period_s)
        joules = whole * sum(seconds * watts for _, seconds, watts in self.phases)
        for _, seconds, watts in self.phases:
            joules += watts * min(rest, seconds)
            rest -= min(rest, seconds)
        return joules

    def stretches(self, end_s: float) -> dict[str, list[tuple[float, float]]]:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name, _, _ in self.phases}
        t = 0.0
        while t < end_s:
            for name, seconds, _ in self.phases:
                found[name].append((t, t + seconds))
                t += seconds
        return found


@dataclass(frozen=True)
class Clock:
    """A host's clock: ``offset_s`` ahead of the true time, and faster by ``drift`` seconds a second."""

    offset_s: float = 0.0
    drift: float = 0.0

    def ns(self, t: float) -> int:
        return round((t * (1 + self.drift) + self.offset_s) * S)


def read(
    channel: Channel,
    energy_J: Callable[[float], float],
    end_s: float,
    period_s: float,
    seed: int = 0,
    clock: Clock | None = None,
    start_s: float = 0.0,
    begin_raw: int = 0,
) -> Trace:
    """A jittered sampler's readings from ``start_s`` to past ``end_s`` of a sensor renewed every ``update_period_s``.

    A counter shows the energy at its last renewal, cut to steps of ``lsb`` and to its modulus; a power sensor the mean
    over the last update period, or the power now where it has none.
    """
    random = np.random.default_rng(seed)
    times = [start_s]
    while times[-1] < end_s + 2 * period_s + channel.update_period_s:
        times.append(times[-1] + period_s * random.uniform(1 - JITTER, 1 + JITTER))
    update, lsb = channel.update_period_s, int(channel.lsb)
    raw = []
    for t in times:
        seen = math.floor(t / update) * update if update else t
        if channel.kind == "counter":
            value = int((energy_J(seen) - channel.baseline_W * seen) / channel.scale) // lsb * lsb + begin_raw
            raw.append(value % channel.modulus if channel.modulus else value)
        else:
            width = update or 1e-6
            watts = (energy_J(seen) - energy_J(seen - width)) / width
            raw.append(round((watts + random.normal(0, channel.noise_W)) / channel.scale / lsb) * lsb)
    own = clock or Clock()
    t_ns = np.array([own.ns(t) for t in times], dtype=np.int64)
    found = Trace(
        "h", "boot", "x", "test", "measured", period_s, (channel,), t_ns, t_ns, np.array(raw, np.int64).reshape(-1, 1)
    )
    return replace(found, label="h", covers=("h",))
