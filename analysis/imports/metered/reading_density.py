"""Whether a log has enough readings in the timed windows: by their number, or by how well the joules are known."""

from __future__ import annotations

from bench.joules.between_readings import FEWEST
from bench.record.check_record import Check
from bench.record.checks import LEAST_POWER_SAMPLES, finding, power_samples
from bench.record.energy_record import EnergyRecord

WELL_KNOWN, KNOWN = 0.025, 0.10
"""Relative standard uncertainties, without the meter's own accuracy: a campaign aims at 2.5 % for the interval of its repeats,
and what is known worse than to 10 % tells no two strategies apart."""


def enough_readings(energy: EnergyRecord, smoke: bool) -> Check:
    """At least 60 readings in the windows, as of our own meters, or joules that fewer readings tell well enough.

    Our samplers can read faster and must; a plug with a log of one reading a second cannot. What few readings leave open is in
    the uncertainty (edges, what happens between readings), so that decides.

    Args:
        energy: With the log's readings.
        smoke: Whether the point is a smoke run: warned only.

    Returns:
        Passed with 60 readings or up to 2.5 % of standard uncertainty, warned up to 10 %, failed above and with fewer than five
        readings, which cannot be left out to see what is between them; skipped without energy.
    """
    samples = [host.samples for host in energy.by_host]
    if not samples or min(samples) >= LEAST_POWER_SAMPLES or not energy.total_J or energy.random_J is None:
        return power_samples(samples, smoke)
    share = energy.random_J / energy.total_J
    wanted = f"{LEAST_POWER_SAMPLES} wanted or a standard uncertainty of {100 * WELL_KNOWN:g} %"
    detail = f"{min(samples)} readings, {wanted}: they leave {100 * share:.2g} %"
    if min(samples) < FEWEST:
        detail = f"{min(samples)} readings; fewer than {FEWEST} do not tell what was between them"
        return finding("enough power samples", False, detail, "warned" if smoke else "failed")
    return finding("enough power samples", share <= WELL_KNOWN, detail, "warned" if smoke or share <= KNOWN else "failed")
