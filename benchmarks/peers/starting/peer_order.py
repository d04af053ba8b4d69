"""What ranks are told to measure. Neither torch nor MPI is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Order:
    """What ranks are to measure.

    Attributes:
        network: ``shared memory``, or the rate as it was asked for.
        rate_bit_s: Of the boards' links; None on shared memory.
        lines: (model, number of the pair in ``PAIRS``).
        rounds: At most, of each line.
        steps: Of one side in a round.
        budget_s: Seconds of one line; None: as long as it takes.
        hang_s: Seconds after which a line is given up, with the whole job.
        limit: Whether one process takes turns too.
        comm: Of ours, where it differs from the defaults: ``wait``, ``progress``, ``all_reduce``.
        store: A new file that all hosts see, for gloo to meet; None: one of this machine.
    """

    network: str
    rate_bit_s: float | None
    lines: tuple[tuple[str, int], ...]
    rounds: int = 6
    steps: int = 1
    budget_s: float | None = None
    hang_s: float = 1800.0
    limit: bool = True
    comm: Mapping[str, str] | None = None
    store: str | None = None

    @classmethod
    def of(cls, values: dict[str, Any]) -> Order:
        """An order as JSON has it.

        Args:
            values: The JSON object.

        Returns:
            The order.
        """
        return cls(**{**values, "lines": tuple((model, number) for model, number in values["lines"])})
