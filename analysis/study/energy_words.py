"""Where joules are from, in words: ``measured``, or ``modelled as CLASS`` with the uncertainty of the model."""

from __future__ import annotations

import pandas as pd

MANY = 3
"""Classes that a phrase names; of more it gives the number."""


def energy_words(points: pd.DataFrame) -> str:
    """The kind of the energy of some points.

    Args:
        points: Rows of ``analysis/study/point_table.py`` of one kind of energy.

    Returns:
        ``measured``, ``none``, or ``modelled as raspberry-pi-4 (uncertain by 30 %, one error of all boards of a class)``.
    """
    kind = str(points["kind"].iloc[0])
    if kind != "modelled":
        return kind
    classes = sorted({name for names in points["modelled_as"].dropna() for name in str(names).split(", ")})
    named = ", ".join(classes) if len(classes) <= MANY else f"{len(classes)} classes of boards"
    known = points["model_share"].dropna()
    doubt = f"uncertain by {100 * float(known.max()):.2g} %, one error of all boards of a class" if len(known) else ""
    return f"modelled{f' as {named}' if named else ''}{f' ({doubt})' if doubt else ''}"
