"""Energy of a Cray node, by the counters that its blade's controller shows in ``/sys/cray/pm_counters``.

Reads ``energy`` of the whole node, ``cpu_energy``, ``memory_energy``, ``accel_energy`` and ``accelN_energy`` where they are:
joules since the start, in whole joules, renewed ``raw_scan_hz`` times a second (10). ``freshness`` counts the renewals: it is
read before and after, so that all numbers are of one renewal, and where it stands there is no reading. SLURM's
``acct_gather_energy/pm_counters`` reads the same files, less often. Readable by everyone. It includes the node at its 12 V or
48 V input: processors, memory, GPUs and network card; not the rectifiers, the blade's controller, pumps and fans. Parts are
inside the node's energy. Never run on the hardware: a directory tree in tests only.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from bench.energy.sensor_base.kernel_numbers import number_of
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import EVERYTHING, Channel, Kind

FOLDER = "sys/cray/pm_counters"
PART = re.compile(r"(cpu|memory|accel\d*)_energy\Z")
NUMBER = re.compile(rb"\s*(\d{1,20})(?:\s+J)?(?:\s+\d+\s+us)?\s*\Z")
USUAL_HZ = 10
TRIES = 5
STANDS_S = 2.0


@register
class PmCounters(Source):
    """The node's energy first, then the parts that it contains."""

    name: ClassVar[str] = "pm_counters"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 9
    sensor: ClassVar[str] = "pm_counters"
    period_s: float = 0.1
    not_measured: tuple[str, ...] = ("rectifiers, pumps and fans of the cabinet, and the blade's controller",)

    def __init__(self, paths: Sequence[Path], files: Sequence[int], channels: tuple[Channel, ...]) -> None:
        self.paths, self.files, self.channels = list(paths), list(files), channels
        self.fresh: int | None = None
        self.fresh_since_s = 0.0

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the counters of this node."""
        folder = place.root / FOLDER
        if not (folder / "energy").exists():
            raise SourceUnavailable(f"{folder / 'energy'} does not exist: no Cray node, or its counters are not installed")
        parts = sorted(path for path in folder.iterdir() if PART.match(path.name))
        if any(re.fullmatch(r"accel\d+_energy", path.name) for path in parts):
            parts = [path for path in parts if path.name != "accel_energy"]  # their sum
        paths, files = [folder / "freshness", folder / "energy", *parts], list[int]()
        hz = number_of(folder / "raw_scan_hz")
        period_s = 1 / hz if hz and hz > 0 else 1 / USUAL_HZ
        names = [path.name.removesuffix("_energy") for path in parts]
        whole = "the node at its input, without its rectifier"
        node = Channel("node", "counter", 1.0, whole, "board", None, period_s, contains=(EVERYTHING,))
        inside = [Channel(name, "counter", 1.0, f"{name}: part of the node", "component", None, period_s) for name in names]
        try:
            for path in paths:
                files.append(place.opener(path))
            source = cls(paths, files, (node, *inside))
            source.read()
        except (OSError, ValueError) as error:
            for file in files:
                os.close(file)
            raise SourceUnavailable(f"{error}; see whether this user may read it") from None
        return source

    def read(self) -> list[int]:
        """Joules of the node and of its parts, all of one renewal."""
        for _ in range(TRIES):
            before, *values = [self._number(index) for index in range(len(self.files))]
            if self._number(0) == before:
                self._check_freshness(before)
                return values
        raise OSError(f"{self.paths[0]} changes while the counters are read, {TRIES} times")

    def _check_freshness(self, fresh: int) -> None:
        now_s = time.monotonic()
        if fresh != self.fresh:
            self.fresh, self.fresh_since_s = fresh, now_s
        elif now_s - self.fresh_since_s > STANDS_S:
            raise OSError(f"{self.paths[0]} stands at {fresh} for {now_s - self.fresh_since_s:.1f} s: the counters are old")

    def _number(self, index: int) -> int:
        text, path = os.pread(self.files[index], 64, 0), self.paths[index]
        match = NUMBER.match(text)
        if match is None:
            raise ValueError(f"{path} holds {text[:20].decode(errors='replace')!r} instead of a number of joules")
        return int(match[1])

    def close(self) -> None:
        """Close what ``open`` opened."""
        for file in self.files:
            os.close(file)
        self.files = []
