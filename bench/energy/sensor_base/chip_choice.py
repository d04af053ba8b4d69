"""Which channels of which chip an entry asks for: ``address``, ``channel`` and ``sum``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.energy.sensor_base.channel_binding import ChipChannel, bind
from bench.energy.sensor_base.external_meter import wanted_names
from bench.energy.sensor_base.hwmon_chips import Chip
from bench.energy.sensor_base.kernel_numbers import KernelNumbers, said
from bench.energy.sensor_base.source import Place, Settings, SourceUnavailable

MOST_LISTED = 16
INSIDE: tuple[tuple[str, str], ...] = (
    (r"esocket", r"ecore"),
    (r"[vip]in\d*$", r"[vip]out"),
    (r"module power", r"(grace|cpu|sysio|gpu|dram) power"),
    (r"grace power", r"(cpu|sysio) power"),
    (r"card$", r"pkg$"),
    (r"(vdd_in|vin|pom_5v_in)$", r"(vdd_|pom_5v_[cg]|vin_)"),
)
"""Labels of which the first is known to contain the second: their sum would count it twice."""


@dataclass(frozen=True)
class ChosenChannel:
    """A channel and the chip that has it."""

    chip: Chip
    channel: ChipChannel


def choose(chips: Sequence[Chip], place: Place) -> list[ChosenChannel]:
    """The channels that a meter's entry asks for.

    Args:
        chips: All chips of the host.
        place: The settings of the entry, and how files are opened.

    Returns:
        At least one channel; all of them measure.

    Raises:
        SourceUnavailable: The entry names none, more than one can mean, or one that measures nothing.
    """
    address = str(place.settings.get("address", "")).strip()
    candidates, label = _addressed(chips, address, place)
    names = _names(place.settings, label)
    channels = [ChosenChannel(chip, channel) for chip in candidates for channel in bind(chip.name, chip.quantities)]
    if names:
        chosen = [_named(name, candidates, channels, place) for name in names]
        _no_part_twice(chosen)
    else:
        chosen = [one for one in channels if one.channel.best]
        if len(chosen) != 1:
            raise SourceUnavailable(_not_one(address, candidates, channels, chosen, place))
    for one in chosen:
        if not one.channel.best:
            raise SourceUnavailable(f"{one.channel.name} of {one.chip.title} measures nothing: {one.channel.off}; switch it on")
    return chosen


def _addressed(chips: Sequence[Chip], address: str, place: Place) -> tuple[list[Chip], str | None]:
    """The chips that an address names, and the channel's label where the address is one."""
    wanted = address.casefold()
    by_name = [
        chip
        for chip in chips
        if wanted and wanted in (chip.title.casefold(), chip.device.casefold(), chip.name, (chip.label or "").casefold())
    ]
    if by_name:
        return by_name, None
    labels = [chip for chip in chips if any(c.name.casefold() == wanted for c in bind(chip.name, chip.quantities))]
    if wanted and len(labels) == 1:
        return labels, address
    known = ", ".join(chip.title for chip in chips) or "(there are none)"
    several = f"a channel of several of the chips {', '.join(chip.title for chip in labels)}" if labels and wanted else None
    raise SourceUnavailable(
        f"address: {address!r} names {several or f'none of the chips {known}'} in {place.root / 'sys/class/hwmon'}; "
        "give name and device, and load the chip's driver (ina2xx, ina238)"
    )


def _names(settings: Settings, label: str | None) -> list[str]:
    """The channels by name; empty where the entry names none."""
    channel, names = settings.get("channel"), wanted_names(settings)
    if channel is not None and names:
        raise SourceUnavailable("channel and sum exclude each other; give one")
    if channel is not None:
        names = [str(channel)]
    if label is not None and names and names != [label]:
        raise SourceUnavailable(
            f"address: {label} is a channel already; give the chip in address, and channel or sum beside it"
        )
    return names or ([] if label is None else [label])


def _named(name: str, chips: Sequence[Chip], channels: Sequence[ChosenChannel], place: Place) -> ChosenChannel:
    """The one channel of a name: a label, or the names of its files (``power2``, ``in3*curr2``)."""
    wanted = name.casefold()
    matching = [one for one in channels if one.channel.name.casefold() == wanted] or _by_files(wanted, chips, channels)
    if len(matching) == 1:
        return matching[0]
    how_many = f"{len(matching)} channels" if matching else "no channel"
    raise SourceUnavailable(f"channel: {name!r} names {how_many}; there are {listed(matching or channels, place)}")


def _by_files(wanted: str, chips: Sequence[Chip], channels: Sequence[ChosenChannel]) -> list[ChosenChannel]:
    """A channel by its files: the joules alone, the watts alone, or volts and amperes that the user binds."""
    matching = []
    for one in channels:
        channel = one.channel
        if channel.energy is not None and channel.energy.short_name == wanted:
            matching.append(replace(one, channel=replace(channel, power=None, voltage=None, current=None)))
        elif channel.power is not None and channel.power.short_name == wanted:
            matching.append(replace(one, channel=replace(channel, energy=None, voltage=None, current=None)))
    pair = re.fullmatch(r"(in\d+)\s*\*\s*(curr\d+)", wanted)
    for chip in chips if pair is not None else ():
        parts = {quantity.short_name: quantity for quantity in chip.quantities}
        voltage, current = (parts.get(part) for part in (pair.groups() if pair else ()))
        if voltage is not None and current is not None:
            name = f"{voltage.short_name}*{current.short_name}"
            matching.append(ChosenChannel(chip, ChipChannel(name, voltage=voltage, current=current)))
    return matching


def _no_part_twice(chosen: Sequence[ChosenChannel]) -> None:
    """Refuse a sum of a whole and its part, and of one wire by two names."""
    files = [part.path for one in chosen for part in one.channel.best if part.kind != "in"]
    if len(set(files)) < len(files):
        raise SourceUnavailable(f"sum: {', '.join(one.channel.name for one in chosen)} has a channel twice; give each once")
    for whole in chosen:
        for part in chosen:
            names = whole.channel.name.casefold(), part.channel.name.casefold()
            if any(re.match(outer, names[0]) and re.match(inner, names[1]) for outer, inner in INSIDE):
                raise SourceUnavailable(
                    f"sum: {part.channel.name} is inside {whole.channel.name}, their sum counts it twice; leave one out"
                )


def _not_one(
    address: str,
    candidates: Sequence[Chip],
    channels: Sequence[ChosenChannel],
    usable: Sequence[ChosenChannel],
    place: Place,
) -> str:
    """Why an entry without a channel is refused."""
    titles = ", ".join(chip.title for chip in candidates)
    if len(candidates) > 1:
        return f"address: {address!r} names several of the chips {titles}: {listed(channels, place)}; give name and device"
    if not channels:
        chip = candidates[0]
        electric = [quantity for quantity in chip.quantities if quantity.kind in ("in", "curr")]
        both = {quantity.kind for quantity in electric} == {"in", "curr"}
        values = ", ".join(q.short_name + (f" ({q.label})" if q.label else "") for q in electric)
        hint = f"; nothing says which of {values} are of one wire: give channel: in1*curr1 or the like" if both else ""
        return f"{chip.folder} ({titles}) measures neither energy nor power, nor voltage and current of one wire{hint}"
    if not usable:
        return f"{titles} measures nothing now: {listed(channels, place)}; switch a channel on"
    return f"{titles} has {len(usable)} channels: {listed(channels, place)}; give channel: one of them, or sum: [a, b]"


def listed(channels: Sequence[ChosenChannel], place: Place) -> str:
    """Channels with what they read now, for a message.

    Args:
        channels: The channels.
        place: How files are opened.

    Returns:
        Their names and values in one line.
    """
    chips = {one.chip.folder for one in channels}
    texts = []
    for one in channels[:MOST_LISTED]:
        of_chip = f" of {one.chip.device}" if len(chips) > 1 else ""
        texts.append(f"{one.channel.title}{of_chip} {_now(one.channel, place)}")
    more = f" and {len(channels) - MOST_LISTED} more" if len(channels) > MOST_LISTED else ""
    return ", ".join(texts) + more if texts else "none"


def _now(channel: ChipChannel, place: Place) -> str:
    if not channel.best:
        return f"off ({channel.off})"
    try:
        numbers = KernelNumbers([part.path for part in channel.best], place.opener)
    except OSError as error:
        return f"unreadable ({said(error)})"
    try:
        first = numbers.first()
    except (OSError, ValueError) as error:
        return f"unreadable ({said(error)})"
    finally:
        numbers.close()
    product = first[0] * (first[1] if len(first) > 1 else 1)
    return f"{product / 1e6:.6g} {'J' if channel.best[0].kind == 'energy' else 'W'}"
