"""Options as fields of a frozen dataclass: each has a type, a default and a one-line meaning, written once.

@dataclass(frozen=True)
class SampleOptions:
    shares: Numbers | None = option(None, "weights of the replicas' shares of the samples", numbers)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from strategies.common.plan_error import PlanError

Numbers = Sequence[float]
WholeNumbers = Sequence[int]


@dataclass(frozen=True)
class Kind:
    """Which values an option takes: a test, and its description in an error."""

    description: str
    accepts: Callable[[Any], bool]


@dataclass(frozen=True)
class OptionField:
    """One option of a strategy, for command lines, forms and documentation.

    Attributes:
        name: Its name.
        type: Its annotation, as text.
        default: Its value where none is given.
        meaning: One line.
        kind: What values it takes.
    """

    name: str
    type: str
    default: Any
    meaning: str
    kind: Kind

    def check(self, value: Any) -> None:
        """Refuse a value of another kind.

        Args:
            value: As chosen; not changed.

        Raises:
            PlanError: The kind does not accept it.
        """
        if not self.kind.accepts(value):
            raise PlanError(f"<option {self.name}>={value} must be {self.kind.description}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list_of(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or (isinstance(value, (list, tuple)) and all(map(accepts, value)))


ANYTHING = Kind("any value", lambda value: True)
NUMBERS = Kind("null or a list of numbers, such as [3,1]", _is_list_of(_is_number))
WHOLE_NUMBERS = Kind("null or a list of whole numbers, such as [4,2]", _is_list_of(_is_whole))
LISTS_OF_NUMBERS = Kind("null or a list of lists of numbers, such as [[3,1],[1]]", _is_list_of(_is_list_of(_is_number)))
WHOLE_NUMBER = Kind("a whole number", _is_whole)


def word(description: str) -> Kind:
    """One of some names. A plan refuses other names itself, in its own words.

    Args:
        description: Of the names, for the message: "must be ...".

    Returns:
        A kind that accepts strings and None.
    """
    return Kind(description, lambda value: value is None or isinstance(value, str))


def scalar(description: str) -> Kind:
    """One number or name. A plan refuses what it cannot take itself, in its own words.

    Args:
        description: Of the values, for the message: "must be ...".

    Returns:
        A kind that accepts numbers, strings and None.
    """
    return Kind(description, lambda value: value is None or isinstance(value, (int, float, str)))


def option(default: Any, meaning: str, kind: Kind = ANYTHING) -> Any:
    """A field of an options dataclass.

    Args:
        default: Its value where none is chosen.
        meaning: One line for command lines and documentation.
        kind: The values that it accepts.

    Returns:
        A dataclass field, typed ``Any`` so that it can stand behind any annotation.
    """
    return field(default=default, metadata={"meaning": meaning, "kind": kind})


def option_fields(option_class: type) -> tuple[OptionField, ...]:
    """The options of a dataclass.

    Args:
        option_class: Its fields are made by ``option``.

    Returns:
        One for each field, in their order.

    Raises:
        TypeError: One has no default.
    """
    described = []
    for one in fields(option_class):
        if one.default is MISSING:
            raise TypeError(f"the option {one.name} of {option_class.__name__} has no default")
        kind = one.metadata.get("kind", ANYTHING)
        described.append(OptionField(one.name, str(one.type), one.default, one.metadata.get("meaning", ""), kind))
    return tuple(described)


def defaults(option_class: type) -> Mapping[str, object]:
    """The defaults of a dataclass of options.

    Args:
        option_class: Its fields are made by ``option``.

    Returns:
        Default by name, in the order of the fields.
    """
    return {one.name: one.default for one in option_fields(option_class)}
