"""Whether what was measured can be: negative, zero, frozen, jumping, above the boards' limits, parts above their whole.

Checks of the record, each with its numbers. A failed one makes the point invalid and keeps its record. What is modelled is
not looked at: nothing was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from bench.joules.channel import EVERYTHING, Channel, Trace, cover
from bench.joules.channel_watts import STANDING, ChannelWatts, above_their_whole, not_positive
from bench.joules.counter_steps import breaks
from bench.joules.cover import Cover, Part, Window
from bench.joules.energy_curve import Array, Curve, joules_at, unwrapped
from bench.joules.host_limits import HostLimit, limit_of
from bench.joules.metered_parts import OtherPart
from bench.joules.timed_run import Run
from bench.record.check_record import Check, Verdict
from bench.record.checks import finding, skipped

FEWEST_TO_BE_FROZEN = 20
COARSE = 0.01
"""Steps of this share of the value may hide a board's whole change from idle to work."""
METER_MARGIN = 0.05
APART = 2.0
"""Power and counter of one device that differ by more than this factor are not both of the same load."""
SHORTEST_MEAN_S = 1.0
NAMES = (
    "power is above zero",
    "power is within the boards' limits",
    "readings change",
    "counters run through",
    "parts are within their whole",
)


def plausibility_checks(
    cover: Cover,
    run: Run,
    limits: Mapping[str, HostLimit],
    others: Sequence[OtherPart],
    frozen: Verdict = "failed",
) -> list[Check]:
    """The checks of what was read.

    Args:
        cover: The cover of the run's hosts.
        run: The run, with its timed and idle windows.
        limits: The most that each host can draw, by its name.
        others: Parts that are no hosts and may be behind a meter.
        frozen: The verdict on a power that never changes.

    Returns:
        One check for each of ``NAMES``; skipped where nothing was measured.
    """
    parts = [part for part in cover.parts if part.kind == "measured"]
    if not parts:
        return [skipped(name, "no energy was measured") for name in NAMES]
    windows = [window for window in run.windows if window[1] > window[0]]
    curves = [(part, curve) for part in parts for curve in part.curves]
    seconds = [*windows, *(window for window in run.idle_windows if window[1] > window[0])]
    return [
        _check(NAMES[0], [line for part in parts for line in _not_above_zero(part, seconds)], f"{_watts(parts, windows)}"),
        *_limits(parts, windows, limits, others),
        *_frozen(curves, frozen),
        _check(NAMES[3], _counter_lines(curves, windows), "no counter stands, stops or jumps"),
        _check(NAMES[4], _whole_lines(cover, curves, windows), "no part reads more than its whole"),
    ]


def _check(name: str, lines: Sequence[str], good: str) -> Check:
    return finding(name, not lines, "; ".join(lines) or good)


def _watts(parts: Sequence[Part], windows: Sequence[Window]) -> str:
    return ", ".join(f"{part.name} {_mean_W(part.joules_at, windows):.4g} W" for part in parts)


def _mean_W(joules: Callable[[Sequence[float]], Array], windows: Sequence[Window]) -> float:
    seconds = sum(end - begin for begin, end in windows)
    return float(sum(np.diff(joules(window))[0] for window in windows)) / seconds if seconds else 0.0


def _title(part: Part, curve: Curve) -> str:
    name = curve.trace.meter or curve.trace.source
    return f"{name} of {part.name}"


def _not_above_zero(part: Part, windows: Sequence[Window]) -> Iterator[str]:
    """Means of windows, and single readings of what is in front of a whole board."""
    for curve in part.curves:
        alone = len(part.curves) == 1 or bool({"wall", "board"} & {one.level for one in _counted(curve.trace)})
        watts = _mean_W(lambda times, curve=curve: joules_at(curve, times), windows)  # type: ignore[misc]
        why = not_positive(watts) if alone or watts < 0 else None
        if why is not None:
            counts = all(one.kind == "counter" for one in _counted(curve.trace))
            yield f"{_title(part, curve)} reads {watts:.4g} W: {STANDING if counts and watts == 0 else why}"
            continue
        readings = _readings_W(curve, windows)
        low = readings <= 0
        if alone and len(readings) and low.any():
            yield (
                f"{_title(part, curve)}: {int(low.sum())} of {len(readings)} readings are at or below 0 W (the lowest "
                f"{readings.min():.4g} W) with a mean of {watts:.4g} W; a board that is on draws power: see the meter"
            )


def _counted(trace: Trace) -> list[Channel]:
    return [trace.channels[index] for index in cover(trace.channels)]


def _readings_W(curve: Curve, windows: Sequence[Window]) -> Array:
    """Readings of power in the windows, over all channels of the total; none where one of them is a counter."""
    trace, channels = curve.trace, cover(curve.trace.channels)
    if any(trace.channels[index].kind == "counter" for index in channels):
        return np.empty(0)
    inside = np.zeros(len(trace.raw), dtype=bool)
    for begin_s, end_s in windows:
        inside |= (curve.read_s >= begin_s) & (curve.read_s <= end_s)
    scales = np.array([trace.channels[index].scale for index in channels])
    watts: Array = trace.raw[inside][:, channels] @ scales
    return watts


def _limits(
    parts: Sequence[Part], windows: Sequence[Window], limits: Mapping[str, HostLimit], others: Sequence[OtherPart]
) -> list[Check]:
    """Failed beyond the limit of a stated class; warned where the class only stands for hosts that nobody described."""
    name, beyond, doubtful, within = NAMES[1], list[str](), list[str](), list[str]()
    for part in parts:
        limit = limit_of(part, limits, others)
        if limit is None:
            continue
        most_W = sum(_most_W(curve, windows) for curve in part.curves)
        if most_W <= limit.watts:
            within.append(f"{part.name} at most {most_W:.4g} W, limit {limit.watts:.4g} W")
            continue
        line = f"{part.name} reads {most_W:.4g} W; {limit.words}: look at the meter's unit, scale and hosts"
        (beyond if limit.fails(most_W) else doubtful).append(line)
    if not (beyond or doubtful or within):
        return [skipped(name, "no limit of these hosts is known")]
    return [finding(name, not (beyond or doubtful), "; ".join(beyond + doubtful + within), "failed" if beyond else "warned")]


def _most_W(curve: Curve, windows: Sequence[Window]) -> float:
    """The largest reading of power; of a counter the largest mean over some renewals, as single ones come early or late."""
    readings = _readings_W(curve, windows)
    if len(readings):
        return float(readings.max())
    trace = curve.trace
    update_s = max((channel.update_period_s for channel in _counted(trace)), default=0.0)
    width_s = max(SHORTEST_MEAN_S, 4 * update_s, 4 * trace.period_s)
    most = [0.0]
    for begin_s, end_s in windows:
        span_s = min(width_s, end_s - begin_s)
        starts = np.linspace(begin_s, end_s - span_s, max(2, int(2 * (end_s - begin_s) / span_s)))
        most.append(float((joules_at(curve, starts + span_s) - joules_at(curve, starts)).max()) / span_s)
    return max(most)


def _frozen(curves: Sequence[tuple[Part, Curve]], otherwise: Verdict) -> list[Check]:
    """A power that is the same to the last digit at idle and at work: failed where its steps are fine enough to tell."""
    frozen, coarse, powers, few = list[str](), list[str](), 0, False
    for part, curve in curves:
        trace = curve.trace
        for index in (index for index in cover(trace.channels) if trace.channels[index].kind == "power"):
            channel, raw = trace.channels[index], trace.raw[:, index]
            powers, few = powers + 1, few or len(raw) < FEWEST_TO_BE_FROZEN
            if len(raw) < FEWEST_TO_BE_FROZEN or (raw != raw[0]).any() or raw[0] == 0:
                continue
            line = f"{_title(part, curve)}: {channel.id} reads {raw[0] * channel.scale:.6g} W {len(raw)} times"
            if abs(raw[0]) * COARSE < channel.lsb:
                coarse.append(f"{line}, in steps of {channel.lsb * channel.scale:.3g} W")
            else:
                frozen.append(f"{line}, at idle and at work: the sensor or its reader hangs")
    if not powers:
        return [skipped(NAMES[2], "counters only")]
    if few and not (frozen or coarse):
        return [skipped(NAMES[2], f"fewer than {FEWEST_TO_BE_FROZEN} readings")]
    return [
        finding(
            NAMES[2], not (frozen or coarse), "; ".join(frozen + coarse) or "powers change", otherwise if frozen else "warned"
        )
    ]


def _counter_lines(curves: Sequence[tuple[Part, Curve]], windows: Sequence[Window]) -> list[str]:
    lines = []
    for part, curve in curves:
        trace = curve.trace
        for index in (index for index in cover(trace.channels) if trace.channels[index].kind == "counter"):
            raw, at_s = trace.raw[:, index], curve.read_s
            several = [line for window in windows for line in breaks(trace.channels[index], raw, at_s, window)]
            lines += [f"{_title(part, curve)}: {line}" for line in several]
        problem = curve.problem or _stands(curve, windows)
        if problem is not None:
            lines.append(f"{_title(part, curve)}: {problem}{_beside(curve, windows)}")
        lines += [f"{_title(part, curve)}: {line}" for line in _powers_apart(curve, windows)]
    return lines


def _stands(curve: Curve, windows: Sequence[Window]) -> str | None:
    """A counter that has no joules in the windows, which are too short to call it broken."""
    if [channel.kind for channel in _counted(curve.trace)] != ["counter"] or sum(_joules(curve, windows)) > 0:
        return None
    channel = _counted(curve.trace)[0]
    seconds = sum(end - begin for begin, end in windows)
    return f"counter {channel.id} stands for all {seconds:.3g} s (its step is {channel.scale * channel.lsb:.4g} J)"


def _joules(curve: Curve, windows: Sequence[Window]) -> list[float]:
    return [float(np.diff(joules_at(curve, window))[0]) for window in windows]


def _beside(curve: Curve, windows: Sequence[Window]) -> str:
    """The power that the same device reads beside a broken counter."""
    powers = [one for one in channel_watts(curve, windows) if one.watts and one.id == "power"]
    return f" while its power reads {powers[0].watts:.4g} W" if powers else ""


def _powers_apart(curve: Curve, windows: Sequence[Window]) -> Iterator[str]:
    """A meter that gives both: the counter's mean and that of the power, where the counter is fine enough."""
    trace = curve.trace
    if curve.problem is not None or [channel.id for channel in trace.channels] != ["energy", "power"]:
        return
    energy, power = channel_watts(curve, windows)
    seconds = sum(end - begin for begin, end in windows)
    if not energy.watts or not power.watts or energy.step_W * seconds * 10 > abs(power.watts) * seconds:
        return
    if not 1 / APART <= energy.watts / power.watts <= APART:
        yield f"the counter counts {energy.watts:.4g} W and the power reads {power.watts:.4g} W; see their units and wiring"


def channel_watts(curve: Curve, windows: Sequence[Window]) -> list[ChannelWatts]:
    """Mean power of every channel of a trace in the windows, as the sensor has it.

    Args:
        curve: The readings of one source.
        windows: Begin and end of each window, in seconds on the common axis.

    Returns:
        One for each channel; None for the watts of a broken counter.
    """
    trace, rows = curve.trace, list[ChannelWatts]()
    seconds = sum(end - begin for begin, end in windows) or 1.0
    for index, channel in enumerate(trace.channels):
        raw, step = trace.raw[:, index], channel.scale * channel.lsb
        if channel.kind == "power":
            total = np.concatenate([[0.0], np.cumsum((raw[1:] / 2 + raw[:-1] / 2) * channel.scale * np.diff(curve.read_s))])
            problem = None
        else:
            steps, problem = unwrapped(channel, raw, curve.read_s)
            total = np.concatenate([[0.0], np.cumsum(steps * channel.scale)])
            step = 2 * step / seconds
        joules = sum(float(np.diff(np.interp(window, curve.read_s, total))[0]) for window in windows)
        watts = None if problem is not None else joules / seconds + channel.baseline_W
        rows.append(ChannelWatts(channel.id, watts, step, channel.contains))
    return rows


def _whole_lines(cover: Cover, curves: Sequence[tuple[Part, Curve]], windows: Sequence[Window]) -> list[str]:
    """Rails above the rail that has them, packages above their platform zone, and a board's sensor above its meter."""
    every = [*curves, *((None, curve) for curve, _ in cover.checks if curve.trace.kind == "measured")]
    lines = [
        f"{curve.trace.label}: {curve.trace.meter or curve.trace.source}: {line}; one of them is wrong"
        for _, curve in every
        for line in above_their_whole(channel_watts(curve, windows))
    ]
    for curve, whole in cover.checks:
        if curve.trace.check_of is not None or not isinstance(whole, Part) or whole.curves[0].trace.calibration is not None:
            continue
        inside_W = _mean_W(lambda times, curve=curve: joules_at(curve, times), windows)  # type: ignore[misc]
        around_W = _mean_W(whole.joules_at, windows)
        contained = any(EVERYTHING in one.contains for one in _counted(whole.curves[0].trace))
        if contained and curve.problem is None and inside_W > around_W * (1 + METER_MARGIN) > 0:
            lines.append(
                f"{curve.trace.source} on {curve.trace.label} reads {inside_W:.4g} W and {whole.curves[0].trace.meter}, which "
                f"is in front of it, {around_W:.4g} W: see the meter's host, unit and scale"
            )
    return lines
