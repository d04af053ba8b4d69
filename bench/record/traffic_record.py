"""The record's ``traffic``: bytes that one optimizer step moves, beside the plan's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from bench.record.block import Block, Entry

Bytes = Annotated[int, Entry("bytes of this kind of operation", "B", minimum=0)]


@dataclass(frozen=True, kw_only=True)
class TrafficRecord(Block):
    """Bytes of one optimizer step, summed over ranks, by ``axis.operation.phase``."""

    payload_bytes: Annotated[Mapping[str, Bytes], Entry("bytes that ranks handed to MPI, as the ledger counted them", "B")]
    theory_bytes: Annotated[Mapping[str, Bytes], Entry("the same by the plan's formulas; they must be equal", "B")]
    wire_bytes: Annotated[Mapping[str, float], Entry("bytes that ranks send with a bandwidth-optimal algorithm", "B")]
