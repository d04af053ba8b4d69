"""Whether the hosts stayed as they were while a point was measured: checks of their states before and after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.record.check_record import Check
from bench.record.checks import finding, skipped
from bench.record.environment_record import HostRecord
from bench.record.host_state_record import HostStateRecord, ThermalZoneRecord

MOST_WARMING_K = 10.0
LEAST_MARGIN_K = 5.0
LEAST_FREQUENCY = 0.95
FIXED_GOVERNORS = ("performance", "userspace")


class Ends(NamedTuple):
    """A host of which both ends of the run are known."""

    name: str
    before: HostStateRecord
    after: HostStateRecord


def host_checks(hosts: Sequence[HostRecord]) -> list[Check]:
    """All checks of the hosts.

    Args:
        hosts: All hosts of the run, with their states before and after it.

    Returns:
        One check of each kind, in the order of the report.
    """
    return [throttling(hosts), mode_held(hosts), mode_restored(hosts), temperature(hosts), frequency_held(hosts)]


def throttling(hosts: Sequence[HostRecord]) -> Check:
    """No host was slowed down by heat or by its supply, from the first idle phase to the end of the last.

    Bits since boot that were set before cannot show that it happened again.

    Args:
        hosts: All hosts of the run, with their states before and after it.

    Returns:
        Failed where a cause is active at one of the ends, or a counter or a bit since boot moved between them; warned where
        bits since boot were set before; skipped where no host reports any.
    """
    known = [host for host in _both(hosts) if host.before.throttle and host.after.throttle]
    if not known:
        return skipped("no throttling", "no host reports it")
    bad = [f"{host.name}: {cause}" for host in known for cause in _throttled(host)]
    if bad:
        return finding("no throttling", False, "; ".join(bad))
    blind = [f"{host.name}: {', '.join(causes)}" for host in known if (causes := _throttled_earlier(host))]
    detail = f"since boot, before this run: {'; '.join(blind)}; whether it happened again cannot be told, reboot to clear it"
    return finding("no throttling", not blind, detail if blind else f"{len(known)} host(s) report none", "warned")


def _throttled_earlier(host: Ends) -> Sequence[str]:
    return host.before.throttle.since_boot if host.before.throttle is not None else ()


def _throttled(host: Ends) -> Iterator[str]:
    before, after = host.before.throttle, host.after.throttle
    if before is None or after is None:
        return
    for end, state in (("before", before), ("at the end", after)):
        yield from (f"{cause} {end}" for cause in state.now)
    yield from (f"{cause} during the run" for cause in after.since_boot if cause not in before.since_boot)
    for name, count in after.counters.items():
        grown = count - before.counters.get(name, 0)
        if grown > 0:
            yield f"{name} grew by {grown}"


def mode_held(hosts: Sequence[HostRecord]) -> Check:
    """Cores, governors, frequency limits, power limits and nvpmodel are the same at both ends: what was measured has a name.

    Args:
        hosts: All hosts of the run, with their states before and after it.

    Returns:
        Failed where a setting moved; skipped where no host tells its settings.
    """
    known = [(host.name, settings_of_host(host.before), settings_of_host(host.after)) for host in _both(hosts)]
    known = [(name, before, after) for name, before, after in known if before or after]
    if not known:
        return skipped("power mode held", "no host tells its governor, limits or mode")
    moved = [
        f"{name}: {setting} {before.get(setting, 'not there')} before, {after.get(setting, 'not there')} after"
        for name, before, after in known
        for setting in sorted({*before, *after})
        if before.get(setting) != after.get(setting)
    ]
    return finding("power mode held", not moved, "; ".join(moved) or f"{len(known)} host(s) unchanged")


def settings_of_host(state: HostStateRecord) -> dict[str, str | float | None]:
    """Everything that a power mode can set.

    Args:
        state: The state of a host.

    Returns:
        Values by name: governors, limits of clocks and power, the mode of nvpmodel.
    """
    settings: dict[str, str | float | None] = {}
    clocks = [(policy.policy, policy) for policy in state.cpufreq] + [(device.device, device) for device in state.devfreq]
    for name, clock in clocks:
        settings |= {f"{name} governor": clock.governor, f"{name} min_Hz": clock.min_Hz, f"{name} max_Hz": clock.max_Hz}
    settings |= {f"{limit.zone} limit_W": limit.limit_W for limit in state.power_limits}
    if state.nvpmodel:
        settings["nvpmodel"] = state.nvpmodel.name
    return settings


def mode_restored(hosts: Sequence[HostRecord]) -> Check:
    """Every host is as it was before its power mode was set. The numbers are good either way; the next run's may not be.

    Args:
        hosts: All hosts of the run, with what was set on them.

    Returns:
        Warned where a host was not restored; skipped where no power mode was set.
    """
    modes = [(host.host, host.mode) for host in hosts if host.mode is not None]
    if not modes:
        return skipped("power mode restored", "no power mode was set")
    bad = [f"{name}: {mode.problem}" for name, mode in modes if mode.restored is False]
    told = [f"{name}: {mode.recovered}" for name, mode in modes if mode.recovered]
    names = ", ".join(f"{name} was {mode.power_mode}{' (emulated)' if mode.emulated else ''}" for name, mode in modes)
    return finding("power mode restored", not bad, "; ".join([*bad, *told]) or names, "warned")


def temperature(hosts: Sequence[HostRecord]) -> Check:
    """No zone became warmer by more than 10 K, and none is within 5 K of where the kernel slows down or stops.

    Warm silicon draws more: a host that still warms up is not in the state that the numbers speak of.

    Args:
        hosts: All hosts of the run, with their states before and after it.

    Returns:
        Warned where a zone warmed up too much or is too near to its limit; skipped where no host tells a temperature.
    """
    zones = [(host.name, *pair) for host in _both(hosts) for pair in _zones(host)]
    if not zones:
        return skipped("temperature", "no host tells one")
    bad = []
    for host, before, after in zones:
        name, hottest = f"{host} {after.type or after.zone}", max(before.temperature_C, after.temperature_C)
        if after.temperature_C - before.temperature_C > MOST_WARMING_K:
            bad.append(f"{name} rose from {before.temperature_C:.1f} to {after.temperature_C:.1f} C")
        if after.limit_C is not None and hottest > after.limit_C - LEAST_MARGIN_K:
            bad.append(f"{name} at {hottest:.1f} C, limit {after.limit_C:.1f} C")
    rise = max(after.temperature_C - before.temperature_C for _, before, after in zones)
    top = max(after.temperature_C for _, _, after in zones)
    good = f"at most {top:.1f} C at the end, rose by at most {rise:.1f} K"
    return finding("temperature", not bad, "; ".join(bad) or good, "warned")


def _zones(host: Ends) -> Iterator[tuple[ThermalZoneRecord, ThermalZoneRecord]]:
    """Zones that tell a temperature at both ends."""
    before = {zone.zone: zone for zone in host.before.temperatures}
    yield from ((before[zone.zone], zone) for zone in host.after.temperatures if zone.zone in before)


def frequency_held(hosts: Sequence[HostRecord]) -> Check:
    """The highest current frequency of clocks that do not follow the load is at least 95 % of what it was.

    Both ends are at rest, so a governor that follows the load tells nothing here.

    Args:
        hosts: All hosts of the run, with their states before and after it.

    Returns:
        Warned where a clock became slower; skipped where no such clock can be read.
    """
    known = [(host.name, _fixed_Hz(host.before), _fixed_Hz(host.after)) for host in _both(hosts)]
    pairs = [(name, before, after) for name, before, after in known if before is not None and after is not None]
    if not pairs:
        return skipped("frequency held", "no host has clocks that can be read and do not follow the load")
    bad = [
        f"{name}: {before / 1e6:.0f} MHz before, {after / 1e6:.0f} MHz after"
        for name, before, after in pairs
        if after < LEAST_FREQUENCY * before
    ]
    good = ", ".join(f"{name} {after / 1e6:.0f} MHz" for name, _, after in pairs)
    return finding("frequency held", not bad, "; ".join(bad) or good, "warned")


def _fixed_Hz(state: HostStateRecord) -> float | None:
    fixed = [p for p in state.cpufreq if p.governor in FIXED_GOVERNORS or (p.min_Hz and p.min_Hz == p.max_Hz)]
    return max((policy.current_Hz for policy in fixed if policy.current_Hz is not None), default=None)


def _both(hosts: Sequence[HostRecord]) -> list[Ends]:
    """Hosts of which both ends are known."""
    return [Ends(host.host, host.before, host.after) for host in hosts if host.before is not None and host.after is not None]
