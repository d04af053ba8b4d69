"""What is looked at before the joules of a monitored program are believed: the checks of points, over each host's window."""

from __future__ import annotations

from collections.abc import Sequence

from bench.joules.metered_parts import EnergyContext
from bench.joules.plausibility import plausibility_checks
from bench.monitor.host_axis import HostAxis
from bench.monitor.monitored_energy import MeteredRun
from bench.record import checks
from bench.record.check_record import Check, Verdict
from bench.record.monitored_record import MonitoredEnergyRecord

MOST_DRIFT_PPM = 500.0
"""The most by which NTP bends a clock: a larger drift is a step of civil time during the run."""
WORST_FIRST: tuple[Verdict, ...] = ("failed", "warned", "passed", "skipped")


def judged(metered: MeteredRun, energy: MonitoredEnergyRecord) -> list[Check]:
    """The checks of a monitored run.

    Args:
        metered: Its readings.
        energy: The record's ``energy``.

    Returns:
        What was looked at, each with its verdict.
    """
    axis, parts = metered.axis, metered.axis.parts
    lost = ", ".join(map(str, metered.missing))
    samples = [host.samples for host in energy.by_host]
    asked = energy.kind != "none" or bool(energy.coverage.missing)
    whole = [
        checks.finding("every rank handed in", not lost, f"missing: {lost}" if lost else f"{parts[0].size} of {parts[0].size}"),
        checks.energy_quality(energy.kind, energy.coverage.missing, {host.host: host.quality for host in energy.by_host}),
        checks.power_samples(samples, smoke=True),
        checks.one_level(energy.coverage.levels),
        checks.cross_checks(energy.cross_checks),
        checks.participants(energy.coverage.also_measured),
        *_plausible(metered),
        checks.sampler_cost(energy.sampler.cost_fraction),
    ]
    unread = [f"{part.label}: {part.unmetered}" for part in parts if part.unmetered is not None]
    if unread and asked:
        whole.append(checks.finding("sensors could be read", False, "; ".join(unread)))
    return [*whole, _clocks(axis, metered)]


def _clocks(axis: HostAxis, metered: MeteredRun) -> Check:
    """Hosts that are read on their own clocks need no common one; a meter of several hosts does."""
    name = "clocks of hosts agree"
    if axis.shared:
        return checks.skipped(name, "all ran on one clock")
    stepped = [part.label for i, part in enumerate(axis.parts) if abs(1e6 * axis.model.slope(i)) > MOST_DRIFT_PPM]
    if stepped:
        return checks.finding(name, False, f"civil time was set during the run: {', '.join(stepped)}", "warned")
    spans = any(len(part.hosts) > 1 for part in metered.cover.parts)
    if axis.bound_s is None:
        unknown = ", ".join(row.host for row in axis.clock_record().hosts if row.bound_s is None)
        note = "a meter spans them: its window may be another" if spans else "each host has its joules on its own clock"
        return checks.finding(name, False, f"nobody says how far {unknown} may be off; {note}", "warned")
    return checks.finding(
        name, True, f"within {1e3 * axis.bound_s:.3g} ms by civil time; each host has its joules on its own clock"
    )


def _plausible(metered: MeteredRun) -> list[Check]:
    """Whether what was read can be: each part in its window; of several the worst verdict, in the words of all who have it."""
    limits = {part.label: part.limit for part in metered.axis.parts if part.limit is not None}
    others = EnergyContext.of(metered.axis.parts[0].energy).others
    rows: dict[str, list[Check]] = {}
    for cover in metered.covers():
        run = metered.run_of(cover.parts[0].hosts)
        # Without an idle window nothing has made a steady program's power change.
        frozen: Verdict = "failed" if run.idle_s > 0 else "warned"
        for check in plausibility_checks(cover, run, limits, others, frozen):
            rows.setdefault(check.name, []).append(check)
    return [_worst(same) for same in rows.values()]


def _worst(same: Sequence[Check]) -> Check:
    verdict = next(status for status in WORST_FIRST if any(check.status == status for check in same))
    details = dict.fromkeys(check.detail for check in same if check.status == verdict)
    return Check(name=same[0].name, status=verdict, detail="; ".join(details))
