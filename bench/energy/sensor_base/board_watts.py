"""The watts of a board's class that power is modelled between: not a source, but what the modelled ones need."""

from __future__ import annotations

from bench.cluster.board_class import BoardClass
from bench.energy.sensor_base.source import SourceUnavailable


def idle_and_busy_W(board: BoardClass) -> tuple[float, float]:
    """The wattages that a board's power is modelled between.

    Args:
        board: The board's class.

    Returns:
        Watts of the idle and of the busy board.

    Raises:
        SourceUnavailable: One of them is not known.
    """
    idle_W, busy_W = board.power.idle_W, board.power.busy_W
    if idle_W is None or busy_W is None:
        missing = [name for name, number in (("idle_W", idle_W), ("busy_W", busy_W)) if number is None]
        raise SourceUnavailable(f"board {board.name} has no power.{' and no power.'.join(missing)} to model with")
    return idle_W.value, busy_W.value
