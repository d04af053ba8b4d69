"""The steps and evaluations of one rank, with their times on its own clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from strategies.base import Scores


@dataclass
class Segment:
    """Consecutive steps without a pause. ``ends_ns`` has the end of each step; ``timed`` is False for warm-up.

    ``start_cpu_ns`` and ``end_cpu_ns`` are processor time of the whole process at its start and after its last step.
    """

    timed: bool
    first_step: int
    start_ns: int
    ends_ns: list[int] = field(default_factory=list)
    start_cpu_ns: int = 0
    end_cpu_ns: int = 0

    @property
    def steps(self) -> range:
        """Numbers of its steps."""
        return range(self.first_step, self.first_step + len(self.ends_ns))


@dataclass(frozen=True)
class Evaluation:
    """Sums of this rank's share of the validation split after ``step`` steps."""

    step: int
    scores: Scores


@dataclass
class History:
    """The training of one rank, which began at ``first_step``: the steps done before, where it was resumed."""

    segments: list[Segment] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    first_step: int = 0
    evaluations: list[Evaluation] = field(default_factory=list)
    warmup_stable: bool = True
    activations_bytes: int = 0

    @property
    def steps(self) -> int:
        """Steps done in all, with those before ``first_step``."""
        return self.first_step + len(self.losses)
