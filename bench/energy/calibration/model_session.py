"""A session that fits a power model: loads come and go while a meter or a sensor is read and the kernel's counts are taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cluster.board_class import BoardClass
from bench.common.user_error import UserError
from bench.energy.calibration.model_fit import ModelPoint
from bench.energy.calibration.model_loads import Step
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.meter_entry import MeterEntry
from bench.energy.sampling.sampler import Sampler
from bench.energy.sensor_base.load_counters import CLOCKS, MEMORY, Files, busy_ticks, network_files
from bench.energy.sensor_base.source import Place
from bench.energy.sensors.modelled import TICK_S
from bench.joules.channel import Trace, cover
from bench.joules.energy_curve import curve_of
from bench.joules.integration import energy

METER = "reference"
LOOK_S = 0.1
"""How often clocks are read during a load."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class ModelSession:
    """What is measured and how long; ``load_of`` makes a load, ``set_clock`` sets all cores' clock (None: the highest)."""

    source: str | None
    meters: Mapping[str, MeterEntry]
    board: BoardClass
    host: str
    root: Path
    seconds: float
    settle_s: float
    rounds: int
    load_of: Callable[[Step], AbstractContextManager[object]]
    set_clock: Callable[[float | None], None]

    def run(self, steps: Sequence[Step], say: Say) -> tuple[list[ModelPoint], Trace, list[str]]:
        """Measure all loads, every second round in the other order.

        Args:
            steps: The loads.
            say: Gets a line for each segment.

        Returns:
            The points, the readings of the meter, and warnings.

        Raises:
            UserError: The meter cannot be read, or has no good readings under a load.
        """
        sampler = Sampler([self.source] if self.source else [], self.board, str(self.root), None, self.meters)
        sampler.start()
        try:
            tail_s = 2 * max(
                [source.period_s for source in sampler.reading.sources]
                + [channel.update_period_s for channels in sampler.channels for channel in channels]
            )
            order = [(number, step) for number in range(self.rounds) for step in (steps[::-1] if number % 2 else steps)]
            segments = [self._segment(number, step, tail_s, say, order) for number, step in order]
            traces = sampler.stop(HostIdentity(self.host, "", self.board.name, self.host), {METER: [self.host]}, {})
        finally:
            sampler.kill()
            self.set_clock(None)
        if len(traces) != 1:
            raise UserError(f"{len(traces)} sources were read ({', '.join(t.source for t in traces)}); name one with --source")
        return _points(traces[0], segments), traces[0], _warnings(traces[0])

    def _segment(
        self, number: int, step: Step, tail_s: float, say: Say, order: Sequence[tuple[int, Step]]
    ) -> tuple[ModelPoint, float, float]:
        """A point without its power yet, and the segment's begin and end."""
        place = order.index((number, step)) + 1
        left_s = (len(order) - place + 1) * (self.settle_s + self.seconds + tail_s)
        say(f"[{place:2d}/{len(order)}] round {number + 1}, {step.words}; {left_s:.0f} s left")
        self.set_clock(step.clock_Hz)
        with self.load_of(step):
            time.sleep(self.settle_s)
            before, begin = self._counts(), time.monotonic()
            clocks = self._clocks_until(begin + self.seconds, len(before[0]))
            after, end = self._counts(), time.monotonic()
            time.sleep(tail_s)
        seconds = end - begin
        use = tuple(min((b - a) * TICK_S / seconds, 1.0) for a, b in zip(before[0], after[0], strict=True))
        rates = [None if a is None or b is None else (b - a) / seconds for a, b in zip(before[1:], after[1:], strict=True)]
        return ModelPoint(step.words, number, 0.0, 0.0, use, clocks, *rates), begin, end

    def _counts(self) -> tuple[list[int], int | None, int | None]:
        """Busy ticks of each core, bytes of the memory and of the network; None where they cannot be counted."""
        _, cores = busy_ticks((self.root / "proc/stat").read_text())
        memory, network = sorted(self.root.glob(MEMORY)), network_files(self.root)
        return [ticks for _, ticks in cores], self._sum(memory), self._sum(network)

    def _sum(self, paths: Sequence[Path]) -> int | None:
        try:
            return sum(int(path.read_text()) for path in paths) if paths else None
        except (OSError, ValueError):
            return None

    def _clocks_until(self, end_s: float, cores: int) -> tuple[float, ...]:
        """The mean clock of each core until a time, in Hz; empty where clocks cannot be read."""
        try:
            files = Files(Place(self.root), [self.root / CLOCKS.format(core=core) for core in range(cores)])
        except (OSError, ValueError):
            time.sleep(max(end_s - time.monotonic(), 0.0))
            return ()
        sums, looks = [0.0] * cores, 0
        while True:
            sums, looks = [total + 1e3 * kHz for total, kHz in zip(sums, files.values(), strict=True)], looks + 1
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                files.close()
                return tuple(total / looks for total in sums)
            time.sleep(min(LOOK_S, left_s))


def _points(trace: Trace, segments: Sequence[tuple[ModelPoint, float, float]]) -> list[ModelPoint]:
    curve, points = curve_of(trace, lambda ns: ns / 1e9), []
    for point, begin, end in segments:
        read = energy(curve, begin, end)
        if read.quality != "good":
            raise UserError(f"round {point.round + 1}, {point.words}: {trace.source}: {read.quality}; run the session again")
        points.append(replace(point, watts=read.joules / (end - begin), u_W=read.random_J / (end - begin)))
    return points


def _warnings(trace: Trace) -> list[str]:
    warnings = []
    if not any(trace.channels[index].accuracy for index in cover(trace.channels)):
        warnings.append("the meter's accuracy is not known and not in the uncertainty; give accuracy: 0.01 in --meter")
    if trace.kind == "modelled":
        raise UserError(f"{trace.source} is a model itself; name a sensor with --source, or a meter with --meter")
    return warnings
