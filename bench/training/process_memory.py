"""Memory of this process as the kernel counts it, and of training as its tensors add up."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor, nn

from bench.record.memory_record import StateBytesRecord

PROC = Path("/proc/self")


def process_start_ns() -> int:
    """When the kernel started this process, on CLOCK_MONOTONIC, ns; to a clock tick."""
    ticks = int((PROC / "stat").read_text().rsplit(")", 1)[1].split()[19])
    up_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - ticks * 10**9 // os.sysconf("SC_CLK_TCK")
    return time.monotonic_ns() - up_ns


def resident_bytes() -> int:
    """Resident set size now."""
    return int((PROC / "statm").read_text().split()[1]) * resource.getpagesize()


def reset_peak() -> bool:
    """Start a new peak (Linux: 5 into ``clear_refs``); False where the kernel does not let us."""
    try:
        (PROC / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_bytes() -> int:
    """The largest resident set size since ``reset_peak``, or since the start of the process without it."""
    for line in (PROC / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def states(
    trainable: Sequence[tuple[nn.Parameter, bool]], optimizer: torch.optim.Optimizer, module: nn.Module
) -> StateBytesRecord:
    """Bytes of this rank's parameters, gradients and optimizer states, each storage counted once.

    Args:
        trainable: Parameters that are trained here, each with whether it is a matrix.
        optimizer: The optimizer of this rank.
        module: The rank's part of the model.

    Returns:
        The sums, in bytes.
    """
    parameters = list(module.parameters())
    gradients = [p.grad for p in (*parameters, *(p for p, _ in trainable)) if p.grad is not None]
    held = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor) and value.ndim]
    return StateBytesRecord(
        parameters_bytes=_storage_bytes(parameters),
        gradients_bytes=_storage_bytes(gradients),
        optimizer_bytes=_storage_bytes(held),
    )


def _storage_bytes(tensors: Sequence[Tensor]) -> int:
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


class ActivationMeter:
    """While active, adds up what autograd keeps for backward: each storage once, without the parameters.

    ``peak_bytes`` is the largest sum at any time. The hooks cost time: use it in a step that is not timed.
    """

    def __init__(self, module: nn.Module) -> None:
        self._weights = {p.untyped_storage().data_ptr() for p in module.parameters()}
        self._kept: dict[int, int] = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda kept: kept.tensor)
        self._now = self.peak_bytes = 0

    def __enter__(self) -> ActivationMeter:
        self._hooks.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._hooks.__exit__(kind, error, trace)

    def _pack(self, tensor: Tensor) -> _Kept:
        return _Kept(self, tensor)

    def _add(self, storage: torch.UntypedStorage, count: int) -> None:
        key = storage.data_ptr()
        if key in self._weights:
            return
        before = self._kept.get(key, 0)
        self._kept[key] = before + count
        if before == 0 or self._kept[key] == 0:
            self._now += storage.nbytes() * count
            self.peak_bytes = max(self.peak_bytes, self._now)
        if not self._kept[key]:
            del self._kept[key]


class _Kept:
    """A tensor that backward will need; it leaves the meter's sum when autograd lets go of it."""

    def __init__(self, meter: ActivationMeter, tensor: Tensor) -> None:
        self.tensor, self._meter = tensor, meter
        meter._add(tensor.untyped_storage(), 1)

    def __del__(self) -> None:
        self._meter._add(self.tensor.untyped_storage(), -1)
