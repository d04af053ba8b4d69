"""Modelled power from what the kernel counts, with the coefficients of the board's class. Not a measurement.

    P = idle + sum over cores a(f) u^b + GPU + memory bytes + network bytes

Busy time of the cores is a counter (``/proc/stat``, in clock ticks), so no reading between two others is missed; u is a core's
use over the last second. The GPU's use is read where a point computes on it. A wattage that was read with another device at
work than the point's is refused. ``docs/explanation/modelled-power.md`` has the form, the sources and the uncertainty.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import ClassVar

from bench.cluster.board_power import GPU, PowerModel
from bench.common.user_error import UserError
from bench.energy.sensor_base.core_use import CoreUse
from bench.energy.sensor_base.load_counters import CLOCKS, MEMORY, READ_BYTES, Files, busy_ticks, gpu_file, network_files
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
US = 1e-6


@register
class Modelled(Source):
    """Use of cores and GPU, bytes of network and memory, as counters of modelled joules."""

    name: ClassVar[str] = "modelled"
    kind: ClassVar[Kind] = "modelled"
    rank: ClassVar[int] = 100
    sensor: ClassVar[str] = "modelled"
    not_measured: tuple[str, ...] = (
        "everything: power is modelled from CPU utilisation",
        "network switch",
    )

    def __init__(self, place: Place, model: PowerModel) -> None:
        self.model, self._gpu_s = model, 0.0
        self._gpu_read_s: float | None = None
        self._stat = place.opener(place.root / "proc/stat")
        _, cores = busy_ticks(os.pread(self._stat, READ_BYTES, 0).decode())
        numbers = [number for number, _ in cores]
        self._use = CoreUse(model.exponent, model.clocks)
        missing: list[str] = []
        clocks = [place.root / CLOCKS.format(core=number) for number in numbers] if model.clocks else []
        self._clocks = _files(place, clocks, "the clocks of the cores: the highest counts", missing if model.clocks else [])
        busy = gpu_file(place.root) if model.gpu_W else None
        self._gpu: Files | None = None if busy is None else Files(place, [busy[0]])
        self._gpu_full = 1 if busy is None else busy[1]
        network = network_files(place.root) if model.network_J_per_byte else []
        self._network = _files(place, network, "bytes on the wire", missing if model.network_J_per_byte else [])
        memory = sorted(place.root.glob(MEMORY)) if model.memory_J_per_byte else []
        self._memory = _files(place, memory, "bytes of the memory", missing if model.memory_J_per_byte else [])
        self.not_measured = (*type(self).not_measured, *missing)
        self.channels = self._channels(place.board.name, len(numbers))

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the counters of this machine, with the coefficients of its class."""
        try:
            model = place.board.power_model()
        except UserError as error:
            raise SourceUnavailable(str(error)) from None
        if place.board.device == GPU and gpu_file(place.root) is None:
            raise SourceUnavailable(
                f"{place.board.name} computes on its GPU, whose use cannot be read (no gpu.0/load, no gpu_busy_percent); "
                "measure with a sensor or a meter"
            )
        try:
            return cls(place, model)
        except OSError as error:
            raise SourceUnavailable(f"{error.filename or place.root / 'proc/stat'}: {error.strerror}") from None
        except (ValueError, IndexError):
            raise SourceUnavailable(f"{place.root / 'proc/stat'} or the GPU's load has no numbers") from None

    def _channels(self, board: str, cores: int) -> tuple[Channel, ...]:
        model = self.model
        cpu = Channel(
            id="cpu-utilisation",
            kind="counter",
            scale=model.cpu_W / cores * US,
            scope=f"modelled as {board}: {model.basis}, {cores} CPUs, exponent {model.exponent:g}",
            level="board",
            update_period_s=TICK_S,
            lsb=TICK_S / US,
            baseline_W=model.idle_W,
            contains=("busy-ticks",),
            model_u=model.relative_u,
        )
        parts = [
            ("gpu", model.gpu_W * US, "use of the GPU", self._gpu),
            ("network", model.network_J_per_byte, "bytes sent and received", self._network),
            ("memory", model.memory_J_per_byte, "bytes to and from memory", self._memory),
        ]
        others = [
            Channel(name, "counter", scale, scope, "board", model_u=model.relative_u, may_stand=name != "gpu")
            for name, scale, scope, files in parts
            if files is not None
        ]
        ticks = Channel("busy-ticks", "counter", model.cpu_W / cores * TICK_S, "busy clock ticks of all CPUs", "board")
        return (cpu, ticks, *others)

    def read(self) -> list[int]:
        """Weighted busy time of the cores (us), busy ticks, busy time of the GPU (us), bytes."""
        total, cores = busy_ticks(os.pread(self._stat, READ_BYTES, 0).decode())
        now_s = time.monotonic()
        clocks_Hz = [1e3 * kHz for kHz in self._clocks.values()] if self._clocks is not None else []
        seconds = self._use.add(now_s, [count * TICK_S for _, count in cores], clocks_Hz)
        raw = [round(seconds / US), total]
        if self._gpu is not None:
            passed_s = 0.0 if self._gpu_read_s is None else now_s - self._gpu_read_s
            self._gpu_s, self._gpu_read_s = self._gpu_s + passed_s * self._gpu.values()[0] / self._gpu_full, now_s
            raw.append(round(self._gpu_s / US))
        return raw + [sum(files.values()) for files in (self._network, self._memory) if files is not None]

    def close(self) -> None:
        """Close what ``open`` opened."""
        os.close(self._stat)
        for files in (self._clocks, self._gpu, self._network, self._memory):
            if files is not None:
                files.close()


def _files(place: Place, paths: list[Path], what: str, missing: list[str]) -> Files | None:
    """The files, where all can be read; else the coefficient that needs them is named as missing."""
    try:
        if paths:
            return Files(place, paths)
    except (OSError, ValueError):
        pass
    missing.append(what)
    return None
