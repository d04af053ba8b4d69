"""How well the clocks of the hosts agree, in the doctor's reports."""

from __future__ import annotations

from dataclasses import dataclass

from bench.timeline.clock_model import ClockModel


@dataclass(frozen=True)
class ClockAgreement:
    """The clocks of all hosts against rank 0's.

    Attributes:
        hosts_share_a_clock: Whether all ranks run on one machine.
        bound_s: No offset is wrong by more than this, s.
    """

    hosts_share_a_clock: bool
    bound_s: float

    @classmethod
    def of(cls, clock: ClockModel) -> ClockAgreement:
        """The agreement that a fitted model states.

        Args:
            clock: The offsets of all ranks' clocks against rank 0's.

        Returns:
            Whether the clock is shared, and the bound of the offsets' error.
        """
        return cls(bool(clock.summary().hosts_share_a_clock), clock.bound_s)
