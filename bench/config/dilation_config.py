"""Time dilation of emulated boards: what is asked for, and what a point was run with.

One second of a board is ``factor`` seconds of this machine (Gupta et al., To Infinity and Beyond: Time-Warped Network
Emulation, NSDI 2006, turned round): the board computes faster than its share of this machine by the factor, so links are slower
and latencies longer by the factor, and all times are told in the board's.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.config.config_field import is_number, setting

BY_CLASS = "class"
NONE = "none"
MUST = "class (as its boards' train_flop_s asks for), none, or a number of at least 1"


def is_dilation(value: Any) -> bool:
    """Whether a value of the key ``dilation`` is one.

    Args:
        value: As YAML or a command line has it.

    Returns:
        True for ``class``, ``none`` and numbers of at least 1: a slower board gets a smaller share, not faster links.
    """
    return value in (BY_CLASS, NONE) or (is_number(value) and value >= 1)


@dataclass(frozen=True)
class TrainingTarget:
    """What an emulated board stands for: the training rate of its class (FLOP/s) on one device, its range and its source."""

    device: str
    precision: str
    value: float
    low: float
    high: float
    source: str


@dataclass(frozen=True)
class BoardSpeed:
    """What a board's share of this machine achieved on the point's model, FLOP/s of forward and backward.

    ``together_flop_s`` while all boards computed, ``alone_flop_s`` while the others slept (null: not measured);
    ``quota_cores`` is the share (null: no limit).
    """

    board: str
    quota_cores: float | None
    together_flop_s: float
    alone_flop_s: float | None = None


@dataclass(frozen=True)
class PointDilation:
    """The dilation that a point was run with, known from its launch on.

    Attributes:
        factor: Seconds of this machine for one second of the boards.
        low: The least that it may be, by the range of the classes' rates.
        high: The most that it may be.
        source: What the factor follows from.
        latency_s: Latency of a message between two boards, one way, in the boards' time.
        latency_source: Where that is from.
        receive_delay_s: What the ranks add to each message in this machine's time; 0 where the kernel does it (netem).
        quota_scale: What the boards' shares were multiplied with; below 1 where their class is slower than the share.
        speeds: What the boards achieved; empty where the factor was given as a number.
        seq: Tokens of a sample that they computed; null: not measured.
        samples: Samples at once.
    """

    factor: float
    low: float
    high: float
    source: str
    latency_s: float
    latency_source: str
    receive_delay_s: float
    quota_scale: float = 1.0
    speeds: tuple[BoardSpeed, ...] = setting((), "what the boards achieved")
    seq: int | None = setting(None, "tokens of a sample that they computed", absent=True)
    samples: int | None = setting(None, "samples at once", absent=True)

    @property
    def disturbance(self) -> float | None:
        """How much faster a board computes while the others sleep, the median of all, relative; None: not measured."""
        alone = [one.alone_flop_s / one.together_flop_s - 1 for one in self.speeds if one.alone_flop_s is not None]
        return median(alone) if alone else None
