"""The hosts of a run on one axis of time: seconds from the begin of its first rank. Pure.

Hosts of one machine share its clock. Others meet in civil time, by what each host compared at its begin and its end; how far
that may be off is the sum of what both clocks' keepers say, and unknown where one of them says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.monitor.host_part import HostPart
from bench.record.monitored_record import HostClockRecord, HostWindowRecord, RunClockRecord
from bench.timeline.clock_model import ClockModel, Offset


@dataclass(frozen=True)
class HostAxis:
    """The clocks of a run's hosts, by their places in ``parts``; the first host's is the axis."""

    parts: Sequence[HostPart]

    @cached_property
    def model(self) -> ClockModel:
        """A straight line for each host through its comparisons with the first one, in civil time."""
        both = []
        for moment in (0, 1):
            first = self.parts[0].clocks[moment]
            offsets = []
            for number, part in enumerate(self.parts):
                clock = part.clocks[moment]
                offset_ns = float((clock.monotonic_ns - clock.civil_ns) - (first.monotonic_ns - first.civil_ns))
                offsets.append(Offset(number, part.boot_id, offset_ns, clock.read_ns + first.read_ns, clock.monotonic_ns))
            both.append(offsets)
        return ClockModel.fit(*both)

    @cached_property
    def begin_ns(self) -> float:
        """The begin of the first rank, on the first host's clock."""
        return min(self.model.to_common(number, part.window_ns[0]) for number, part in enumerate(self.parts))

    def to_common(self, number: int, t_ns: float) -> float:
        """A time of one host's clock on the axis.

        Args:
            number: The host's place.
            t_ns: CLOCK_MONOTONIC of that host, ns.

        Returns:
            Seconds from the begin of the run.
        """
        return (self.model.to_common(number, t_ns) - self.begin_ns) / 1e9

    @property
    def shared(self) -> bool:
        """Whether all hosts have one clock."""
        return len({part.boot_id for part in self.parts}) == 1

    @property
    def bound_s(self) -> float | None:
        """How far two hosts may be apart on the axis; None: not known."""
        if self.shared:
            return 0.0
        bounds = [_bound_s(part) for part in self.parts]
        known = sorted(bound for bound in bounds if bound is not None)
        return known[-1] + known[-2] + self.model.bound_s if len(known) == len(bounds) else None

    def window(self, number: int) -> tuple[float, float]:
        """The window of one host.

        Args:
            number: The host's place.

        Returns:
            Begin and end, in seconds on the axis.
        """
        begin_ns, end_ns = self.parts[number].window_ns
        return self.to_common(number, begin_ns), self.to_common(number, end_ns)

    def idle_windows(self, number: int) -> list[tuple[float, float]]:
        """The idle window of one host before its command.

        Args:
            number: The host's place.

        Returns:
            It, in seconds on the axis; nothing where there was none.
        """
        idle_ns = self.parts[number].idle_ns
        return [] if idle_ns is None else [(self.to_common(number, idle_ns[0]), self.to_common(number, idle_ns[1]))]

    def window_records(self) -> list[HostWindowRecord]:
        """The record's ``windows``."""
        rows = []
        for number, part in enumerate(self.parts):
            start_s, end_s = self.window(number)
            idle_s = sum(end - begin for begin, end in self.idle_windows(number))
            rows.append(HostWindowRecord(host=part.label, start_s=start_s, end_s=end_s, idle_s=idle_s))
        return rows

    def clock_record(self) -> RunClockRecord:
        """The record's ``clock``."""
        rows = [
            HostClockRecord(
                host=part.label,
                bound_s=_bound_s(part),
                basis=part.clocks[1].basis,
                drift_ppm=0.0 if self.shared else 1e6 * self.model.slope(number),
            )
            for number, part in enumerate(self.parts)
        ]
        return RunClockRecord(method="one clock" if self.shared else "civil time", bound_s=self.bound_s, hosts=rows)


def _bound_s(part: HostPart) -> float | None:
    bounds = [clock.bound_s for clock in part.clocks]
    return None if None in bounds else max(bound for bound in bounds if bound is not None)
