"""The next point of a campaign, whose ranks load while the one before it evaluates and writes its record.

Nothing of it runs during anything that is measured: it is started when the point before says so. What goes wrong with it is
told when its turn comes, for then it is simply launched again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

from bench.campaign.point_launch import HeldPoint, start_ahead
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig


class NextPoint:
    """At most one point that was started before its turn.

    Args:
        base: The points in their order.
        wanted: Whether points are to be started before their turn.
    """

    def __init__(self, base: Sequence[PointConfig], wanted: bool) -> None:
        self.base, self.wanted = base, wanted
        self._held: HeldPoint | None = None

    def start_after(self, point: PointConfig, due: Callable[[PointConfig], bool]) -> None:
        """Start the point that follows in the order, where that is on the same hosts and these are no emulated boards.

        Emulated boards have a limit of memory that both points would share.

        Args:
            point: The point that runs.
            due: Whether a point still has to run.
        """
        following = next((one for one in self.base if one.order > point.order and due(one)), None)
        if following is None or following.cluster != point.cluster or following.cluster.emulated is not None:
            return
        try:
            self._held = start_ahead(following)
        except (OSError, UserError):
            self._held = None  # at its turn it is launched as any other, and says what is wrong

    def take(self, point: PointConfig) -> HeldPoint | None:
        """The started job of a point.

        Args:
            point: The point whose turn it is.

        Returns:
            Its job; None where it has to be launched. A job of another point is ended.
        """
        held, self._held = self._held, None
        if held is not None and held.point.point != point.point:
            self._held = held
            self.drop()
            return None
        if held is None and self.wanted:
            return start_ahead(point)
        return held

    def drop(self) -> None:
        """End what was started and will not run; its folder goes with it."""
        if self._held is not None:
            held, self._held = self._held, None
            held.job.end()
            shutil.rmtree(held.point.folder, ignore_errors=True)
