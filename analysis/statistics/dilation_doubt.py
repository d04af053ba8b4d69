"""Would another configuration be the fastest if the boards' training rate were half or twice what their class states?

Modelled from a record's own seconds, not measured: with ``share`` times the dilation, boards compute 1 / share as long, and
messages take what they took. Waiting for others is waiting for their computation and scales with it. Communication that
ran beside the computation stays hidden as far as there is computation to hide it behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.statistics.repeat_summary import summarise
from analysis.study.study_record import MeasuredStudyRecord

SHARES = (0.5, 2.0)
"""Of the dilation: the boards half as fast as their class is taken to be, and twice."""


@dataclass(frozen=True)
class DilationDoubt:
    """The fastest configuration as recorded, and at each of ``SHARES`` times the dilation; the range of the factors."""

    recorded: str
    modelled: Mapping[float, str]
    factors: tuple[float, float]

    @property
    def holds(self) -> bool:
        """Whether the same configuration is the fastest everywhere."""
        return set(self.modelled.values()) == {self.recorded}


def modelled_rate(record: MeasuredStudyRecord, share: float) -> float:
    """Samples a second with another dilation.

    Args:
        record: A good point.
        share: The dilation, relative to the record's.

    Returns:
        The rate; that of the record's window for a share of 1.
    """
    time, ranks = record.time, len(record.time.by_rank)
    steps = ranks * time.steps
    computes_s = math.fsum(rank.compute_s + rank.wait_s for rank in time.by_rank) / steps
    messages_s = math.fsum(rank.communicate_s for rank in time.by_rank) / steps
    beside_s = math.fsum(rank.overlapped_s for rank in time.by_rank) / steps
    uncovered_s = beside_s * (1 - min(1.0, 1 / share))
    return time.samples / time.steps / (computes_s / share + messages_s + uncovered_s)


def dilation_doubt(records: Mapping[str, Sequence[MeasuredStudyRecord]]) -> DilationDoubt | None:
    """The fastest configuration of one work at half and at twice its dilation.

    Args:
        records: Good points of the same work, by the label of their configuration.

    Returns:
        What would be fastest; None for fewer than two configurations, and where a point's boards have the machine's time.
    """
    every = [record for repeats in records.values() for record in repeats]
    factors = [record.dilation.factor for record in every if record.dilation is not None]
    if len(records) < 2 or len(factors) < len(every):
        return None

    def fastest(share: float) -> str:
        rates = {label: [modelled_rate(one, share) for one in repeats] for label, repeats in records.items()}
        return max(rates, key=lambda label: summarise(rates[label]).median)

    return DilationDoubt(fastest(1.0), {share: fastest(share) for share in SHARES}, (min(factors), max(factors)))


def in_words(doubt: DilationDoubt) -> str:
    """The doubt as a sentence.

    Args:
        doubt: Of one work.

    Returns:
        Whether the fastest stays the fastest, and which one would be instead.
    """
    how = "modelled from the records: computation and waiting scaled, messages as they were"
    if doubt.holds:
        return f"{doubt.recorded} would stay the fastest were the boards half or twice as fast as taken ({how})."
    words = {0.5: "half", 2.0: "twice"}
    changes = [
        f"were they {words[share]} as fast as taken, {label} would be the fastest and not {doubt.recorded}"
        for share, label in doubt.modelled.items()
        if label != doubt.recorded
    ]
    text = " and ".join(changes)
    return f"This depends on how fast the boards are: {text} ({how})."
