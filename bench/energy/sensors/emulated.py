"""Modelled power of an emulated board, from the processor time of its control group. Not a measurement.

    P = idle_W + (busy_W - idle_W) * used / quota

``used`` is the time of all of the board's processes, in nanoseconds (version 2: microseconds), and ``quota`` the share of this
machine's processor that stands for the board's whole one. Both wattages are of the board's class, in its power mode. What the
network and the memory take is in them only as far as the published load had it.
"""

from __future__ import annotations

import itertools
import os
from typing import ClassVar

from bench.common.user_error import UserError
from bench.emulation import PREFIX
from bench.emulation.cgroups import Cgroups, find_cgroups
from bench.energy.sensor_base.board_watts import idle_and_busy_W
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind

READ_BYTES = 4096


@register
class Emulated(Source):
    """Processor time of the board's control group, as a counter of modelled joules."""

    name: ClassVar[str] = "emulated"
    kind: ClassVar[Kind] = "modelled"
    rank: ClassVar[int] = 90
    sensor: ClassVar[str] = "modelled"
    not_measured: tuple[str, ...] = (
        "everything: power of an emulated board is modelled from its processor time",
        "network switch",
    )

    def __init__(self, file: int, channels: tuple[Channel, ...]) -> None:
        self.file, self.channels = file, channels

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the board that this process is on."""
        board = place.board
        testbed, name = _whereabouts(place)
        watts = idle_and_busy_W(board)
        try:
            groups = find_cgroups(place.root / "sys/fs/cgroup")
            file = place.opener(groups.cpu_file(testbed, name))
        except (UserError, OSError) as error:
            raise SourceUnavailable(f"the control group of emulated board {name} cannot be read: {error}") from None
        return cls(file, (_channel(board.name, watts, groups, testbed, name),))

    def read(self) -> list[int]:
        """The processor time of all of the board's processes, in the control group's unit."""
        text = os.pread(self.file, READ_BYTES, 0).decode()
        words = text.split()  # version 1: a number; version 2: lines of a name and a number, the first of them usage_usec
        return [int(words[1] if words[0] == "usage_usec" else words[0])]

    def close(self) -> None:
        """Close what ``open`` opened."""
        os.close(self.file)


def _whereabouts(place: Place) -> tuple[str, str]:
    """The testbed and the board that this process belongs to."""
    path = place.root / "proc/self/cgroup"
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise SourceUnavailable(f"{path}: {error.strerror}") from None
    for line in lines:
        parts = line.split(":", 2)[-1].strip("/").split("/")
        for group, board in itertools.pairwise(parts):
            if group.startswith(PREFIX):
                return group.removeprefix(PREFIX), board
    raise SourceUnavailable("this process is on no emulated board (python -m bench.testbed)")


def _channel(board: str, watts: tuple[float, float], groups: Cgroups, testbed: str, name: str) -> Channel:
    idle_W, busy_W = watts
    quota = groups.quota_cores(testbed, name) or float(os.cpu_count() or 1)
    tick_s = 1e-9 if groups.version == 1 else 1e-6
    return Channel(
        id="cpu-time",
        kind="counter",
        scale=(busy_W - idle_W) / quota * tick_s,
        scope=f"emulated {board}: {idle_W} W idle to {busy_W} W with {quota:.3g} cores of this machine busy",
        level="board",
        update_period_s=1e-3,
        baseline_W=idle_W,
    )
