"""Modelled power of an emulated board, from the processor time of its control group. Not a measurement.

    P = idle_W + cpu_W * (used / quota)^b        of a board that stands for its CPU
    P = idle_W + gpu_W * used / quota            of one that stands for its GPU

``used`` is the time of all of the board's processes, in nanoseconds (version 2: microseconds), and ``quota`` the share of this
machine's processor that stands for the board's whole one. The wattages are of the board's class, in its power mode, read with
the same device at work. Of a board that stands for its GPU, what its processes use while they wait is charged as the CPU's work
afterwards (``bench/joules/waiting_share.py``). What the network and the memory take is in the wattages only as far as the
published load had it.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import ClassVar

from bench.cluster.board_power import PowerModel
from bench.common.user_error import UserError
from bench.emulation import PREFIX
from bench.emulation.cgroups import find_cgroups
from bench.energy.sensor_base.core_use import CoreUse
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

    def __init__(self, file: int, channels: tuple[Channel, ...], full_rate: float, exponent: float) -> None:
        self.file, self.channels, self._full_rate = file, channels, full_rate
        self._use = CoreUse(exponent)

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the board that this process is on."""
        board = place.board
        testbed, name = _whereabouts(place)
        try:
            model = board.power_model()
        except UserError as error:
            raise SourceUnavailable(str(error)) from None
        try:
            groups = find_cgroups(place.root / "sys/fs/cgroup")
            file = place.opener(groups.cpu_file(testbed, name))
        except (UserError, OSError) as error:
            raise SourceUnavailable(f"the control group of emulated board {name} cannot be read: {error}") from None
        quota = groups.quota_cores(testbed, name) or float(os.cpu_count() or 1)
        full_rate = quota * (1e9 if groups.version == 1 else 1e6)
        exponent = 1.0 if model.gpu_W else model.exponent
        return cls(file, (_channel(board.name, model, quota, full_rate),), full_rate, exponent)

    def read(self) -> list[int]:
        """The processor time of all of the board's processes, in the control group's unit, weighted by the board's use."""
        text = os.pread(self.file, READ_BYTES, 0).decode()
        words = text.split()  # version 1: a number; version 2: lines of a name and a number, the first of them usage_usec
        used = int(words[1] if words[0] == "usage_usec" else words[0])
        if self._use.exponent == 1.0:
            return [used]
        return [round(self._use.add(time.monotonic(), [used / self._full_rate]) * self._full_rate)]

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


def _channel(board: str, model: PowerModel, quota: float, full_rate: float) -> Channel:
    return Channel(
        id="cpu-time",
        kind="counter",
        scale=(model.gpu_W or model.cpu_W) / full_rate,
        scope=f"emulated {board}: {model.basis}, with {quota:.3g} cores of this machine busy",
        level="board",
        update_period_s=1e-3,
        baseline_W=model.idle_W,
        model_u=model.relative_u,
    )
