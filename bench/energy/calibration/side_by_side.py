"""A board's sensor and a meter read at the same time under idle and loads: the points that a calibration is fitted to.

As in MLPerf Training's comparison test the loads come in rounds. Every second round goes the other way, so that a drift
(a board that warms up) does not fall on one load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cluster.board_class import BoardClass
from bench.common.user_error import UserError
from bench.energy.calibration.load_generator import Load
from bench.energy.calibration.sensor_fit import Fit, Point
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.meter_entry import MeterEntry
from bench.energy.sampling.sampler import Sampler
from bench.energy.sensor_base.source_choice import WHOLE
from bench.joules.channel import Channel, Level, Trace, cover
from bench.joules.energy_curve import Curve, curve_of
from bench.joules.integration import energy
from bench.joules.reading_uncertainty import window_needed_s

Say = Callable[[str], None]
METER = "reference"


@dataclass(frozen=True)
class Protocol:
    """Which loads are measured, and for how long.

    ``loads`` are fractions of the cores, 0 is idle; each stands for ``settle_s`` and is then measured for ``seconds``,
    ``rounds`` times.
    """

    loads: tuple[float, ...]
    rounds: int
    seconds: float
    settle_s: float

    def check(self) -> None:
        """Check loads, rounds and seconds.

        Raises:
            UserError: They cannot be done, or tell nothing.
        """
        if not self.loads or any(not 0 <= load <= 1 for load in self.loads):
            raise UserError(f"--loads {_list(self.loads)} must be fractions of the cores between 0 (idle) and 1")
        if len(set(self.loads)) < 3 or 0 not in self.loads:
            raise UserError(f"--loads {_list(self.loads)} must be idle (0) and two loads at least, such as 0,0.5,1")
        if self.rounds < 1:
            raise UserError(f"--rounds {self.rounds} must be at least 1")
        if self.seconds <= 0 or self.settle_s < 0:
            raise UserError(f"--seconds {self.seconds:g} and --settle {self.settle_s:g} must be positive numbers of seconds")

    def order(self) -> list[tuple[int, float]]:
        """(round, load) one after the other."""
        loads = sorted(set(self.loads))
        return [(number, load) for number in range(self.rounds) for load in (loads[::-1] if number % 2 else loads)]


@dataclass(frozen=True)
class Compared:
    """The points, the traces of both, and warnings for the reader."""

    points: tuple[Point, ...]
    sensor: Trace
    meter: Trace
    warnings: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """Of the meter's reading, relative; 0 where it is not known."""
        return max((self.meter.channels[index].accuracy or 0.0 for index in cover(self.meter.channels)), default=0.0)

    @property
    def against(self) -> str:
        """The meter and its scope, in words."""
        channel = self.meter.channels[cover(self.meter.channels)[0]]
        return f"{self.meter.source}: {channel.scope}"

    @property
    def scope(self) -> str:
        """What the corrected value contains: what the meter has."""
        return self.meter.channels[cover(self.meter.channels)[0]].scope

    @property
    def level(self) -> Level:
        """Where the meter sits."""
        return self.meter.channels[cover(self.meter.channels)[0]].level


def compare(source: str, meter: MeterEntry, board: BoardClass, root: str, host: str, protocol: Protocol, say: Say) -> Compared:
    """Read both while the loads come and go.

    Args:
        source: The sensor, as ``energy.source`` names it.
        meter: The meter to compare it with.
        board: The board's class.
        root: Where sys, proc and programs of the host are.
        host: The host's name.
        protocol: Loads, rounds and seconds.
        say: Gets a line for each segment.

    Returns:
        The points, both traces and the warnings.

    Raises:
        UserError: One of the two cannot be read, or no segment of a load has good readings.
    """
    sampler = Sampler([source], board, root, None, {METER: meter})
    sampler.start()
    try:
        sensors = [source for source in sampler.reading.sources if source.meter is None]
        if len(sensors) != 1 or (source in WHOLE and sensors[0].kind == "modelled"):
            names = ", ".join(sensor.source for sensor in sensors) or "none"
            raise UserError(f"--source {source} finds {names}; a calibration is of one source, name it: --source {names}")
        tail_s = 2 * _slowest_s(sampler)
        segments = _segments(protocol, tail_s, say)
        traces = sampler.stop(HostIdentity(host, "", board.name, host), {METER: [host]}, {})
    finally:
        sampler.kill()
    if not traces:
        raise UserError("the power sampler ended before its time; run the calibration again")
    sensor, reference = (next(t for t in traces if (t.meter is None) == mine) for mine in (True, False))
    points, warnings = points_of(sensor, reference, segments)
    return Compared(tuple(points), sensor, reference, (*warnings, *_windows(sensor, reference, points, protocol.seconds)))


def _slowest_s(sampler: Sampler) -> float:
    """The longest time between two values: so long a load stays on after its segment, for meters show it late."""
    updates = [channel.update_period_s for channels in sampler.channels for channel in channels]
    return float(max([*updates, *(source.period_s for source in sampler.reading.sources)]))


def _segments(protocol: Protocol, tail_s: float, say: Say) -> list[tuple[int, float, float, float]]:
    """(round, load, begin, end) in seconds of this host's monotonic clock."""
    segments, order = [], protocol.order()
    for number, (round_number, load) in enumerate(order, 1):
        left_s = (len(order) - number + 1) * (protocol.settle_s + protocol.seconds + tail_s)
        say(f"[{number:2d}/{len(order)}] round {round_number + 1}, {describe(load)}; {left_s:.0f} s left")
        with Load(load):
            time.sleep(protocol.settle_s)
            begin = time.monotonic()
            time.sleep(protocol.seconds)
            end = time.monotonic()
            time.sleep(tail_s)
        segments.append((round_number, load, begin, end))
    return segments


def points_of(
    sensor: Trace, meter: Trace, segments: Sequence[tuple[int, float, float, float]]
) -> tuple[list[Point], list[str]]:
    """Mean powers of the segments.

    Args:
        sensor: Readings of the board's sensor.
        meter: Readings of the meter over the same time.
        segments: (round, load, begin, end), the last two in seconds of the host's monotonic clock.

    Returns:
        A point for each segment, and a warning for each that had no good readings and is left out.

    Raises:
        UserError: All segments of a load are left out.
    """
    curves, points, warnings = [curve_of(trace, lambda ns: ns / 1e9) for trace in (sensor, meter)], [], []
    wrong: dict[float, str] = {}
    for round_number, load, begin, end in segments:
        problem = next((f"{name(c.trace)}: {why}" for c in curves if (why := energy(c, begin, end).quality) != "good"), None)
        if problem is not None:
            wrong[load] = problem
            warnings.append(f"round {round_number + 1}, {describe(load)} is left out: {problem}")
            continue
        points.append(Point(load, round_number, *(value for c in curves for value in _power(c, begin, end))))
    without = sorted(set(wrong) - {point.load for point in points})
    if without:
        raise UserError(
            f"no segment of {describe(without[0])} has good readings ({wrong[without[0]]}); "
            "python -m bench.doctor energy says more"
        )
    return points, warnings


def name(trace: Trace) -> str:
    """A short name of what was read.

    Args:
        trace: Readings of a sensor or a meter.

    Returns:
        The source, or the meter with its kind.
    """
    return trace.source if trace.meter is None else f"meter ({trace.source})"


def describe(load: float) -> str:
    """A load in words.

    Args:
        load: Fraction of the cores, 0 for idle.

    Returns:
        ``idle``, or ``load`` and the fraction.
    """
    return "idle" if load == 0 else f"load {load:g}"


def _power(of_curve: Curve, begin: float, end: float) -> tuple[float, float]:
    """Mean watts and their standard uncertainty, without the accuracy class: that is the same in all points."""
    read, seconds = energy(of_curve, begin, end), end - begin
    return read.joules / seconds, read.random_J / seconds


def _windows(sensor: Trace, meter: Trace, points: Sequence[Point], seconds: float) -> list[str]:
    """A warning for each of the two that needs longer segments to know the smallest power to 1 %."""
    warnings = []
    for trace, watts in ((sensor, min(p.sensor_W for p in points)), (meter, min(p.meter_W for p in points))):
        needed_s = needed(trace.channels, trace.period_s, watts)
        if needed_s > seconds:
            warnings.append(
                f"{name(trace)} needs {needed_s:.0f} s for 1 % and 60 readings at {watts:.2f} W, but segments have "
                f"{seconds:g} s; use --seconds {needed_s:.0f}"
            )
    return warnings


def needed(channels: Sequence[Channel], period_s: float, watts: float | None = None) -> float:
    """How long a segment must be for an uncertainty of 1 %.

    Args:
        channels: All channels of a source.
        period_s: The sampling period.
        watts: Mean power of the channels of the total together; None where it is not known.

    Returns:
        Seconds.
    """
    total = cover(channels)
    powers = None if watts is None else [watts / len(total) if index in total else 0.0 for index in range(len(channels))]
    return window_needed_s(channels, period_s, powers)


def table(fitted: Fit) -> list[list[str]]:
    """The points with the corrected watts, as text.

    Args:
        fitted: The fit and its points.

    Returns:
        Rows of load, round (from 1), sensor, meter, corrected sensor and residual, all powers in watts.
    """
    calibration = fitted.calibration
    return [
        [
            describe(p.load),
            str(p.round + 1),
            f"{p.sensor_W:.3f} ± {p.sensor_u_W:.3f}",
            f"{p.meter_W:.3f} ± {p.meter_u_W:.3f}",
            f"{calibration.gain * p.sensor_W + calibration.offset_W:.3f}",
            f"{residual:+.3f}",
        ]
        for p, residual in zip(fitted.points, fitted.residuals_W, strict=True)
    ]


def _list(loads: Sequence[float]) -> str:
    return ",".join(f"{load:g}" for load in loads)


def calibration_path(folder: Path, host: str, source: str) -> Path:
    """The file of a host and a source.

    Args:
        folder: The folder of all calibrations.
        host: An address or a name, with any character.
        source: The sensor's source.

    Returns:
        The path, in which underscores stand for characters that are odd in file names.
    """
    plain = "".join(c if c.isalnum() or c in ".-_" else "_" for c in host)
    return folder / f"{plain}-{source}.json"
