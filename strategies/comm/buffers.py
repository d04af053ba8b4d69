"""Torch tensors as MPI buffers, by a strict table of dtypes.

mpi4py accepts a bfloat16 tensor through DLPack and silently sums its *bytes*; a transposed matrix is sent in memory
order. Both are refused here: only contiguous CPU tensors of a dtype that MPI can add are handed over.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor


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


def as_mpi(tensor: Tensor) -> list[Any]:
    """The tensor's own memory as an MPI buffer specification, without a copy.

    Raises TypeError for a dtype that MPI cannot add (bfloat16, float16, bool, ...) and ValueError for a tensor that
    is not contiguous or not on the CPU.
    """
    datatype = _datatypes().get(tensor.dtype)
    if datatype is None:
        known = ", ".join(str(dtype) for dtype in _datatypes())
        raise TypeError(f"MPI cannot reduce {tensor.dtype}; cast to one of {known} first")
    if tensor.device.type != "cpu":
        raise ValueError(f"MPI needs a tensor on the CPU, found {tensor.device}; stage it in host memory first")
    if not tensor.is_contiguous():
        raise ValueError(f"MPI needs a contiguous tensor, found strides {tensor.stride()} for {tuple(tensor.shape)}")
    from mpi4py import MPI

    view = MPI.buffer.fromaddress(tensor.data_ptr(), tensor.numel() * tensor.element_size())
    return [view, datatype]


def nbytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
