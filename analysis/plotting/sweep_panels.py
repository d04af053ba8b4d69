"""Figures over a varied factor: which factors are numbers of the training, what a panel shows, the table behind the lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.study.sweeps import Series, Sweep, short_labels

TRAINING_NUMBERS = {
    "seq": "Sequence length (tokens)",
    "batch": "Samples in a step (count)",
    "micro_batches": "Micro-batches of a replica (count)",
    "threads": "Threads of a rank (count)",
    "option.virtual_stages": "Virtual stages of a rank (count)",
    "option.bucket_bytes": "Gradient bucket (bytes)",
}
"""Numbers of the training. One that follows from an earlier one or from ``CIRCUMSTANCES`` has no figure of its own."""
CIRCUMSTANCES = ("ranks", "hosts", "boards", "cluster", "link_rate_bit_s", "link_delay_s", "power_mode")


@dataclass(frozen=True)
class Panel:
    """One quantity: its column and the label of its axis."""

    column: str
    label: str


def sweep_table(series: Sequence[Series], swept: Sweep, columns: Sequence[str]) -> pd.DataFrame:
    """The rows behind the lines.

    Args:
        series: The lines.
        swept: Their sweep.
        columns: The quantities.

    Returns:
        One row for each repeat: its line, the factors that vary along it, and the quantities.
    """
    along = [n for n in swept.follow if any(line.points[n].nunique(dropna=False) > 1 for line in series)]
    kept_columns = ["strategy", "repeat", swept.x, *along, *columns, "kind"]
    return pd.concat(
        [line.points[kept_columns].assign(line=label) for line, label in zip(series, short_labels(series), strict=True)],
        ignore_index=True,
    )
