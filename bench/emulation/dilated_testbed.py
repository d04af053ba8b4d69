"""A testbed whose time is dilated: its links, latencies and shares as this machine must make them. Pure.

One second of a board is ``factor`` seconds of this machine. So a link of R bit/s passes R / factor of this machine's bits a
second, and a message that takes L on the way takes factor x L here. Without dilation messages between emulated boards take
what the kernel takes, some tens of microseconds; that stands for the link's latency once, and what a dilation asks for beyond
it, (factor - 1) x L, is added: by netem where the kernel has it, else by completing receives later (``strategies/comm``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.common.user_error import UserError
from bench.config.dilation_config import BoardSpeed, PointDilation
from bench.config.testbed_config import Board, Link, Testbed

KERNEL_LATENCY_S = 50e-6
LEAST_RATE_BIT_S = 1e4
LEAST_QUOTA = 0.01
NETEM, RECEIVES = "netem", "receives"


def in_machine_time(testbed: Testbed, dilation: PointDilation | None) -> Testbed:
    """The testbed as this machine must make it.

    Args:
        testbed: The boards and their links, in the boards' time.
        dilation: The dilation; None: there is none, and the testbed stays as it is.

    Returns:
        A copy with slower links, longer delays and scaled shares, which remembers the factor.

    Raises:
        UserError: A link or a share would be smaller than the kernel can make it.
    """
    if dilation is None:
        return testbed
    uplink = None if testbed.uplink is None else _link("the uplink", testbed.uplink, dilation)
    boards = tuple(_board(board, dilation) for board in testbed.boards)
    return replace(testbed, boards=boards, uplink=uplink, factor=dilation.factor)


def _board(board: Board, dilation: PointDilation) -> Board:
    quota = None if board.quota_cores is None else board.quota_cores * dilation.quota_scale
    if quota is not None and quota < LEAST_QUOTA:
        raise UserError(
            f"emulated board {board.name} would get {quota:.4f} of a core to be as slow as its class, and at least "
            f"{LEAST_QUOTA} is possible; use a faster class, or cluster.dilation=none"
        )
    return replace(board, link=_link(board.name, board.link, dilation), quota_cores=quota)


def _link(owner: str, link: Link, dilation: PointDilation) -> Link:
    rate = link.rate_bit_s / dilation.factor
    if rate < LEAST_RATE_BIT_S:
        raise UserError(
            f"link {link.name} of {owner} would pass {rate:.3g} bit/s ({link.rate_bit_s:.3g} slowed by the dilation of "
            f"{dilation.factor:.3g}), and the kernel shapes to at least {LEAST_RATE_BIT_S:.0e}; give the boards more of this "
            "machine (fewer boards, emulated.compute), or use a faster link"
        )
    delay = dilation.factor * (link.delay_s or 0.0)
    if not dilation.receive_delay_s:  # a message passes two links: each has half of what is added
        delay += added_latency_s(dilation.factor, dilation.latency_s) / 2
    return replace(link, rate_bit_s=rate, delay_s=delay or None)


def added_latency_s(factor: float, latency_s: float) -> float:
    """What a dilation adds to each message, in this machine's time.

    Args:
        factor: The dilation.
        latency_s: The latency one way, in the boards' time.

    Returns:
        Seconds; 0 for a factor of 1.
    """
    return (factor - 1) * latency_s


def dilation_by(
    testbed: Testbed,
    factor: float,
    source: str,
    netem: bool,
    speeds: Sequence[BoardSpeed] = (),
    quota_scale: float = 1.0,
) -> PointDilation:
    """The dilation of a shelf whose factor is known.

    Args:
        testbed: The boards and their links, in the boards' time.
        factor: Seconds of this machine for one second of the boards.
        source: What the factor follows from.
        netem: Whether the kernel can delay packets.
        speeds: What the boards achieved, where that was measured.
        quota_scale: What the boards' shares were multiplied with.

    Returns:
        The dilation, with the range that the classes' rates leave, and the latency that is emulated.
    """
    ratios = [(b.target.low / b.target.value, b.target.high / b.target.value) for b in testbed.boards if b.target is not None]
    latency_s = KERNEL_LATENCY_S if testbed.latency_s is None else testbed.latency_s
    return PointDilation(
        factor=factor,
        low=factor * min((low for low, _ in ratios), default=1.0),
        high=factor * max((high for _, high in ratios), default=1.0),
        source=source,
        latency_s=latency_s,
        latency_source=(
            "none of the links states one: that of this machine's kernel"
            if testbed.latency_s is None
            else "the longest that the boards' links state"
        ),
        receive_delay_s=0.0 if netem else added_latency_s(factor, latency_s),
        quota_scale=quota_scale,
        speeds=tuple(speeds),
    )


def shelf_factor(testbed: Testbed, speeds: Sequence[BoardSpeed]) -> float:
    """The one dilation of a shelf: all that its boards stand for over all that they achieved while all computed.

    Args:
        testbed: The boards with their targets; their shares keep the ratio of the targets.
        speeds: What the boards achieved, in the same order.

    Returns:
        Seconds of this machine for one second of the boards.
    """
    asked = math.fsum(board.target.value for board in testbed.boards if board.target is not None)
    return asked / math.fsum(speed.together_flop_s for speed in speeds)
