"""The predicted cost of one step: its seconds and joules, and those of each rank and host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any


@dataclass(frozen=True)
class RankTime:
    """Seconds of one rank of a step. ``exchange_s``: messages that no computation hides; ``wait_s``: the rest."""

    host: str
    compute_s: float
    exchange_s: float
    wait_s: float


@dataclass(frozen=True)
class Prediction:
    """The predicted cost of one step of ``samples`` samples.

    ``joules`` by host, None where the class of one has no watts. ``over`` says of each host whose memory would not do what
    it has and needs.
    """

    step_s: float
    samples: int
    ranks: tuple[RankTime, ...]
    joules: Mapping[str, float] | None
    over: tuple[str, ...]

    @property
    def samples_per_s(self) -> float:
        """Throughput, samples per second."""
        return self.samples / self.step_s

    @property
    def step_J(self) -> float | None:
        """Joules of all hosts in one step; None where a host has no watts."""
        return None if self.joules is None else sum(self.joules.values())

    @property
    def per_sample_J(self) -> float | None:
        """Joules of one sample; None where a host has no watts."""
        return None if self.step_J is None else self.step_J / self.samples

    @property
    def edp_Js(self) -> float | None:
        """Joules x seconds of a step."""
        return None if self.step_J is None else self.step_J * self.step_s

    def share(self, state: str) -> float:
        """The share of the time of all ranks in one state.

        Args:
            state: ``compute_s``, ``exchange_s`` or ``wait_s``.

        Returns:
            From 0 to 1.
        """
        return fmean(getattr(rank, state) for rank in self.ranks) / self.step_s

    def to_dict(self) -> dict[str, Any]:
        """As records have it: seconds and joules of a step."""
        return {
            "step_s": self.step_s,
            "step_J": self.step_J,
            "ranks": [asdict(rank) for rank in self.ranks],
            "joules_by_host": None if self.joules is None else dict(self.joules),
        }
