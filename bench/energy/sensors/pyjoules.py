"""RAPL through pyJoules 0.5.1: a second reader of the counters of ``rapl``, to check one by the other.

pyJoules reads ``/sys/class/powercap/intel-rapl/intel-rapl:N[/intel-rapl:N:M]/energy_uj``, in microjoules; rate, resolution
and permission are those of ``rapl``. Only its ``RaplDevice`` is used, and its known faults are kept out of the joules:

- no wrap: it gives raw counters, and the channels here have the zones' modulus, so the integration corrects it;
- packages are ``intel-rapl:N`` named exactly ``package-N``: with ``psys`` in between or several dies it loses sockets or
  takes memory for another socket's, so it is refused where its domains are not those of ``rapl``;
- no RAPL is a TypeError and a refusal a bare PermissionError: here both are one line;
- files are opened anew for each reading and never closed: closed here;
- GPU energy 1000 times too low, and idle measured for no time at all: neither is used.

It includes packages and memory; ``psys`` it does not know.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, ClassVar

from bench.energy.sensor_base.rapl_counters import NOT_MEASURED
from bench.energy.sensor_base.rapl_zones import open_counters
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.maker_package import as_os_error
from bench.joules.channel import Channel, Kind


@register
class PyJoules(Source):
    """The counters that pyJoules and ``rapl`` both see."""

    name: ClassVar[str] = "pyjoules"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 12
    sensor: ClassVar[str] = "rapl"
    automatic: ClassVar[bool] = False
    not_measured: tuple[str, ...] = NOT_MEASURED

    def __init__(self, device: Any, channels: tuple[Channel, ...]) -> None:
        self.device, self.channels = device, channels

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the reader of pyJoules, where its domains are those of ``rapl``."""
        try:
            from pyJoules.device import rapl_device
            from pyJoules.exception import PyJoulesException
        except ImportError as error:
            raise SourceUnavailable(f"pyJoules cannot be imported ({error}); `pip install pyjoules`") from None
        # What counts, with which modulus, and whether it may be read: as rapl finds it.
        files, zone_channels = open_counters(place)
        for file in files:
            os.close(file)
        rapl_device.RAPL_API_DIR = str(place.root / "sys/class/powercap/intel-rapl")

        class Device(rapl_device.RaplDevice):  # type: ignore[misc]
            def _read_energy_value(self, api_file: Any) -> float:
                with api_file:
                    return float(super()._read_energy_value(api_file))

        try:
            device = Device()
            ids = {_channel_id(domain): domain for domain in device.available_domains()}
            channels = [channel for channel in zone_channels if channel.id in ids]
            device.configure([ids[channel.id] for channel in channels])
        except (PyJoulesException, OSError, ValueError) as error:
            raise SourceUnavailable(f"pyJoules finds no RAPL: {error!r}; use energy.source=rapl") from None
        needed = {channel.id for channel in zone_channels if channel.level == "package"}
        if not needed <= set(ids):
            raise SourceUnavailable(
                f"pyJoules sees {', '.join(ids) or 'nothing'} of {', '.join(sorted(needed))}: it reads only zones N named "
                "package-N; use energy.source=rapl"
            )
        return cls(device, tuple(replace(c, contains=tuple(i for i in c.contains if i in ids)) for c in channels))

    def read(self) -> list[int]:
        """Microjoules of each counter."""
        with as_os_error():
            return [int(energy_uJ) for energy_uJ in self.device.get_energy()]

    def close(self) -> None:
        """Nothing stays open."""


def _channel_id(domain: Any) -> str:
    package, part = f"package-{domain.socket}", domain.get_domain_name()
    return package if part == "package" else f"{package}/{part}"
