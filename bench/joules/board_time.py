"""Readings of dilated boards in the boards' time. Pure.

Times become those of the boards where a clock becomes the common axis (``GatheredRun.to_common``); here is what is left: the
scales and periods of the readings. The work that a counter counts is spread over ``factor`` times as many seconds of this
machine as of the board's, and each of the board's joules is counted ``factor`` times. Powers stay, the idle power that is
added for the time that passes stays too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.joules.channel import Channel, Trace


def in_board_time(traces: Sequence[Trace], factor: float) -> list[Trace]:
    """Traces as they are on the axis of the boards.

    Args:
        traces: Readings of emulated boards; their times are nanoseconds of this machine's clock, and stay so.
        factor: Seconds of this machine for one second of the boards.

    Returns:
        Copies whose channels give joules of the boards, with periods in the boards' seconds.
    """
    return [
        replace(
            trace,
            period_s=trace.period_s / factor,
            channels=tuple(_channel(channel, factor) for channel in trace.channels),
        )
        for trace in traces
    ]


def _channel(channel: Channel, factor: float) -> Channel:
    scale = channel.scale / factor if channel.kind == "counter" else channel.scale
    return replace(channel, scale=scale, update_period_s=channel.update_period_s / factor)
