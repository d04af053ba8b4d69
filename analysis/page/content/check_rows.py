"""Checks for the page: those of points summarised, those of the study as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.study.study import Study

STATUSES = ("failed", "warned", "passed", "skipped")
"""From the worst on."""
IN_SUMMARY = ("passed", "warned", "failed", "skipped")
SHOWN = 3


@dataclass(frozen=True)
class Row:
    """One check: its verdict, what was found, and, of checks of points, how many had which status.

    ``folded`` are details beyond the first.
    """

    name: str
    verdict: str
    counts: str
    details: tuple[str, ...]
    folded: tuple[str, ...] = ()


def point_rows(study: Study) -> list[Row]:
    """Each check of the points, over all of them.

    Args:
        study: Records of any status.

    Returns:
        A row for each check: the worst that it said, how often, and its words where it did not pass.
    """
    counts: dict[str, Counter[str]] = {}
    first: dict[str, str] = {}
    bad: dict[str, list[str]] = {}
    for record in study.records:
        for check in record.checks:
            counts.setdefault(check.name, Counter())[check.status] += 1
            first.setdefault(check.name, check.detail)
            if check.status in ("failed", "warned"):
                bad.setdefault(check.name, []).append(f"{record.point.name}: {check.detail}")
    return [_row(name, statuses, bad.get(name, []) or [first[name]]) for name, statuses in counts.items()]


def _row(name: str, counts: Counter[str], details: Sequence[str]) -> Row:
    verdict = next(status for status in STATUSES if counts[status])
    listed = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    return Row(name, verdict, listed, tuple(details[:SHOWN]), tuple(details[SHOWN:]))


def summary(verdicts: Sequence[str]) -> str:
    """How many verdicts there are of each kind.

    Args:
        verdicts: Statuses of checks.

    Returns:
        ``9 passed, 2 warned, 1 failed``.
    """
    counts = Counter(verdicts)
    return ", ".join(f"{counts[status]} {status}" for status in IN_SUMMARY if counts[status])
