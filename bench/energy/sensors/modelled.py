"""Modelled power from CPU utilisation: between the board's idle and busy power. Not a measurement.

    P = idle_W + (busy_W - idle_W) * utilisation,      E = idle_W * time + (busy_W - idle_W) / cpus * busy CPU seconds

The busy time of all CPUs is a counter (``/proc/stat``, in clock ticks), so no reading between two others is missed.
User (guests are inside it), nice, system and interrupt time count. Waiting for a disk does not: the core sleeps. Nor
does stolen time: another virtual machine had the core, and its joules are not ours.
"""

from __future__ import annotations

import os
from typing import ClassVar

from bench.energy.sensor_base.board_watts import idle_and_busy_W
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind

READ_BYTES = 65536
BUSY_FIELDS = (1, 2, 3, 6, 7)  # user nice system - - irq softirq


@register
class Modelled(Source):
    """Busy time of all CPUs, as a counter of modelled joules."""

    name: ClassVar[str] = "modelled"
    kind: ClassVar[Kind] = "modelled"
    rank: ClassVar[int] = 100
    sensor: ClassVar[str] = "modelled"
    not_measured: tuple[str, ...] = (
        "everything: power is modelled from CPU utilisation",
        "network switch",
    )

    def __init__(self, file: int, channels: tuple[Channel, ...]) -> None:
        self.file, self.channels = file, channels

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the CPUs of this machine, with the watts of its class."""
        board = place.board
        idle_W, busy_W = idle_and_busy_W(board)
        path = place.root / "proc/stat"
        try:
            file = place.opener(path)
            text = os.pread(file, READ_BYTES, 0).decode()
        except OSError as error:
            raise SourceUnavailable(f"{path}: {error}") from None
        cpus = sum(line.startswith("cpu") and line[3].isdigit() for line in text.splitlines())
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
        channel = Channel(
            id="cpu-utilisation",
            kind="counter",
            scale=(busy_W - idle_W) / cpus * tick_s,
            scope=f"{board.name}: {idle_W} W idle to {busy_W} W with {cpus} CPUs busy",
            level="board",
            update_period_s=tick_s,
            lsb=1.0,
            baseline_W=idle_W,
        )
        return cls(file, (channel,))

    def read(self) -> list[int]:
        """Busy clock ticks of all CPUs together."""
        fields = os.pread(self.file, READ_BYTES, 0).split(b"\n", 1)[0].split()
        return [sum(int(fields[i]) for i in BUSY_FIELDS)]

    def close(self) -> None:
        """Close what ``open`` opened."""
        os.close(self.file)
