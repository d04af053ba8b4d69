"""Seconds and joules of one part of a run: the record's ``replication``, and what its ``fault`` is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from bench.record.block import Block, Entry


@dataclass(frozen=True, kw_only=True)
class WindowEnergyRecord(Block):
    """Energy of some hosts in one stretch of time."""

    kind: Annotated[Literal["measured", "modelled", "none"], Entry("by sensors, by a model of the board, or not at all")]
    joules: Annotated[float | None, Entry("joules; null: a host has no readings of it", "J")]
    uncertainty_J: Annotated[float | None, Entry("standard uncertainty; null: no joules", "J")]
    quality: Annotated[str, Entry("good, or what is wrong with the readings")]


@dataclass(frozen=True, kw_only=True)
class ReplicationRecord(WindowEnergyRecord):
    """Bringing the weights from rank 0 to all ranks (``train.replicate=true``)."""

    start_s: Annotated[float | None, Entry("begin, from the start of the run", "s")] = None
    seconds: Annotated[float, Entry("length", "s")]
    payload_bytes: Annotated[int, Entry("bytes that ranks received", "B")]
