"""What can be counted of the house: sizes of files and functions, and dictionaries without a type.

python -m tests.house.measures lower       writes smaller numbers into limits.yaml, never larger or new ones
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.project import ROOT

PACKAGES = ("strategies", "bench", "analysis", "edgejoule")
FILE_LINES, FUNCTION_LINES, LONGEST_FUNCTION = 300, 40, 60
PLAIN_DICTIONARY = re.compile(r"\b(?:dict|Mapping|MutableMapping)\[str, Any\]")
LIMITS = Path(__file__).with_name("limits.yaml")

Numbers = dict[str, int]


def modules() -> list[Path]:
    """Every module of the packages."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def long_files() -> Numbers:
    """Files above FILE_LINES, with their lines."""
    lines = {name_of(path): len(path.read_text().splitlines()) for path in modules()}
    return {name: number for name, number in lines.items() if number > FILE_LINES}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """The functions and methods of a file, with their lines: signature, docstring and body."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def long_functions() -> Numbers:
    """Functions above FUNCTION_LINES, as ``file::name``, with their lines."""
    found = {f"{name_of(path)}::{name}": lines for path in modules() for name, lines in functions(path)}
    return {name: lines for name, lines in found.items() if lines > FUNCTION_LINES}


def plain_dictionaries() -> Numbers:
    """How often ``dict[str, Any]`` or ``Mapping[str, Any]`` stands in each package, or loose file beside packages."""
    counts = Counter[str]()
    for path in modules():
        counts["/".join(path.relative_to(ROOT).parts[:2])] += len(PLAIN_DICTIONARY.findall(path.read_text()))
    return {name: number for name, number in sorted(counts.items()) if number}


MEASURES = {"long_files": long_files, "long_functions": long_functions, "plain_dictionaries": plain_dictionaries}


def limits() -> dict[str, Numbers]:
    """The numbers that were reached last."""
    return {name: numbers or {} for name, numbers in yaml.safe_load(LIMITS.read_text()).items()}


def above(measured: Numbers, allowed: Numbers) -> list[str]:
    """What is larger than allowed, or not allowed at all."""
    return [
        f"{name}: {number}, at most {allowed.get(name, 0)}"
        for name, number in measured.items()
        if number > allowed.get(name, 0)
    ]


def below(measured: Numbers, allowed: Numbers) -> list[str]:
    """What has become smaller than its limit."""
    return [
        f"{name}: {measured.get(name, 0)}, not {number}" for name, number in allowed.items() if measured.get(name, 0) < number
    ]


def lower() -> None:
    """Take the measured numbers where they are smaller, and drop what is small enough."""
    lowered = {}
    for name, measure in MEASURES.items():
        measured, allowed = measure(), limits()[name]
        lowered[name] = {key: min(number, measured[key]) for key, number in allowed.items() if key in measured}
    head = "".join(line for line in LIMITS.read_text().splitlines(keepends=True) if line.startswith("#"))
    LIMITS.write_text(head + yaml.safe_dump(lowered, sort_keys=True))


if __name__ == "__main__":
    if sys.argv[1:] != ["lower"]:
        sys.exit("usage: python -m tests.house.measures lower")
    lower()
