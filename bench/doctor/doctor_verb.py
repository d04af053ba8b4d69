"""The base of the doctor's verbs: a verb is a module of this package with a ``VERB``."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from rich.console import Console

from bench.common.exit_codes import FAILED, OK
from bench.common.program_names import as_called
from bench.common.user_error import UserError
from bench.point import hydra_compose
from strategies.common.registry import did_you_mean

Status = Literal["PASS", "WARN", "FAIL"]
COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}
PREFIX = "doctor."
SWITCH = {"true": True, "false": False}


@dataclass(frozen=True)
class Verb:
    """``run`` gets the words after the verb and returns the exit code; it raises UserError for bad input."""

    name: str
    summary: str
    help: str
    run: Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at and found, and for WARN and FAIL what to do."""

    status: Status
    text: str


def verbs() -> dict[str, Verb]:
    """Every verb of the package by name."""
    import bench.doctor as package

    by_name = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name == "__main__":
            continue
        verb = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "VERB", None)
        if verb is not None:
            by_name[verb.name] = verb
    return by_name


def exit_code(findings: Sequence[Finding]) -> int:
    """The exit code of a verb.

    Args:
        findings: All of its findings.

    Returns:
        0 where a run can be trusted as far as its warnings go, 1 where one would fail or be invalid.
    """
    return FAILED if any(finding.status == "FAIL" for finding in findings) else OK


def show(findings: Sequence[Finding], out: TextIO | None = None) -> None:
    """Print the findings, the worst last, and how many of each.

    Args:
        findings: In any order.
        out: Where to print, coloured on a terminal; None: standard output.
    """
    out = out or sys.stdout
    order: tuple[Status, ...] = ("PASS", "WARN", "FAIL")
    console = Console(file=out, highlight=False, soft_wrap=True) if out.isatty() else None
    for finding in sorted(findings, key=lambda finding: order.index(finding.status)):
        if console is None:
            print(f"{finding.status}  {as_called(finding.text)}", file=out)
        else:
            console.print(finding.status, style=COLOURS[finding.status], end="  ")
            console.print(as_called(finding.text), markup=False)
    counts = [(status, sum(finding.status == status for finding in findings)) for status in order]
    print(", ".join(f"{count} {status}" for status, count in counts if count), file=out)


def split(words: Sequence[str], known: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Divide the words of a command line into those for Hydra and the doctor's own (``doctor.seconds=3``).

    Args:
        words: The words after the verb.
        known: The doctor's keys, without ``doctor.``, and their defaults, whose types the values get.

    Returns:
        The overrides for Hydra, and all values of ``known``.

    Raises:
        UserError: A key is unknown, or a value has another type.
    """
    values, overrides = dict(known), []
    for word in words:
        key, _, value = word.partition("=")
        if not word.startswith(PREFIX):
            overrides.append(word)
            continue
        name = key.removeprefix(PREFIX)
        if name not in known:
            raise UserError(
                f"unknown key {key}; known are {', '.join(PREFIX + k for k in known)}{did_you_mean(name, list(known))}"
            )
        if isinstance(known[name], bool):
            if value not in SWITCH:
                raise UserError(f"{word} must be true or false")
            values[name] = SWITCH[value]
            continue
        try:
            values[name] = type(known[name])(value)
        except ValueError:
            raise UserError(f"{word} must be a number") from None
    return overrides, values


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration under the overrides.

    Args:
        overrides: Words of Hydra.

    Returns:
        The sections as plain values.

    Raises:
        UserError: A word is no override. Hydra's own errors pass as they are.
    """
    hydra_compose.check_words(overrides, "bench.doctor")
    return hydra_compose.composed(overrides)
