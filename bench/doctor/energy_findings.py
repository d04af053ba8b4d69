"""The findings of the verb ``energy``: passes, warnings, and failures that would end a run or make it invalid. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.doctor.clock_agreement import ClockAgreement
from bench.doctor.doctor_verb import Finding
from bench.doctor.host_energy_report import EnergyReport, HostEnergyReport, PartReport, SourceReport
from bench.energy.sampling.energy_settings import EnergySettings
from bench.joules.channel_watts import ChannelWatts, above_their_whole, not_positive
from bench.record.checks import MOST_SAMPLER_COST

LEAST_RATE = 0.8
"""Of the wanted readings a second: below it the source answers too slowly."""
MOST_CLOCK_S = 1e-3
DENIED = ("may not be", "Permission denied", "not permitted", "is masked")
METER_HINT = "put a meter in front of it (docs/how-to/energy-meters.md)"


def findings(report: EnergyReport, settings: EnergySettings, window_s: float, emulated: bool) -> list[Finding]:
    """All findings of a report.

    Args:
        report: The energy sources of all hosts.
        settings: The point's energy settings.
        window_s: The configured least length of a window, s.
        emulated: Whether the hosts are emulated boards.

    Returns:
        The findings, host by host, then of the cluster.
    """
    if settings.source == "none":
        return [Finding("WARN", "energy=none: nothing is measured; use energy=auto for joules")]
    conclusions: list[Finding] = []
    for host in report.hosts:
        conclusions += _host(host, report, emulated)
    for part in report.parts:
        conclusions += _part(part)
    conclusions += _cluster(report, emulated)
    conclusions += _calibrations(report, settings)
    conclusions.append(_window(report, window_s))
    return conclusions


def _host(host: HostEnergyReport, report: EnergyReport, emulated: bool) -> list[Finding]:
    name, conclusions = host.label, list[Finding]()
    if host.problem is not None:
        conclusions.append(Finding("FAIL", f"{name}: a run would end here: {host.problem}"))
    elif name in report.missing:
        conclusions.append(Finding("FAIL", f"{name}: nothing has its energy; {METER_HINT}, or use energy=auto"))
    own_part = next((part for part in report.parts if name in part.hosts), None)
    for left in host.left_out:
        opened = {source.source for source in host.sources}
        if any(word in left.why for word in DENIED) and not opened & _instead(left.source):
            conclusions.append(Finding("WARN", f"{name}: {left.source} is there and cannot be read: {left.why}"))
    if own_part is not None and own_part.kind == "modelled":
        why = "it is an emulated board" if emulated else f"no sensor can be read; {METER_HINT}, or allow its own sensor"
        conclusions.append(
            Finding("WARN", f"{name}: energy is modelled as {host.board} from processor time, not measured: {why}")
        )
    cost = host.sampler_cpu
    if cost is not None and cost >= MOST_SAMPLER_COST:
        conclusions.append(
            Finding("WARN", f"{name}: the sampler takes {100 * cost:.1f} % of one core; read less often with energy.period_s")
        )
    for source in host.sources:
        conclusions += _source(name, source)
    return conclusions


def _instead(source: str) -> set[str]:
    """Sources that read the same sensor as one that may not be read."""
    from bench.energy.sensor_base.source import registered

    known = registered()
    sensor = known[source].sensor if source in known else source
    return {name for name, other in known.items() if other.sensor == sensor}


def _source(host: str, source: SourceReport) -> list[Finding]:
    name, conclusions = source.name, list[Finding]()
    if source.errors:
        conclusions.append(
            Finding("WARN", f"{host}: {name} failed {source.errors} times in these seconds; look at its cable or network")
        )
    reached = source.reached_Hz
    if reached is not None and reached * source.period_s < LEAST_RATE:
        conclusions.append(
            Finding(
                "WARN",
                f"{host}: {name} gives {reached:.3g} readings a second, {1 / source.period_s:.3g} wanted, each takes "
                f"{source.read_s:.3g} s; set energy.period_s to what it can, or make its network faster",
            )
        )
    return conclusions + _parts_above_their_whole(host, source)


def _parts_above_their_whole(host: str, source: SourceReport) -> list[Finding]:
    channels = [
        ChannelWatts(one.id, one.watts, one.step if one.kind == "power" else 0.0, one.contains) for one in source.channels
    ]
    return [
        Finding(
            "FAIL",
            f"{host}: {source.name}: {line}; one of them is wrong: look at the sensors' shunts, labels and wiring",
        )
        for line in above_their_whole(channels)
    ]


def _part(part: PartReport) -> list[Finding]:
    name = " + ".join(part.hosts)
    if part.quality != "good":
        return [Finding("FAIL", f"{name}: a run would be invalid: {part.quality} ({', '.join(part.channels)})")]
    if part.kind != "measured":
        return []
    why = None if part.watts is None else not_positive(part.watts)
    if why is not None:
        return [Finding("FAIL", f"{name}: a run would be invalid: {part.watts:.3f} W, {why} ({', '.join(part.channels)})")]
    levels = ", ".join(part.levels)
    return [Finding("PASS", f"{name}: measured ({levels}) by {' + '.join(part.channels)}")]


def _cluster(report: EnergyReport, emulated: bool) -> list[Finding]:
    conclusions, parts, hosts = list[Finding](), report.parts, report.hosts
    if len({level for part in parts for level in part.levels}) > 1:
        each = "; ".join(f"{' + '.join(part.hosts)}: {' and '.join(part.levels)}" for part in parts)
        conclusions.append(
            Finding(
                "WARN",
                f"energy is read at different levels ({each}); such sums compare with nothing: use energy=meters with a meter "
                "for each host, or the same source on all",
            )
        )
    kinds = {part.kind for part in parts}
    if len(kinds) > 1:
        modelled = ", ".join(host for part in parts if part.kind == "modelled" for host in part.hosts)
        conclusions.append(
            Finding("WARN", f"the total is modelled, because {modelled} is; measure there too, or use energy=modelled")
        )
    machines: dict[str, list[str]] = {}
    for host in hosts:
        machines.setdefault(host.machine, []).append(host.label)
    for same in machines.values():
        if len(same) > 1:
            conclusions.append(Finding("WARN", f"{' and '.join(same)} are one machine: a run reads it once; keep one of them"))
    return [*conclusions, *_others(report, emulated), *_clock(report.clock)]


def _others(report: EnergyReport, emulated: bool) -> list[Finding]:
    others = report.others
    unknown = [other.name for other in others if not other.known]
    if unknown:
        return [Finding("WARN", f"{', '.join(unknown)}: not measured; give power_W and source, or a meter that includes it")]
    if len(report.hosts) > 1 and not others and not emulated:
        return [
            Finding(
                "WARN",
                "the network switch is in no total; measure it (includes: [switch] of a meter) or estimate it "
                "(others: {switch: {power_W: ..., source: ...}})",
            )
        ]
    return []


def _clock(clock: ClockAgreement | None) -> list[Finding]:
    if clock is None or clock.hosts_share_a_clock:
        return []
    bound_s = clock.bound_s
    text = f"the hosts' clocks are known to each other within {1e6 * bound_s:.0f} us"
    if bound_s <= MOST_CLOCK_S:
        return [Finding("PASS", text)]
    return [Finding("WARN", f"{text}; steps and phases of hosts blur: use a cable instead of Wi-Fi, and no other traffic")]


def _calibrations(report: EnergyReport, settings: EnergySettings) -> list[Finding]:
    conclusions = []
    read = {(host.label, source.source) for host in report.hosts for source in host.sources}
    for host, sources in settings.calibration.items():
        for source in sources:
            if (host, source) not in read:
                conclusions.append(
                    Finding(
                        "WARN", f"the calibration of {source} on {host} is not used: there is no such source; see its host:"
                    )
                )
    for part in report.parts:
        if part.calibrated and len(part.sources) > 1:
            conclusions.append(
                Finding(
                    "WARN",
                    f"{' + '.join(part.hosts)}: {part.calibrated[0]} is calibrated to all that its meter had, and "
                    f"{' + '.join(part.sources)} are added up: something counts twice; read it alone "
                    f"(energy.source={part.calibrated[0]})",
                )
            )
    return conclusions


def _window(report: EnergyReport, window_s: float) -> Finding:
    """A run makes its window as long as the slowest source needs: good to know before."""
    rows: Sequence[tuple[float, str]] = [
        (source.window_s, f"{source.name} of {host.label}")
        for host in report.hosts
        for source in host.sources
        if source.check_of is None
    ]
    if not rows:
        return Finding("WARN", "how long a window must be is not known: there are no readings")
    needed_s, slowest = max(rows)
    if needed_s <= window_s:
        return Finding("PASS", f"window_s={window_s:g} is enough for 1 % ({slowest} needs {math.ceil(needed_s)} s)")
    return Finding(
        "PASS", f"{slowest} needs {math.ceil(needed_s)} s for 1 %: a run makes window_s={window_s:g} that long by itself"
    )
