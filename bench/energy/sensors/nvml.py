"""Energy of NVIDIA's graphics processors, through NVML, the library of their driver.

Reads the total energy of each GPU of the host, in millijoules since the driver was loaded (Volta and later, renewed about
every 100 ms); where there is none, the momentary power in milliwatts (field 186), and before that the power usage, which
is a mean over a second on most of Ampere and later. No permission is needed. It includes the whole GPU board or module
with its memory, all processes and all GPUs of the host, but not what feeds it.

On A100 and H100 the sensor watches only 25 % of the time, so a load that beats with its sampling is off by more than the
noise: measure over many steps, and against a meter. On a Jetson NVML starts and has no power: use ``jetson``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Literal

from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind

UPDATE_PERIOD_S = 0.1
MEAN_S = 1.0
"""Power usage is a mean over a second."""
SCOPE_GPU = 0
SPARSE = ("A100", "H100")


@register
class Nvml(Source):
    """The GPUs of the host, each by the best reading that it has."""

    name: ClassVar[str] = "nvml"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 30
    sensor: ClassVar[str] = "nvml"
    not_measured: tuple[str, ...] = ("everything but the NVIDIA GPUs",)

    def __init__(self, nvml: Any, readers: list[Callable[[], int]], channels: tuple[Channel, ...]) -> None:
        self.nvml, self.readers, self.channels = nvml, readers, channels

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open all GPUs of this machine."""
        if place.root != Path("/"):
            raise SourceUnavailable(f"NVML reads the GPUs of this machine, not the tree {place.root}; use energy.root=/")
        try:
            import pynvml
        except ImportError as error:
            raise SourceUnavailable(f"nvidia-ml-py cannot be imported ({error}); `pip install nvidia-ml-py`") from None
        try:
            pynvml.nvmlInit()
        except Exception as error:  # noqa: BLE001 -- a library that is broken fails as it likes
            raise SourceUnavailable(f"NVML does not start: {error}; is the NVIDIA driver loaded (`nvidia-smi`)?") from None
        with ExitStack() as on_failure:
            on_failure.callback(pynvml.nvmlShutdown)
            try:
                gpus = [_gpu(pynvml, number) for number in range(pynvml.nvmlDeviceGetCount())]
            except SourceUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 -- as above
                raise SourceUnavailable(f"NVML: {error}; see `nvidia-smi`") from None
            if not gpus:
                raise SourceUnavailable("NVML finds no GPU on this host; use another source")
            on_failure.pop_all()
        return cls(pynvml, [reader for reader, _ in gpus], tuple(channel for _, channel in gpus))

    def read(self) -> list[int]:
        """Millijoules or milliwatts of each GPU."""
        try:
            return [reader() for reader in self.readers]
        except Exception as error:  # noqa: BLE001 -- as above
            raise OSError(f"NVML: {error}") from None

    def close(self) -> None:
        """Close what ``open`` opened."""
        try:
            self.nvml.nvmlShutdown()
        except self.nvml.NVMLError as error:
            raise OSError(f"NVML: {error}") from None


def _gpu(nvml: Any, number: int) -> tuple[Callable[[], int], Channel]:
    """The best reading that a GPU has: energy, power of the moment, mean power."""
    handle = nvml.nvmlDeviceGetHandleByIndex(number)
    name = nvml.nvmlDeviceGetName(handle)

    def energy_mJ() -> int:
        return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))

    def power_mW() -> int:
        (field,) = nvml.nvmlDeviceGetFieldValues(handle, [(nvml.NVML_FI_DEV_POWER_INSTANT, SCOPE_GPU)])
        if field.nvmlReturn:
            raise nvml.NVMLError(field.nvmlReturn)
        return int(field.value.uiVal)

    def mean_power_mW() -> int:
        return int(nvml.nvmlDeviceGetPowerUsage(handle))

    readers: list[tuple[Callable[[], int], Literal["counter", "power"], float]] = [
        (energy_mJ, "counter", UPDATE_PERIOD_S),
        (power_mW, "power", UPDATE_PERIOD_S),
        (mean_power_mW, "power", MEAN_S),
    ]
    why = "nothing"
    for reader, kind, period_s in readers:
        try:
            reader()
        except Exception as error:  # noqa: BLE001 -- not supported, or a call that an older package does not have
            why = str(error)
            continue
        watched = "; its sensor watches only 25 % of the time" if any(model in name for model in SPARSE) else ""
        scope = f"{name}, {nvml.nvmlDeviceGetUUID(handle)}{watched}"
        return reader, Channel(f"gpu-{number}", kind, scale=1e-3, scope=scope, update_period_s=period_s)
    raise SourceUnavailable(f"{name} has no power reading ({why}); on a Jetson use energy.source=jetson")
