"""Torch tensors as MPI buffers, by a strict table of dtypes.

mpi4py accepts a bfloat16 tensor through DLPack and silently sums its *bytes*; a transposed matrix is sent in memory
order. Both are refused here: only contiguous CPU tensors of a dtype that MPI can add are handed over. Two kinds of
tensor are helped: 16-bit floats may be *moved* (``moved=True``, never reduced), and tensors on a GPU go through pinned
host memory (``to_host``, ``from_host``).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from strategies.plan.partition import Span

SIXTEEN_BITS = (torch.float16, torch.bfloat16)


@cache
def _datatypes() -> dict[torch.dtype, Any]:
    from mpi4py import MPI

    return {
        torch.float32: MPI.FLOAT,
        torch.float64: MPI.DOUBLE,
        torch.int32: MPI.INT32_T,
        torch.int64: MPI.INT64_T,
        torch.uint8: MPI.UINT8_T,
    }


def as_mpi(tensor: Tensor, moved: bool = False, aware: bool = False) -> list[Any]:
    """The tensor's own memory as an MPI buffer specification, without a copy.

    Args:
        tensor: Contiguous, on the CPU.
        moved: It is only moved, never reduced: 16-bit floats may be.
        aware: MPI takes buffers on a GPU.

    Returns:
        [memory, MPI datatype].

    Raises:
        TypeError: MPI cannot add the dtype (bfloat16, float16, bool, ...).
        ValueError: The tensor is not contiguous, or on a GPU that MPI is not aware of.
    """
    from mpi4py import MPI

    datatype = _datatypes().get(tensor.dtype)
    if datatype is None and moved and tensor.dtype in SIXTEEN_BITS:
        datatype = MPI.UINT16_T
    if datatype is None:
        known = ", ".join(str(dtype) for dtype in _datatypes())
        raise TypeError(f"MPI cannot reduce {tensor.dtype}; cast to one of {known} first")
    if tensor.device.type != "cpu" and not aware:
        raise ValueError(f"MPI needs a tensor on the CPU, found {tensor.device}; stage it in host memory first")
    if not tensor.is_contiguous():
        raise ValueError(f"MPI needs a contiguous tensor, found strides {tensor.stride()} for {tuple(tensor.shape)}")
    view = MPI.buffer.fromaddress(tensor.data_ptr(), tensor.numel() * tensor.element_size())
    return [view, datatype]


def parts_as_mpi(tensor: Tensor, spans: list[Span], moved: bool = False, aware: bool = False) -> list[Any]:
    """A flat tensor as consecutive parts of different sizes, one for each rank.

    Args:
        tensor: 1-d.
        spans: The part of each rank.
        moved: As in ``as_mpi``.
        aware: As in ``as_mpi``.

    Returns:
        [memory, elements of each part, first element of each part, MPI datatype].
    """
    view, datatype = as_mpi(tensor, moved, aware)
    return [view, [end - begin for begin, end in spans], [begin for begin, _ in spans], datatype]


def nbytes(tensor: Tensor) -> int:
    """Bytes of the elements of a tensor.

    Args:
        tensor: Any shape, on any device.

    Returns:
        Elements times the size of one.
    """
    return tensor.numel() * tensor.element_size()


def to_host(tensor: Tensor, aware: bool) -> Tensor:
    """The tensor that MPI reads, complete when this returns.

    Args:
        tensor: On any device.
        aware: MPI takes buffers on a GPU.

    Returns:
        ``tensor`` where MPI can read it, else a copy in pinned memory.
    """
    if tensor.device.type == "cpu":
        return tensor
    if aware:
        torch.cuda.current_stream(tensor.device).synchronize()
        return tensor
    return host_like(tensor, aware).copy_(tensor)


def host_like(tensor: Tensor, aware: bool) -> Tensor:
    """Room that MPI writes to.

    Args:
        tensor: Where the result belongs, on any device.
        aware: MPI takes buffers on a GPU.

    Returns:
        ``tensor`` where MPI can write to it, else empty pinned memory of its shape and dtype.
    """
    if tensor.device.type == "cpu":
        return tensor
    if aware:
        torch.cuda.current_stream(tensor.device).synchronize()
        return tensor
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)


def from_host(host: Tensor, tensor: Tensor) -> Tensor:
    """Put what arrived where it belongs; nothing to do where both are the same.

    Args:
        host: What MPI wrote to (``host_like``).
        tensor: Where it belongs, of the same shape.

    Returns:
        ``tensor``; on a GPU its copy may still be under way on the current stream.
    """
    return tensor if host is tensor else tensor.copy_(host, non_blocking=True)
