"""From what was composed to what will run: excluded combinations, factors and levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.campaign.campaign_settings import Settings
from bench.campaign.exclude import GROUPS, Value, Values, excluded_by, values_of
from bench.common.user_error import UserError

Plain = Mapping[str, Any]
OWN = ("study", "repeats", "timeout_s", "dry_run")  # of the campaign or of the launch, no factors


@dataclass(frozen=True)
class Matrix:
    """``kept`` are numbers of the composed configurations, ``lines`` what there is to say about the whole."""

    kept: list[int]
    lines: list[str]


def matrix(composed: Sequence[Plain], settings: Settings, product: int | None = None) -> Matrix:
    """Which of the composed configurations run.

    Args:
        composed: The configurations as plain values.
        settings: Those of the campaign, with its conditions.
        product: The number of combinations before zipping; null for a single run.

    Returns:
        The numbers of those that run, and the lines about factors and exclusions.

    Raises:
        UserError: For a bad condition, and where nothing is left.
    """
    values = [values_of(plain) for plain in composed]
    by = excluded_by(values, settings.exclude)
    kept = [number for number, condition in enumerate(by) if condition is None]
    if not kept:
        which = settings.exclude[0] if len(settings.exclude) == 1 else f"{len(settings.exclude)} conditions"
        raise UserError(f"campaign.exclude ({which}) leaves none of {len(by)} combinations; mend the condition")
    swept = factors(values)
    lines = [f"factor {name}: {', '.join(levels)}" for name, levels in swept.items()]
    if settings.zip:
        groups = "; ".join(" with ".join(group) for group in settings.zip)
        lines.append(f"zipped {groups}: {len(composed)} of {product} combinations")
    for condition in settings.exclude:
        hit = [number for number, one in enumerate(by) if one == condition.strip()]
        lines.append(f"excluded {len(hit)} of {len(by)} combinations by: {condition}" + ("" if hit else " (a typo?)"))
        lines += [f"excluded: {' '.join(f'{name}={_shown(values[number].get(name))}' for name in swept)}" for number in hit]
    return Matrix(kept, lines)


def factors(points: Sequence[Values]) -> dict[str, list[str]]:
    """The values that differ between points. Inside a group only what differs within one option.

    Args:
        points: The dotted values of each point.

    Returns:
        By dotted key, its levels as text.
    """
    levels_of = {}
    for name in dict.fromkeys(name for values in points for name in values):
        group = name.split(".")[0]
        if name in OWN or name == "energy" or f"{group}.name" == name:
            continue
        inside = group in GROUPS and name != group
        options = {point[group] for point in points} if inside else {None}
        for option in options:
            levels = {_shown(point[name]) for point in points if name in point and (not inside or point[group] == option)}
            if len(levels) > 1:
                levels_of[name] = list(dict.fromkeys(_shown(point[name]) for point in points if name in point))
    return levels_of


def _shown(value: Value) -> str:
    if value is None:
        return "null"
    return f"[{','.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
