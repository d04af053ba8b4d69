"""Axes of logarithms with round, plain numbers at their ticks."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator


def log_axis(axes: Any, name: str, low: float, high: float, most: int = 6) -> None:
    """Make an axis logarithmic, with plain numbers at its ticks.

    Args:
        axes: The axes.
        name: ``x`` or ``y``.
        low: Where the axis begins.
        high: Where it ends.
        most: The most ticks.
    """
    axes.set(**{f"{name}scale": "log", f"{name}lim": (low, high)})
    axis = getattr(axes, f"{name}axis")
    axis.set_major_locator(FixedLocator(log_ticks(low, high, most)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
    axis.set_minor_locator(NullLocator())


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers for an axis of logarithms: of the series that end up with at most ``most``, the finest.

    Args:
        low: The smallest number, more than 0.
        high: The largest number.
        most: The most numbers.

    Returns:
        Rising numbers from ``low`` to ``high``. Where the range holds fewer than three round ones, numbers evenly apart.
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    series = [(decades, steps) for steps in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))]
    series += [(decades[::apart], (1,)) for apart in range(2, len(decades) + 1)]
    for chosen, steps in series:
        ticks = [step * 10.0**decade for decade in chosen for step in steps if low <= step * 10.0**decade <= high]
        if len(ticks) <= most:
            break
    if len(ticks) < 3:  # a narrow range: evenly apart is as good
        ticks = [float(value) for value in MaxNLocator(most - 1).tick_values(low, high) if low <= value <= high]
    return ticks


def plain_number(value: float) -> str:
    """Without an exponent where that takes few digits: 0.05, 20, 1500, 2e6.

    Args:
        value: A number on an axis.

    Returns:
        Up to six significant digits.
    """
    text = f"{value:.6g}"
    return text.replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
