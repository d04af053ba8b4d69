"""Keys that are swept together, position by position, as ``zip`` does.

Hydra's sweeper makes the product of all lists. The product has a known order (the last key runs fastest), so the position
of every key follows from a combination's number; by the values alone it would not, since they may repeat
(``ranks=1,2,4 train.batch=8,8,16``). What stays is a subset of the product: names and folders of points do not depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

Sweep = Mapping[str, Sequence[str]]


def sweep_of(overrides: Iterable[Override]) -> dict[str, list[str]]:
    """The values of every key; a key that is given twice has its last values.

    Args:
        overrides: The words of the command line, parsed by Hydra.

    Returns:
        Values by key, in the order of Hydra's product.
    """
    sweep: dict[str, list[str]] = {}
    for override in overrides:
        if override.is_sweep_override() and override.is_discrete_sweep():
            sweep[override.key_or_group] = [str(value) for value in override.sweep_string_iterator()]
        else:
            sweep[override.key_or_group] = [override.get_value_element_as_str()]
    return sweep


def agreeing(sweep: Sweep, groups: Sequence[Sequence[str]]) -> list[int]:
    """The combinations in which the keys of each group stand at one position.

    Args:
        sweep: Values by key, in the order of the product.
        groups: The keys that go together.

    Returns:
        Numbers of combinations in the product, from 0.

    Raises:
        UserError: For a key that is not swept, and for groups of unequal lists.
    """
    swept = [key for key, values in sweep.items() if len(values) > 1]
    for group in groups:
        _check(group, sweep, swept)
    return [
        number
        for number in range(math.prod(len(values) for values in sweep.values()))
        if all(len({index[key] for key in group}) == 1 for index in [positions(sweep, number)] for group in groups)
    ]


def positions(sweep: Sweep, number: int) -> dict[str, int]:
    """The place of each key's value in its list.

    Args:
        sweep: Values by key, in the order of the product.
        number: That of the combination in the product, from 0.

    Returns:
        By key, the index of its value.
    """
    indices = {}
    for key, values in reversed(list(sweep.items())):
        number, indices[key] = divmod(number, len(values))
    return indices


def _check(group: Sequence[str], sweep: Sweep, swept: Sequence[str]) -> None:
    for key in group:
        if key not in sweep:
            raise UserError(
                f"campaign.zip names {key}, which is not swept; give it values, as in -m {key}=A,B{did_you_mean(key, swept)}"
            )
    lengths = {key: len(sweep[key]) for key in group}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise UserError(f"campaign.zip needs as many values of each key: {each}; give lists of equal length")


def chosen(
    combinations: Sequence[Sequence[str]], first: int, sweep: Sweep, groups: Sequence[Sequence[str]]
) -> list[Sequence[str]]:
    """The combinations that stay.

    Args:
        combinations: The words of each, as Hydra's sweeper made them.
        first: The number of the first of them in the whole product.
        sweep: Values by key, in the order of the product.
        groups: The keys that go together.

    Returns:
        Those of ``combinations`` in which the keys of each group go together.

    Raises:
        UserError: For groups that do not fit the sweep, and for a sweeper that makes another product.
    """
    stay = set(agreeing(sweep, groups))
    for number, combination in enumerate(combinations, first):
        index = positions(sweep, number)
        if [word.split("=", 1)[1] for word in combination] != [values[index[key]] for key, values in sweep.items()]:
            raise UserError("campaign.zip needs Hydra's basic sweeper, which makes the whole product; leave hydra/sweeper= out")
    return [combination for number, combination in enumerate(combinations, first) if number in stay]


def arguments(params: Mapping[str, Any] | None, task: Sequence[str]) -> list[str]:
    """The words that Hydra's sweeper sweeps: the experiment's own parameters, then the command line's.

    Args:
        params: Those of ``hydra.sweeper.params``; null for none.
        task: The overrides of the command line.

    Returns:
        ``KEY=VALUES`` each.
    """
    return [*(f"{key}={value}" for key, value in (params or {}).items()), *task]
