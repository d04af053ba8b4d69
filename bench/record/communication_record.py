"""The record's ``communication``: how the groups of each axis communicated, who chose it and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from bench.record.block import Block, Entry

Seconds = Annotated[float, Entry("one all-reduce on the slowest rank, the best of the rounds", "s", minimum=0)]


@dataclass(frozen=True, kw_only=True)
class AllReduceTrialRecord(Block):
    """All-reduces of one size, tried at set-up in all groups of an axis at once; in no window and not in ``traffic``."""

    payload_bytes: Annotated[int, Entry("size of the buffer", "B", minimum=1)]
    seconds: Annotated[Mapping[str, Seconds], Entry("by algorithm", "s")]
    chosen: Annotated[str, Entry("the algorithm that sums buffers of this size")]


@dataclass(frozen=True, kw_only=True)
class CommChoiceRecord(Block):
    """One option of ``comm``, or the strategy's ``overlap``, on one axis of the mesh."""

    axis: Annotated[str, Entry("the axis, as in ``traffic``; ``gradients``: ranks that hold the same weights")]
    option: Annotated[
        Literal["progress", "wait", "all_reduce", "overlap"], Entry("the option of ``comm``, or ``strategy.overlap``")
    ]
    value: Annotated[str, Entry("what the ranks did")]
    chosen_by: Annotated[Literal["user", "auto"], Entry("user: the configuration gave it; auto: decided at set-up")]
    reason: Annotated[str, Entry("why, in words")]
    measured: Annotated[Sequence[AllReduceTrialRecord], Entry("the trials that it rests on; empty: none were needed")]


@dataclass(frozen=True, kw_only=True)
class CommunicationRecord(Block):
    """How ranks communicated."""

    choices: Annotated[Sequence[CommChoiceRecord], Entry("one for each option of each axis of more than one rank")]
