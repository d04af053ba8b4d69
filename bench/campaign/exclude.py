"""``campaign.exclude``: conditions over a point's values that keep combinations out of a sweep.

``ranks == 1 and strategy != single``, ``train.batch < 2 * ranks``, ``model in (gpt2-tiny, minilm)``. Python's own parser
reads them, a small walk over its tree evaluates them: nothing is called, and no name is looked up but the point's values.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

Value = bool | int | float | str | None | tuple["Value", ...]
Values = Mapping[str, Value]  # of a point, by dotted key
GROUPS = ("strategy", "model", "task", "cluster")  # a group's own name stands for that of the chosen option
CONSTANTS: dict[str, Value] = {"null": None, "true": True, "false": False}
LONGEST = 500
DASHED = re.compile(r"^[A-Za-z_]\w*(-\w+)+$")  # gpt2-tiny: to Python a difference
COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, several: value in several,
    ast.NotIn: lambda value, several: value not in several,
}
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
COMPUTED: dict[type[ast.operator], Callable[[Any, Any], int | float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def values_of(plain: Mapping[str, Any]) -> dict[str, Value]:
    """The dotted values of a composed configuration, as conditions name them.

    Args:
        plain: The configuration as plain values.

    Returns:
        By dotted key; a group's name stands for its chosen option, and ``single`` has one rank, whatever was given.
    """
    values: dict[str, Value] = {group: plain[group]["name"] for group in GROUPS}
    values["energy"] = plain["energy"]["source"]
    values.update(_dotted({key: value for key, value in plain.items() if key != "campaign"}, ""))
    if values["strategy"] == "single":
        values["ranks"] = 1
    return values


def _dotted(values: Mapping[str, Any], prefix: str) -> dict[str, Value]:
    dotted: dict[str, Value] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            dotted.update(_dotted(value, f"{prefix}{key}."))
        else:
            dotted[f"{prefix}{key}"] = tuple(value) if isinstance(value, list) else value
    return dotted


def excluded_by(points: Sequence[Values], conditions: Sequence[str]) -> list[str | None]:
    """For each point the first condition that holds.

    A name that only other points have (an option of another strategy) is null.

    Args:
        points: The dotted values of each point.
        conditions: Expressions as the user wrote them.

    Returns:
        The text of the condition for each point; None for one that stays.

    Raises:
        UserError: For a bad condition.
    """
    known = {name for values in points for name in values}
    read = [Condition(text, known) for text in conditions]
    return [next((one.text for one in read if one.holds(values)), None) for values in points]


class Condition:
    """One expression; ``known`` are the names that points have.

    Raises UserError, with the expression, for what is no condition.
    """

    def __init__(self, text: str, known: Collection[str]) -> None:
        self.text, self.known = text.strip(), known
        try:
            if len(self.text) > LONGEST:
                raise ValueError(f"longer than {LONGEST} characters")
            self.tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            why = error.msg if isinstance(error, SyntaxError) else str(error) or "too deep"
            raise self._wrong(f"cannot be read ({why}); write it as in: ranks == 1 and strategy != single") from None

    def holds(self, values: Values) -> bool:
        """Whether a point is excluded.

        Args:
            values: Its dotted values.

        Returns:
            The truth of the expression.

        Raises:
            UserError: The expression is no condition over these values.
        """
        return self._truth(self.tree, values)

    def _truth(self, node: ast.expr, values: Values) -> bool:
        if isinstance(node, ast.BoolOp):
            truths = [self._truth(one, values) for one in node.values]  # all of them: a typo in the last is found too
            return all(truths) if isinstance(node.op, ast.And) else any(truths)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return not self._truth(node.operand, values)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = [self._compared(op, sides[number], sides[number + 1], values) for number, op in enumerate(node.ops)]
            return all(pairs)
        value = self._value(node, values)
        if not isinstance(value, bool):
            raise self._wrong(f"has {self._source(node)} where a condition belongs; compare it, as in ranks == 1")
        return value

    def _compared(self, op: ast.cmpop, left: ast.expr, right: ast.expr, values: Values) -> bool:
        if type(op) not in COMPARED:
            raise self._wrong("uses 'is'; write == or !=")
        wordy = not isinstance(op, ORDERED)
        a, b = self._value(left, values), self._value(right, values, words=wordy)
        if isinstance(op, ORDERED) and (a is None or b is None):
            return False  # null is neither more nor less
        for word in self._words(right) if wordy else ():
            if isinstance(a, (int, float)) and not isinstance(a, bool):
                raise self._wrong(
                    f"compares {self._source(left)}, which is {a}, with the word {word}{did_you_mean(word, self.known)}"
                )
        if isinstance(op, (ast.In, ast.NotIn)) and not isinstance(b, tuple):
            raise self._wrong(f"needs several values after 'in', as in: {self._source(left)} in (A, B)")
        if a is None and b == "none":
            b = None  # so it is written in configurations too
        try:
            return bool(COMPARED[type(op)](a, b))
        except TypeError:
            raise self._wrong(f"compares {self._source(left)}, which is {a!r}, with {b!r}; use a number") from None

    def _value(self, node: ast.expr, values: Values, words: bool = False) -> Value:
        """The value of a node. With ``words``, a bare word that names no value stands for itself."""
        name = _name(node)
        if name is not None:
            return self._named(name, values, words)
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str, type(None))):
            return node.value
        if isinstance(node, (ast.Tuple, ast.List)):
            return tuple(self._value(one, values, words) for one in node.elts)
        if words and self._dashed(node):
            return self._source(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self._computed(node, ast.Sub(), 0, self._value(node.operand, values))
        if isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
            return self._computed(node, node.op, self._value(node.left, values), self._value(node.right, values))
        raise self._wrong(
            f"has {self._source(node)}, which conditions do not know; they have comparisons, and, or, not, in, + - * / %"
        )

    def _named(self, name: str, values: Values, words: bool) -> Value:
        if name in self.known:
            return values.get(name)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if words and "." not in name:
            return name
        raise self._wrong(f"names the unknown value {name}{did_you_mean(name, self.known)}; all values: python -m bench --help")

    def _computed(self, node: ast.expr, op: ast.operator, a: Value, b: Value) -> Value:
        if a is None or b is None:
            return None
        for value in (a, b):
            if not isinstance(value, (int, float)):
                raise self._wrong(f"computes {self._source(node)} with {value!r}; use numbers, and quote a word with a dash")
        try:
            return COMPUTED[type(op)](a, b)
        except (ZeroDivisionError, OverflowError):
            raise self._wrong(f"cannot compute {self._source(node)} with {a} and {b}; write it in another way") from None

    def _words(self, node: ast.expr) -> list[str]:
        """Bare words on the right of a comparison that name no value."""
        several = node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]
        named = [name for name in map(_name, several) if name and name not in self.known and name not in CONSTANTS]
        return named + [self._source(one) for one in several if self._dashed(one)]

    def _dashed(self, node: ast.expr) -> bool:
        """``gpt2-tiny``, unless its first word is a value: then it is a difference."""
        source = self._source(node)
        return isinstance(node, ast.BinOp) and bool(DASHED.match(source)) and source.split("-")[0] not in self.known

    def _source(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or "an expression"

    def _wrong(self, what: str) -> UserError:
        return UserError(f'campaign.exclude "{self.text}" {what}')


def _name(node: ast.expr) -> str | None:
    """``train.batch`` of the tree of ``train.batch``."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _name(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None
