"""The ``campaign`` block: what holds for all points of a campaign together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.config.config_field import block, setting
from bench.config.search_config import SearchConfig

TARGETS = ("time", "energy")


def _conditions(value: Any) -> bool:
    return all(isinstance(one, str) and one.strip() for one in value)


def _lists_of_keys(value: Any) -> bool:
    return all(isinstance(group, (list, tuple)) and all(isinstance(key, str) for key in group) for group in value)


@dataclass(frozen=True)
class CampaignConfig:
    """Limits, repeats and combinations of a campaign (``docs/how-to/campaigns.md``)."""

    fail_fast: bool = setting(False, "begin nothing more after the first point that failed or timed out (not: oom, invalid)")
    time_limit_s: float | None = setting(
        None,
        "begin no point that would not end in this time, by the mean of those that ran",
        unit="seconds",
        above=0,
    )
    idle_max_age_s: float | None = setting(
        None,
        "points of one block of repeats share the idle power of the first while the hosts are unchanged and it is at most this "
        "old; null: each point measures its own",
        unit="seconds",
        above=0,
    )
    start_ahead: bool = setting(
        False, "the ranks of the next point load while a point evaluates and writes its record; takes memory for both"
    )
    ci_target: float | None = setting(
        None,
        "repeat until half the 95 % interval of the median is at most this share of it, such as 0.025",
        above=0,
        below=1,
        must="null or a share of the median between 0 and 1, such as 0.025",
    )
    max_repeats: int = setting(20, "with ci_target: of one point, those of repeats included", least=1)
    target: list = setting(
        [*TARGETS],
        "with ci_target: samples per second (time), joules per sample (energy), or both",
        choices=TARGETS,
        must="a list of time and energy",
    )
    exclude: list = setting(
        [],
        'conditions that keep combinations out, such as ["ranks == 1 and strategy != single"]',
        check=_conditions,
        must='a list of conditions, such as ["ranks == 4 and strategy == server"]',
    )
    zip: list = setting(
        [],
        "keys swept together instead of as a product, such as [[ranks,train.batch]]",
        check=_lists_of_keys,
        must="a list of lists of keys, such as [[ranks,train.batch]]",
    )
    search: SearchConfig = block(SearchConfig, "run a part of the combinations, chosen for the front (docs/how-to/search.md)")
