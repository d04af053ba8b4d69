"""RAPL energy counters of x86 processors, through the powercap tree.

Reads ``/sys/class/powercap/intel-rapl:N[:M]/energy_uj``: microjoules, renewed about every millisecond, a 32-bit counter of
the hardware in steps of 61 or 15.3 uJ that starts again after ``max_energy_range_uj``. AMD processors use the same names.
Since Linux 5.10 root alone may read it. It includes the processor packages and, where there are zones for it, the memory;
where the platform zone ``psys`` counts, that is the total: all that the board's regulators feed, as the vendor wired it.

Zones are known by their name, never by index: ``psys`` is a zone beside the packages and contains them; ``core`` and
``uncore`` are part of their package, ``dram`` is not. The memory-mapped interface shows packages a second time; some
processors show one counter once for each die. Both count once. What does not count at all is left out, or refused.
"""

from __future__ import annotations

import os
from typing import ClassVar

from bench.energy.sensor_base.rapl_counters import NOT_MEASURED
from bench.energy.sensor_base.rapl_zones import open_counters, read_counters
from bench.energy.sensor_base.source import Place, Source, register
from bench.joules.channel import Channel, Kind


@register
class Rapl(Source):
    """The counters of the powercap tree, each zone that counts once."""

    name: ClassVar[str] = "rapl"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 10
    sensor: ClassVar[str] = "rapl"
    not_measured: tuple[str, ...] = NOT_MEASURED

    def __init__(self, files: list[int], channels: tuple[Channel, ...]) -> None:
        self.files, self.channels = files, channels

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open every zone that counts."""
        return cls(*open_counters(place))

    def read(self) -> list[int]:
        """Microjoules of each counter."""
        return read_counters(self.files)

    def close(self) -> None:
        """Close what ``open`` opened."""
        for file in self.files:
            os.close(file)
