"""What cannot be had of dilated boards, in one line each: readings and predictions that are in this machine's time."""

from __future__ import annotations

from dataclasses import replace

from bench.common.user_error import UserError
from bench.config.point_cluster_config import PointCluster
from bench.energy.sampling.energy_settings import EnergySettings

SOURCES = ("auto", "emulated", "none")


def is_dilated(cluster: PointCluster) -> bool:
    """Whether the boards of a cluster have a time of their own.

    Args:
        cluster: The cluster of a point.

    Returns:
        True for emulated boards with a dilation.
    """
    return cluster.emulated is not None and cluster.emulated.dilation is not None


def in_board_time(settings: EnergySettings, cluster: PointCluster) -> EnergySettings:
    """The energy settings of a point, of which dilated boards take only the model of their own watts.

    Args:
        settings: As they were asked for.
        cluster: The cluster of the point.

    Returns:
        The same settings; of dilated boards ``emulated`` in the place of ``auto``.

    Raises:
        UserError: A source or a meter is asked for that reads in this machine's time.
    """
    if not is_dilated(cluster):
        return settings
    if settings.source not in SOURCES or settings.meters:
        which = f"meter {next(iter(settings.meters))}" if settings.meters else f"energy.source={settings.source}"
        raise UserError(
            f"{which} reads in this machine's time, and the boards are dilated; use energy.source=emulated without meters, or "
            "cluster.dilation=none"
        )
    return replace(settings, source="emulated") if settings.source == "auto" else settings


def check_unpredicted(cluster: PointCluster) -> None:
    """Refuse a profile for dilated boards.

    Args:
        cluster: The cluster of a point that has a profile.

    Raises:
        UserError: Its boards are dilated.
    """
    if is_dilated(cluster):
        raise UserError(
            "a profile is measured in this machine's time and predicts nothing of dilated boards; use planner.profile=null, or "
            "cluster.dilation=none"
        )
