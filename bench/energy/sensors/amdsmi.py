"""Energy of AMD's graphics processors, through AMD SMI, the library of ROCm.

Reads the energy accumulator of each GPU of the host, in units of its ``counter_resolution`` (15.3 uJ mostly; Instinct and
later Radeons); where there is none, the socket's power of the moment in watts, and before that the average. The accumulator
is renewed about every millisecond by the firmware; power is assumed to be renewed every 0.1 s, an average every second. Needs
``amdsmi`` (ROCm's own package, or an extra: ``pip install edgejoule[amdsmi]``) with ROCm's library, and on many systems the
groups ``video`` and ``render``. It includes the whole GPU socket with its memory, all processes and all GPUs of the host, but
not what feeds it. A GPU whose energy the kernel shows by hwmon (amdgpu) can be a meter instead. Never run on the hardware: a
stand-in for the library in tests only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from bench.energy.sensor_base.external_meter import exact, micro
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind

COUNTER_S, POWER_S, MEAN_S = 0.001, 0.1, 1.0
MOST_RESOLUTION_UJ = 1e6


@register
class AmdSmi(Source):
    """The GPUs of the host, each by the best reading that it has."""

    name: ClassVar[str] = "amdsmi"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 31
    sensor: ClassVar[str] = "amdsmi"
    not_measured: tuple[str, ...] = ("everything but the AMD GPUs",)

    def __init__(self, smi: Any, readers: list[Callable[[], int]], channels: tuple[Channel, ...]) -> None:
        self.smi, self.readers, self.channels = smi, readers, channels

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open all GPUs of this machine."""
        if place.root != Path("/"):
            raise SourceUnavailable(f"AMD SMI reads the GPUs of this machine, not the tree {place.root}; use energy.root=/")
        try:
            import amdsmi
        except Exception as error:  # noqa: BLE001 -- the package loads ROCm's library, and fails as that does
            raise SourceUnavailable(
                f"amdsmi cannot be imported ({_line(error)}); install ROCm and `pip install edgejoule[amdsmi]`"
            ) from None
        try:
            amdsmi.amdsmi_init()
        except Exception as error:  # noqa: BLE001 -- as above
            raise SourceUnavailable(f"AMD SMI does not start: {_line(error)}; is amdgpu loaded (`amd-smi list`)?") from None
        try:
            handles = amdsmi.amdsmi_get_processor_handles()
            if not handles:
                raise SourceUnavailable("AMD SMI finds no GPU on this host; use another source")
            gpus = [_gpu(amdsmi, number, handle) for number, handle in enumerate(handles)]
        except SourceUnavailable:
            _shut_down(amdsmi)
            raise
        except Exception as error:  # noqa: BLE001 -- as above
            _shut_down(amdsmi)
            raise SourceUnavailable(f"AMD SMI: {_line(error)}; see `amd-smi list`") from None
        return cls(amdsmi, [reader for reader, _ in gpus], tuple(channel for _, channel in gpus))

    def read(self) -> list[int]:
        """Units of energy, or microwatts, of each GPU."""
        try:
            return [reader() for reader in self.readers]
        except (OSError, ValueError):
            raise
        except Exception as error:  # noqa: BLE001 -- as above
            raise OSError(f"AMD SMI: {_line(error)}") from None

    def close(self) -> None:
        """Close what ``open`` opened."""
        _shut_down(self.smi)


def _shut_down(smi: Any) -> None:
    with contextlib.suppress(Exception):  # it may have been lost
        smi.amdsmi_shut_down()


def _gpu(smi: Any, number: int, handle: Any) -> tuple[Callable[[], int], Channel]:
    """The best reading that a GPU has: energy, power of the moment, mean power."""

    def counter() -> int:
        reply = smi.amdsmi_get_energy_count(handle)
        return int(exact(reply["energy_accumulator"] if "energy_accumulator" in reply else reply["power"]))

    def power(key: str) -> Callable[[], int]:
        return lambda: micro(exact(smi.amdsmi_get_power_info(handle)[key]))

    readers: list[tuple[Callable[[], int], Literal["counter", "power"], float]] = [
        (counter, "counter", COUNTER_S),
        (power("current_socket_power"), "power", POWER_S),
        (power("average_socket_power"), "power", MEAN_S),
    ]
    name, whys = _name(smi, handle), list[str]()
    for reader, kind, period_s in readers:
        try:
            if reader() == 0 and kind == "counter":
                raise ValueError("the accumulator is 0")
            scale = _resolution_J(smi, handle) if kind == "counter" else 1e-6
        except Exception as error:  # noqa: BLE001 -- a reading that is not supported is the library's own error
            whys.append(_line(error))
            continue
        mean = "; an average of the driver" if period_s == MEAN_S else ""
        lsb = 1.0 if kind == "counter" else 1e6
        return reader, Channel(f"gpu-{number}", kind, scale, f"{name}{mean}", update_period_s=period_s, lsb=lsb)
    raise SourceUnavailable(f"{name} has no power reading ({'; '.join(whys)}); see `amd-smi metric --power`")


def _resolution_J(smi: Any, handle: Any) -> float:
    unit_uJ = float(exact(smi.amdsmi_get_energy_count(handle)["counter_resolution"]))
    if not 0 < unit_uJ < MOST_RESOLUTION_UJ:
        raise ValueError(f"counter_resolution is {unit_uJ:g} uJ")
    return unit_uJ * 1e-6


def _name(smi: Any, handle: Any) -> str:
    with contextlib.suppress(Exception):  # a name is a courtesy
        return f"{smi.amdsmi_get_gpu_asic_info(handle)['market_name']}, {smi.amdsmi_get_gpu_device_uuid(handle)}"
    return "an AMD GPU"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
