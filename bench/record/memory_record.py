"""The record's ``memory``: bytes of each rank. Lists have one value for each rank, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from bench.record.block import Block, Entry


@dataclass(frozen=True, kw_only=True)
class StateBytesRecord(Block):
    """Bytes of one rank's training state as its tensors add up, each storage once."""

    parameters_bytes: Annotated[int, Entry("weights", "B")]
    gradients_bytes: Annotated[int, Entry("gradients", "B")]
    optimizer_bytes: Annotated[int, Entry("states of the optimizer", "B")]


@dataclass(frozen=True, kw_only=True)
class MemoryRecord(Block):
    """Bytes of each rank, measured and predicted."""

    peak_bytes: Annotated[Sequence[int], Entry("largest resident set from the warm-up to the end of the windows", "B")]
    predicted_bytes: Annotated[Sequence[int], Entry("baseline_bytes and what the plan adds", "B")]
    baseline_bytes: Annotated[Sequence[int], Entry("resident set before the model was built", "B")]
    states: Annotated[Sequence[StateBytesRecord] | None, Entry("bytes of weights, gradients and optimizer states")] = None
    activations_bytes: Annotated[Sequence[int] | None, Entry("what autograd kept for backward, at its peak", "B")] = None
