"""The ``campaign`` block of the configuration: one for all points of a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.common.median_interval import SMALLEST_N
from bench.common.user_error import UserError
from bench.config.campaign_config import TARGETS, CampaignConfig
from bench.config.config_check import read_block
from bench.config.search_config import SearchConfig


@dataclass(frozen=True)
class Settings:
    """See conf/config.yaml. ``ci_target`` is a share of the median (0.025: 2.5 %), names with ``_s`` are in seconds."""

    fail_fast: bool = False
    time_limit_s: float | None = None
    ci_target: float | None = None
    idle_max_age_s: float | None = None
    start_ahead: bool = False
    max_repeats: int = 20
    target: tuple[str, ...] = TARGETS
    exclude: tuple[str, ...] = ()
    zip: tuple[tuple[str, ...], ...] = ()
    search: SearchConfig = field(default_factory=SearchConfig)


def settings_of(composed: Sequence[Mapping[str, Any]]) -> Settings:
    """The settings of a campaign by its composed configurations.

    Args:
        composed: The configurations as plain values, at least one.

    Returns:
        The settings that all of them share.

    Raises:
        UserError: For a bad value, and for one that is swept.
    """
    block = composed[0]["campaign"]
    for other in composed:
        for key, value in other["campaign"].items():
            if value != block[key]:
                raise UserError(f"campaign.{key}={block[key]} and {value} in one sweep; it is of the whole campaign, give one")
    campaign = read_block(CampaignConfig, block, "campaign.")
    if campaign.ci_target is not None:
        _check_adaptive(campaign.max_repeats, campaign.target, composed)
    if campaign.search.budget is not None:
        _check_search(campaign, any(one["energy"]["source"] == "none" for one in composed))
    return Settings(
        fail_fast=campaign.fail_fast,
        time_limit_s=campaign.time_limit_s,
        ci_target=campaign.ci_target,
        idle_max_age_s=campaign.idle_max_age_s,
        start_ahead=campaign.start_ahead,
        max_repeats=campaign.max_repeats,
        target=tuple(campaign.target),
        exclude=tuple(campaign.exclude),
        zip=zip_groups(campaign.zip),
        search=campaign.search,
    )


def _check_adaptive(most: int, target: Sequence[str], composed: Sequence[Mapping[str, Any]]) -> None:
    repeats = max((one["repeats"] for one in composed if isinstance(one["repeats"], int)), default=1)
    least = max(SMALLEST_N, repeats)
    if most < least:
        why = f"repeats={repeats}" if repeats > SMALLEST_N else f"a 95 % interval of a median needs {SMALLEST_N} repeats"
        raise UserError(f"campaign.max_repeats={most} is too few for campaign.ci_target: {why}; use at least {least}")
    if "energy" in target and any(one["energy"]["source"] == "none" for one in composed):
        raise UserError("campaign.target has energy, but energy=none measures none; use campaign.target=[time]")


def _check_search(campaign: CampaignConfig, unmetered: bool) -> None:
    objectives = campaign.search.objectives
    if len(set(objectives)) < len(objectives):
        raise UserError(f"campaign.search.objectives=[{','.join(objectives)}] names one twice; name each once")
    if campaign.ci_target is not None:
        raise UserError(
            "campaign.ci_target and campaign.search go apart: a search repeats what may be on the front; give repeats=N and "
            "campaign.ci_target=null"
        )
    if "sample_J" in objectives and unmetered:
        raise UserError(
            "campaign.search.objectives has sample_J, but energy=none measures none; use campaign.search.objectives=[step_s]"
        )


def zip_groups(groups: Any) -> tuple[tuple[str, ...], ...]:
    """``campaign.zip`` as groups of keys.

    Args:
        groups: The value as composed.

    Returns:
        The keys of each group that go together.

    Raises:
        UserError: For anything but a list of lists of two keys or more, and for a key that is named twice.
    """
    whole = isinstance(groups, (list, tuple)) and all(isinstance(group, (list, tuple)) for group in groups)
    if not whole or not all(isinstance(key, str) for group in groups for key in group):
        raise UserError(f"campaign.zip={groups} must be a list of lists of keys, such as [[ranks,train.batch]]")
    keys_by_group = tuple(tuple(group) for group in groups)
    keys = [key for group in keys_by_group for key in group]
    for group in keys_by_group:
        if len(group) < 2:
            raise UserError(f"campaign.zip has the group [{', '.join(group)}]; name at least two keys that go together")
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise UserError(f"campaign.zip names {twice[0]} twice; put all keys that go together into one group")
    return keys_by_group
