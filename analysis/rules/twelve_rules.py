"""The twelve rules of Hoefler and Belli (Scientific Benchmarking of Parallel Computing Systems, SC'15) as checks of a study.

Each rule is judged from the records alone, by findings; the worst of them is the rule's. What cannot be judged is skipped, with
the reason, and a rule is skipped where nothing of it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analysis.rules.rule_finding import SEVERITY, RuleFinding, Status
from analysis.rules.twelve_rules_experiment import base_of_ratios, bounds, factors, lines, measuring, nothing_left_out
from analysis.rules.twelve_rules_numbers import centre, comparisons, intervals, normal, rates, ratios
from analysis.study.study import Study


@dataclass(frozen=True)
class Rule:
    """One of the twelve, judged: ``status`` is passed, warned, failed or skipped, ``detail`` has all findings."""

    number: int
    title: str
    status: Status
    detail: str


def rules(study: Study) -> list[Rule]:
    """The judgement of a study by all twelve rules.

    Args:
        study: Records of any status.

    Returns:
        In their order, each with its findings.
    """
    return [_judged(number, title, list(judge(study))) for number, (title, judge) in enumerate(RULES, 1)]


def _judged(number: int, title: str, findings: Sequence[RuleFinding]) -> Rule:
    if not findings:
        return Rule(number, title, "skipped", "no point has a valid record")
    worst_first = sorted(findings, key=lambda finding: SEVERITY.index(finding.status))
    return Rule(number, title, worst_first[0].status, "; ".join(finding.text for finding in worst_first))


RULES: tuple[tuple[str, Callable[[Study], Iterator[RuleFinding]]], ...] = (
    ("Ratios say their base, in absolute numbers", base_of_ratios),
    ("No point is left out, and the whole machine is used", nothing_left_out),
    ("Rates are means of sums", rates),
    ("Ratios are not averaged", ratios),
    ("What varies has an interval", intervals),
    ("Normality is not assumed", normal),
    ("Comparisons have tests that can tell", comparisons),
    ("The centre is the right summary", centre),
    ("Factors, levels and environment are documented", factors),
    ("How it was measured is documented", measuring),
    ("Bounds are available", bounds),
    ("Lines only where there is a trend", lines),
)
