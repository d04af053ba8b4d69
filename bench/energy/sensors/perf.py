"""RAPL through the kernel's performance events: the same counters as ``rapl`` for those who may not read powercap.

Reads the PMU ``power`` (``/sys/bus/event_source/devices/power``): one event for each domain on each processor of its
``cpumask``, that is one for each package, by the system call ``perf_event_open`` and 8-byte reads. A count is 2^-32 J, the
hardware's step is 61 or 15.3 uJ, renewed every millisecond; the kernel's own timer corrects the 32-bit wrap, so the count
does not start again. It starts at 0 when the event is opened. Needs CAP_PERFMON, or kernel.perf_event_paranoid = -1.
It includes what ``rapl`` includes: packages and memory, or ``psys`` where that counts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from bench.energy.sensor_base.rapl_counters import NOT_MEASURED, is_psys, only, those_that_count
from bench.energy.sensor_base.rapl_zones import UPDATE_PERIOD_S, USUAL_LSB_UJ, find_zones
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind, Level

PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
CLOSE_ON_EXEC = 8
ATTRIBUTES = struct.Struct("IIQQQQQIIQ")
MOST_PROCESSORS = 1 << 16
"""struct perf_event_attr of its first version: type, size, config, then period, formats, flags, wake-up, breakpoint."""
DOMAINS = {"energy-pkg": "", "energy-ram": "dram", "energy-cores": "core", "energy-gpu": "uncore", "energy-psys": "psys"}
ALLOW = (
    "allow it with `setcap cap_perfmon=ep` on a copy of the Python interpreter, or with kernel.perf_event_paranoid = -1 "
    "(a line in /etc/sysctl.d for good)"
)


@register
class Perf(Source):
    """One event for each domain of each package."""

    name: ClassVar[str] = "perf"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 11
    sensor: ClassVar[str] = "rapl"
    not_measured: tuple[str, ...] = NOT_MEASURED

    def __init__(self, files: list[int], channels: tuple[Channel, ...]) -> None:
        self.files, self.channels = files, channels

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open events of every domain that the kernel has."""
        pmu = place.root / "sys/bus/event_source/devices/power"
        if not pmu.is_dir():
            raise SourceUnavailable(f"{pmu} does not exist: no RAPL events; load the module rapl, or use energy.source=rapl")
        source = cls([], ())
        with ExitStack() as on_failure:
            on_failure.callback(source.close)
            try:
                channels = source._open(place, pmu)
                keep, source.channels = those_that_count(channels, source.read, since_boot=False)
            except PermissionError:
                paranoid = place.root / "proc/sys/kernel/perf_event_paranoid"
                level = paranoid.read_text().strip() if paranoid.exists() else "unknown"
                raise SourceUnavailable(f"energy events may not be opened (perf_event_paranoid is {level}); {ALLOW}") from None
            except (OSError, ValueError) as error:
                raise SourceUnavailable(f"energy events of {pmu}: {error}; use energy.source=rapl") from None
            on_failure.pop_all()
        source.files = only(source.files, keep)
        return source

    def _open(self, place: Place, pmu: Path) -> list[Channel]:
        kind, packages, channels = int(_text(place, pmu / "type")), _packages(place, pmu), list[Channel]()
        for event, domain in DOMAINS.items():
            if (pmu / "events" / event).exists():
                config, scale = _event(place, pmu / "events" / event)
                for cpu, package in packages.items():
                    self.files.append(perf_event_open(kind, config, cpu))
                    channels.append(_channel(package, domain, scale, place.root))
        if not channels:
            raise ValueError("there is none")
        others = [channel.id for channel in channels if not is_psys(channel.id)]
        parts = [name for name in others if name.endswith(("/core", "/uncore"))]
        inside = {c.id: others if is_psys(c.id) else [name for name in parts if name.startswith(f"{c.id}/")] for c in channels}
        return [replace(channel, contains=tuple(inside[channel.id])) for channel in channels]

    def read(self) -> list[int]:
        """The count of each event."""
        counts = []
        for file in self.files:
            count = os.read(file, 8)
            if len(count) != 8:
                raise ValueError(f"an energy event gave {len(count)} bytes instead of 8")
            counts.append(int.from_bytes(count, "little"))
        return counts

    def close(self) -> None:
        """Close what ``open`` opened."""
        for file in self.files:
            os.close(file)


def perf_event_open(kind: int, config: int, cpu: int) -> int:
    """A file that counts one event of all processes on one processor.

    Args:
        kind: The number of the event's type (``type`` of the kernel's unit).
        config: The event's number within it.
        cpu: The processor.

    Returns:
        The file's descriptor.

    Raises:
        OSError: The kernel refuses, or the call's number is not known on this architecture.
    """
    if platform.machine() not in PERF_EVENT_OPEN:
        raise OSError(errno.ENOSYS, f"perf_event_open is not known for {platform.machine()}")
    try:
        packed = ATTRIBUTES.pack(kind, ATTRIBUTES.size, config, *[0] * 7)
    except struct.error:
        raise OSError(errno.EINVAL, f"type {kind} and config {config:#x} are none of an event") from None
    attributes = ctypes.create_string_buffer(packed, ATTRIBUTES.size)
    call = ctypes.CDLL(None, use_errno=True).syscall
    arguments = (-1, cpu, -1, CLOSE_ON_EXEC)
    file = call(ctypes.c_long(PERF_EVENT_OPEN[platform.machine()]), attributes, *map(ctypes.c_long, arguments))
    if file < 0:
        raise OSError(ctypes.get_errno(), f"{os.strerror(ctypes.get_errno())} (type {kind}, config {config:#x}, cpu {cpu})")
    return int(file)


def _text(place: Place, path: Path) -> str:
    file = place.opener(path)
    try:
        return os.pread(file, 4096, 0).decode().strip()
    finally:
        os.close(file)


def _packages(place: Place, pmu: Path) -> dict[int, str]:
    """The processors to open events on, each with the name of its package as powercap has it.

    On AMD the counter is the package's also where the kernel lists a processor for each die: once is enough.
    """
    cpuinfo = place.root / "proc/cpuinfo"
    amd = cpuinfo.exists() and "AuthenticAMD" in cpuinfo.read_text()
    places = {}
    for part in _text(place, pmu / "cpumask").split(","):
        first, _, last = part.partition("-")
        if not 0 <= int(first) <= int(last or first) < MOST_PROCESSORS:
            raise ValueError(f"cpumask has {part[:40]!r}, which are no processors")
        for cpu in range(int(first), int(last or first) + 1):
            topology = place.root / f"sys/devices/system/cpu/cpu{cpu}/topology"
            die = _text(place, topology / "die_id") if (topology / "die_id").exists() else "0"
            places[cpu] = _text(place, topology / "physical_package_id"), die
    dies = len({die for _, die in places.values()})
    by_cpu: dict[int, str] = {}
    for cpu, (package, die) in places.items():
        name = f"package-{package}" if amd or dies == 1 else f"package-{package}-die-{die}"
        if name not in by_cpu.values():
            by_cpu[cpu] = name
    return by_cpu


def _event(place: Place, path: Path) -> tuple[int, float]:
    """The code of an event and its joules for each count."""
    code, unit = _text(place, path), _text(place, path.with_name(f"{path.name}.unit"))
    if unit != "Joules" or not code.startswith("event="):
        raise ValueError(f"{path.name} is {code!r} in {unit!r}, not event=N in Joules")
    scale = float(_text(place, path.with_name(f"{path.name}.scale")))
    if not 0 < scale < 1:
        raise ValueError(f"{path.name}.scale is {scale}, no joules of a count")
    return int(code.removeprefix("event="), 0), scale


def _channel(package: str, domain: str, scale: float, root: Path) -> Channel:
    socket = package.split("-")[1]
    psys = "psys" if socket == "0" else f"psys-{socket}"
    key = psys if domain == "psys" else f"{package}/{domain}" if domain else package
    level: Level = "board" if domain == "psys" else "package" if domain in ("", "dram") else "component"
    part = "board" if domain == "psys" else "memory" if domain == "dram" else "processor"
    step_uJ = USUAL_LSB_UJ
    with suppress(SourceUnavailable):  # events do not tell the hardware's step; powercap's zones tell it to everybody
        step_uJ = next((zone.lsb_uJ for zone in find_zones(root) if zone.key == key), step_uJ)
    return Channel(
        id=key,
        kind="counter",
        scale=scale,
        scope=f"{part}: {key}",
        level=level,
        update_period_s=UPDATE_PERIOD_S,
        lsb=step_uJ * 1e-6 / scale,
    )
