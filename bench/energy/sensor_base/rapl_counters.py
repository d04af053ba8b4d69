"""Which of a processor's energy counters count, each once: not a source, but what ``rapl`` and ``perf`` both need.

A counter that stays at 0 is not there (a platform zone that nobody wired, a virtual machine). A package may be shown once
for each die, by one counter. A platform zone may count less than the packages that it should contain. All of this shows
when the counters are watched for a moment: they are renewed every millisecond.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from bench.energy.sensor_base.source import SourceUnavailable
from bench.joules.channel import Channel

NOT_MEASURED = ("power supply losses", "disks, fans and network of the host")
"""Whichever way the counters are read."""
ROUNDS, PAUSE_S = 8, 0.002
STILL_S, WATCH_S = 0.05, 0.3
"""How long counters are watched of which none moves, and of which only some move."""
SKEW_S = 0.005
"""Two views of one counter are renewed and read at most this far apart."""


def is_psys(key: str) -> bool:
    """Whether a zone is the whole platform.

    Args:
        key: The zone's name; ``psys-1`` is that of a server's second socket.

    Returns:
        True for ``psys``, with a number or without.
    """
    return key.split("-")[0] == "psys"


def only(files: Sequence[int], keep: Sequence[int]) -> list[int]:
    """Keep some files and close the others.

    Args:
        files: Open descriptors.
        keep: Indices of those to keep.

    Returns:
        The files at ``keep``, in its order.
    """
    for number, file in enumerate(files):
        if number not in keep:
            os.close(file)
    return [files[number] for number in keep]


def those_that_count(
    channels: Sequence[Channel], read: Callable[[], list[int]], since_boot: bool = True
) -> tuple[list[int], tuple[Channel, ...]]:
    """The counters that count, each once.

    Only counters that run since the boot are compared with each other: those that start when they are opened are all near
    0. The total would be wrong with a package that counts nothing, or with two that cannot be told apart.

    Args:
        channels: All counters; parts of a package have its id and a slash in front.
        read: Gives the raw value of each.
        since_boot: Whether they run since the boot.

    Returns:
        Indices and channels of those that count; the first channel's scope says what was left out.

    Raises:
        SourceUnavailable: A package counts nothing, or two cannot be told apart.
    """
    tops = [i for i, channel in enumerate(channels) if "/" not in channel.id]
    first = read()
    if len(tops) == 1 and all(first):
        return list(range(len(channels))), tuple(channels)
    rows, seconds = _watch(first, tops, read)
    gone: dict[str, str] = {}
    packages = [i for i in tops if channels[i].id.startswith("package")]
    platforms = [i for i in tops if is_psys(channels[i].id)]
    for i, channel in enumerate(channels):
        if not any(row[i] for row in rows):
            if i in packages:
                raise SourceUnavailable(f"{channel.id} counts nothing (always 0), as in virtual machines; use another source")
            gone[channel.id] = "always 0"
    live = [i for i in (*packages, *platforms) if channels[i].id not in gone]
    for n, j in enumerate(live):
        alike = [i for i in live[:n] if since_boot and (i in packages) == (j in packages)]
        original = next((i for i in alike if _same(channels[i], channels[j], i, j, rows, seconds)), None)
        if original is not None:
            inner = [c.id for c in channels if c.id.startswith(f"{channels[j].id}/")]
            gone.update(dict.fromkeys([channels[j].id, *inner], f"the counter of {channels[original].id} again"))
    counted = [i for i in packages if channels[i].id not in gone]
    for i in platforms:
        if channels[i].id not in gone and _less(channels, i, counted, rows):
            gone[channels[i].id] = "counts less than the packages"
    keep = [i for i, channel in enumerate(channels) if channel.id not in gone]
    kept = [replace(channels[i], contains=tuple(c for c in channels[i].contains if c not in gone)) for i in keep]
    said = "; ".join(f"{name} left out: {why}" for name, why in gone.items())
    return keep, tuple(replace(c, scope=f"{c.scope}; {said}") if said and n == 0 else c for n, c in enumerate(kept))


def _watch(first: list[int], tops: Sequence[int], read: Callable[[], list[int]]) -> tuple[list[list[int]], float]:
    """Readings over a time in which every counter should have moved."""
    begin, rows = time.monotonic(), [first]
    while True:
        time.sleep(PAUSE_S)
        rows.append(read())
        seconds = time.monotonic() - begin
        still = [i for i in tops if rows[-1][i] == rows[0][i]]
        enough = not still or seconds > WATCH_S or (len(still) == len(tops) and seconds > STILL_S)
        if len(rows) > ROUNDS and enough:
            return rows, seconds


def _moved(channel: Channel, i: int, rows: Sequence[Sequence[int]]) -> int:
    return (rows[-1][i] - rows[0][i]) % (channel.modulus or 2**63)


def _same(one: Channel, other: Channel, i: int, j: int, rows: Sequence[Sequence[int]], seconds: float) -> bool:
    """Two views of one counter stay as near as its own power lets it move between two readings; two counters drift."""
    apart = [abs(row[i] - row[j]) for row in rows]
    moved = _moved(one, i, rows), _moved(other, j, rows)
    if not any(moved):
        if max(apart) == 0:
            raise SourceUnavailable(
                f"{one.id} and {other.id} both read {rows[0][i]} uJ and do not move: one counter or two? Use another source"
            )
        return False
    nearest = one.lsb + max(moved) * SKEW_S / seconds
    return all(min(gap, abs((one.modulus or 2**63) - gap)) <= nearest for gap in apart)


def _less(channels: Sequence[Channel], psys: int, packages: Sequence[int], rows: Sequence[Sequence[int]]) -> bool:
    """Whether the platform counts less than the packages that it should contain, by more than its steps explain."""
    platform = channels[psys]
    step = max(after[psys] - before[psys] for before, after in pairwise(rows))
    most = (_moved(platform, psys, rows) + (step + 2 * platform.lsb if step > 0 else 0)) * platform.scale
    return most < sum(_moved(channels[i], i, rows) * channels[i].scale for i in packages)
