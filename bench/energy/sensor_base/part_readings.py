"""Readings of parts that another channel has inside: one that fails during a run does not take the total with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bench.joules.channel import EVERYTHING, Channel

FAILURES = (OSError, ValueError, LookupError)


class PartReadings:
    """The last value of each part, which stands in where a reading of it fails.

    A reading has a value for each channel, so something must stand there; the sampler's parent takes a part that ever failed
    out of the trace (``without_failed_parts``), and the record names it. A channel of the total is never held.

    Args:
        channels: All channels of the source.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        inside = {name for channel in channels for name in channel.contains}
        whole = EVERYTHING in inside
        self.parts = {one.id for one in channels if one.id in inside or (whole and EVERYTHING not in one.contains)}
        self.last: dict[str, int] = {}
        self.failures: dict[str, int] = {}

    def value(self, channel: str, read: Callable[[], int]) -> int:
        """A channel's value now, or of a part that fails the one before.

        Args:
            channel: The channel's id.
            read: Reads it.

        Returns:
            The raw value.

        Raises:
            OSError: A channel of the total cannot be read, or a part that never was.
            ValueError: As before: what it says is no number.
            LookupError: As before: it is not there.
        """
        try:
            self.last[channel] = read()
        except FAILURES:
            if channel not in self.parts or channel not in self.last:
                raise
            self.failures[channel] = self.failures.get(channel, 0) + 1
        return self.last[channel]


def without_failed_parts(channels: Sequence[Channel], failures: Mapping[str, int]) -> tuple[tuple[Channel, ...], list[int]]:
    """Channels without the parts that failed: where they were held, their values are those of another time.

    Args:
        channels: All channels of the source.
        failures: How many readings of each failed.

    Returns:
        The channels that are left, and their indices.
    """
    contents = {channel.id: channel.contains for channel in channels}

    def instead(names: Sequence[str]) -> tuple[str, ...]:
        """What a failed part contains is still inside of what contains it."""
        return tuple(inner for name in names for inner in (instead(contents[name]) if name in failures else (name,)))

    kept = [index for index, channel in enumerate(channels) if channel.id not in failures]
    left = tuple(replace(channels[index], contains=instead(channels[index].contains)) for index in kept)
    return left, kept


def why_left_out(failures: Mapping[str, int], readings: int) -> dict[str, str]:
    """What a record says of parts that failed.

    Args:
        failures: How many readings of each failed.
        readings: How many there were.

    Returns:
        The reason by part.
    """
    words = "of this part failed; the total does not need it"
    return {name: f"{count} of {readings} readings {words}" for name, count in failures.items()}
