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


def docstring_lines(node: ast.AST) -> int:
    """Lines of the docstring of a module, class or function, without those of what is inside it."""
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return 0
    first = node.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return (first.end_lineno or first.lineno) - first.lineno + 1 if is_text else 0


def long_files() -> Numbers:
    """Files above FILE_LINES, with their lines. Docstrings do not count: nobody shall save on them."""
    lines = {}
    for path in modules():
        tree = ast.parse(path.read_text())
        lines[name_of(path)] = len(path.read_text().splitlines()) - sum(docstring_lines(node) for node in ast.walk(tree))
    return {name: number for name, number in lines.items() if number > FILE_LINES}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """The functions and methods of a file, with the lines of their signature and body, without docstrings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = sum(docstring_lines(part) for part in ast.walk(node))
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1 - inside


def long_functions() -> Numbers:
    """Functions above FUNCTION_LINES, as ``file::name``, with their lines."""
    lines_of = {f"{name_of(path)}::{name}": lines for path in modules() for name, lines in functions(path)}
    return {name: lines for name, lines in lines_of.items() if lines > FUNCTION_LINES}


def missing_sections() -> Numbers:
    """Public functions and methods with parameters whose docstring has no ``Args``, or no ``Returns`` where they return
    something, counted for each package. A method that overrides one of a class of the tree is described there."""
    trees = {path: ast.parse(path.read_text()) for path in modules()}
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    bases = {node.name: [ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases] for node in classes}
    methods = {node.name: {part.name for part in node.body if isinstance(part, ast.FunctionDef)} for node in classes}

    def is_described_above(owner: str, method: str) -> bool:
        parents = [base for base in bases.get(owner, []) if base in methods and base != owner]
        return any(method in methods[base] or is_described_above(base, method) for base in parents)

    counts = Counter[str]()
    for path, tree in trees.items():
        package = "/".join(path.relative_to(ROOT).parts[:2])
        for owner, function in _public_functions(tree):
            if owner is None or not is_described_above(owner, function.name):
                counts[package] += _lacks_sections(function)
    return {name: number for name, number in sorted(counts.items()) if number}


def _public_functions(tree: ast.Module) -> Iterator[tuple[str | None, ast.FunctionDef]]:
    """Public functions of a module and public methods of its public classes, without properties and ``main``."""
    owners: list[tuple[str | None, list[ast.stmt]]] = [(None, tree.body)]
    owners += [(node.name, node.body) for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    for owner, body in owners:
        for node in body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or node.name == "main":
                continue
            decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
            if "property" not in decorators and "overload" not in decorators:
                yield owner, node


def _lacks_sections(function: ast.FunctionDef) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    if not [argument for argument in arguments if argument.arg not in ("self", "cls")]:
        return False
    text = ast.get_docstring(function) or ""
    returns = function.returns is not None and ast.unparse(function.returns) not in ("None", "NoReturn")
    return "Args:" not in text or (returns and "Returns:" not in text and "Yields:" not in text)


def plain_dictionaries() -> Numbers:
    """How often ``dict[str, Any]`` or ``Mapping[str, Any]`` stands in each package, or loose file beside packages."""
    counts = Counter[str]()
    for path in modules():
        counts["/".join(path.relative_to(ROOT).parts[:2])] += len(PLAIN_DICTIONARY.findall(path.read_text()))
    return {name: number for name, number in sorted(counts.items()) if number}


MEASURES = {
    "long_files": long_files,
    "long_functions": long_functions,
    "missing_sections": missing_sections,
    "plain_dictionaries": plain_dictionaries,
}


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
