"""A finding of a rule in a study: a status and a sentence."""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["failed", "warned", "passed", "skipped"]
SEVERITY: tuple[Status, ...] = ("failed", "warned", "passed", "skipped")
"""From the worst on."""


class RuleFinding(NamedTuple):
    """One finding; the worst of a rule's findings is the rule's status."""

    status: Status
    text: str


def verdict(good: bool, text: str, otherwise: Status = "failed") -> RuleFinding:
    """A finding that passed, or not.

    Args:
        good: Whether it passed.
        text: The finding in words.
        otherwise: Its status if it is not good.

    Returns:
        The finding.
    """
    return RuleFinding("passed" if good else otherwise, text)
