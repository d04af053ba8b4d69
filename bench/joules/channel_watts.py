"""Mean power of each channel of a source, and what it must not be: a part above its whole, nothing, or less than nothing.

Shared by a record's checks and by the doctor, which look at the same readings before and after a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PARTS_MARGIN = 0.02
"""Parts and whole are read one after the other: a load that changes meanwhile makes this much of a difference of means."""
NEGATIVE = "negative power: the clamp, the current's wires or the supply is turned round"
NOTHING = "no power at all: the meter is not behind the board's plug, or does not see so small a load"

STANDING = "the counter stands: the meter does not see so small a load, counts in larger steps, or hangs"


@dataclass(frozen=True)
class ChannelWatts:
    """Mean power of a channel, W (None: that cannot be said), how far its steps leave it open, W, and what it contains."""

    id: str
    watts: float | None
    step_W: float
    contains: tuple[str, ...]


def not_positive(watts: float) -> str | None:
    """What is wrong with the mean power of something that is switched on.

    Args:
        watts: Mean power, W.

    Returns:
        The reason in words; None where it is above zero.
    """
    if watts > 0:
        return None
    return NEGATIVE if watts < 0 else NOTHING


def above_their_whole(channels: Sequence[ChannelWatts]) -> list[str]:
    """Channels that read less than those inside them: they do not contain them, or one of them is wrong.

    Args:
        channels: All channels of one source.

    Returns:
        One line with its numbers for each such channel.
    """
    lines, by_id = list[str](), {channel.id: channel for channel in channels}
    for whole in channels:
        inside = [by_id[name] for name in whole.contains if name in by_id]
        deeper = {name for part in inside for name in part.contains}
        parts = [part for part in inside if part.id not in deeper and part.watts is not None]
        total_W = math.fsum(part.watts or 0.0 for part in parts)
        steps_W = math.fsum(channel.step_W for channel in (whole, *parts))
        if parts and whole.watts is not None and total_W > whole.watts * (1 + PARTS_MARGIN) + steps_W:
            names = " + ".join(part.id for part in parts)
            lines.append(f"{names} read {total_W:.3f} W and {whole.id}, which should contain them, {whole.watts:.3f} W")
    return lines
