"""Adaptive repeats: which points need more of them, decided from the records alone.

A point is repeated until the 95 % interval of its median, by rank and so without an assumption about the distribution, is
narrow enough (Hoefler and Belli, Scientific Benchmarking of Parallel Computing Systems, SC 2015, rules 5 and 6).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.campaign.campaign_settings import Settings
from bench.campaign.point_history import Key, Result, of_point
from bench.common.median_interval import SMALLEST_N, half_width

VALUES = {"time": "samples_per_s", "energy": "per_sample_J"}


@dataclass(frozen=True)
class Spread:
    """How well one point is known.

    ``n`` repeats that count, and for each quantity half the width of the interval as a share of the median (null below six
    repeats).
    """

    n: int
    half_widths: Mapping[str, float | None]

    def reached(self, target: float) -> bool:
        """Whether every interval is narrow enough.

        Args:
            target: The largest half width, as a share of the median.

        Returns:
            Whether all half widths are known and at most ``target``.
        """
        return all(width is not None and width <= target for width in self.half_widths.values())

    def __str__(self) -> str:
        if self.n < SMALLEST_N:
            return f"n={self.n} of at least {SMALLEST_N}"
        each = ", ".join(f"{name} {_percent(width)}" for name, width in self.half_widths.items())
        return f"{each} (n={self.n})"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"±{100 * share:.2g} %"


def spread(results: Collection[Result], target: Sequence[str]) -> Spread:
    """How well a point is known by its repeats.

    Args:
        results: Its repeats; those that are not ok do not count.
        target: The quantities that matter: ``time`` and ``energy``.

    Returns:
        Half the width of each quantity's interval, and the smallest number of repeats that have a value.
    """
    repeats = {name: [getattr(result, VALUES[name]) for result in results if result.status == "ok"] for name in target}
    known = {name: [value for value in values if value is not None] for name, values in repeats.items()}
    return Spread(min(map(len, known.values())), {name: half_width(values) for name, values in known.items()})


def next_repeats(
    base: Mapping[str, int], history: Mapping[Key, Result], tried: Collection[Key], settings: Settings
) -> dict[str, int]:
    """The next repeat of each configuration whose target is not reached.

    Finished repeats count wherever they are from. A repeat that failed is not tried twice in one campaign, and a point of
    which no repeat was ok is left alone: it would fail again.

    Args:
        base: By hash of the configuration, the repeats that were asked for anyway.
        history: What is on record, by hash and repeat.
        tried: The repeats that this campaign has started.
        settings: Target and largest number of repeats; without ``ci_target`` nothing is repeated.

    Returns:
        By hash, the number of the repeat to run next.
    """
    following: dict[str, int] = {}
    if settings.ci_target is None:
        return following
    for code, first in base.items():
        results = of_point(history, code)
        good = [result for result in results.values() if result.status == "ok"]
        if not good or spread(good, settings.target).reached(settings.ci_target):
            continue
        for repeat in range(first, settings.max_repeats):
            if (code, repeat) not in tried and not (repeat in results and results[repeat].finished):
                following[code] = repeat
                break
    return following
