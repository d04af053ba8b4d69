"""Shared by external meters: settings, exact integers from replies, and which of two channels counts.

A meter reads power, a counter of energy, or both, in front of the hosts that it covers. Raw values are whole
microwatts and microwatt-hours, so that no digit of a reply is lost whatever the meter's unit is.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Literal

from bench.energy.sensor_base.source import Settings, Source, SourceUnavailable
from bench.joules.channel import EVERYTHING, Channel, Kind, Level

POWER_SCALE = 1e-6
ENERGY_SCALE = 3600e-6
MOST_DIGITS, LEAST_DIGIT = 30, 60
"""Before and after the decimal point. Instruments say 9.9E37 for infinity and 9.91E37 for no number."""
NUMBERS = (int, float, str, Decimal)
"""Decimal takes lists too, and makes numbers of them."""
COARSE_J = 10.0
"""A counter with larger steps is a cross-check only: 1 % of a window needs 41 steps, minutes at a board's power."""
ACCURACY = {"accuracy": "relative standard uncertainty from the meter's data sheet, such as 0.01 (default: unknown)"}
LEVEL = {"level": "wall (default: before the power supplies) or board (a DC meter at the boards' inputs)"}
PASSWORD = {"password_env": "the environment variable that holds the password, set where the meter is read"}


class Meter(Source):
    """A source with an entry in the inventory. ``values`` has one raw integer for each channel, by its id."""

    kind: ClassVar[Kind] = "measured"
    sensor: ClassVar[str] = "meter"
    period_s = 1.0
    automatic: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("address",)
    """Settings of which an entry must have one."""
    networked: ClassVar[bool] = False
    """Its address is the same from every host; else it is one of the host that reads it, such as /dev/ttyUSB0."""

    def __init__(self, channels: tuple[Channel, ...]) -> None:
        self.channels = channels
        if channels[0].level == "board":
            self.not_measured = ("power supply losses before the meter",)  # it depends on the entry

    def read(self) -> list[int]:
        """The values in the order of the channels.

        Raises:
            OSError: There is no reply.
            ValueError: The reply is not understood, or no meter can mean it.
        """
        values = self.values()
        raw = [values[channel.id] for channel in self.channels]
        for channel, value in zip(self.channels, raw, strict=True):
            if not -(2**63) <= value < 2**63:
                raise ValueError(f"{channel.id} reads {value * channel.scale:.4g}, which no meter can mean")
        return raw

    @abstractmethod
    def values(self) -> dict[str, int]:
        """Ask the meter once.

        Returns:
            The raw value of each channel, by its id.

        Raises:
            OSError: There is no reply.
            ValueError: The reply is not understood.
        """


def channels(power: Channel | None, energy: Channel | None) -> tuple[Channel, ...]:
    """The channels of a meter in order: the one that counts first, which contains all others of the hosts.

    Args:
        power: The channel of power; None where the meter has none.
        energy: The counter of energy, which counts unless it is coarse; None where the meter has none.

    Returns:
        One or two channels.
    """
    ordered = [channel for channel in (energy, power) if channel is not None]
    if energy is not None and energy.scale * energy.lsb > COARSE_J:
        ordered.reverse()
    return (replace(ordered[0], contains=(EVERYTHING,)), *ordered[1:])


def channel(
    kind: Literal["counter", "power"],
    scope: str,
    settings: Settings,
    lsb: float,
    update_s: float,
    scale: float = 0.0,
    modulus: int | None = None,
) -> Channel:
    """The channel of a meter.

    Args:
        kind: A counter of energy, or power.
        scope: In words, the part of the cluster that the meter is in front of.
        settings: The meter's entry, for its level and accuracy.
        lsb: The smallest step, in raw units.
        update_s: How often the meter renews it, in seconds.
        scale: Joules or watts of a raw unit; 0: microwatt-hours and microwatts.
        modulus: The raw value at which a counter starts again; None where it does not, or does not say.

    Returns:
        The channel, at the level of the entry (the wall where it names none).
    """
    level: Level = settings.get("level", "wall")
    return Channel(
        id="energy" if kind == "counter" else "power",
        kind=kind,
        scale=scale or (ENERGY_SCALE if kind == "counter" else POWER_SCALE),
        scope=scope,
        level=level,
        modulus=modulus,
        lsb=lsb,
        update_period_s=update_s,
        accuracy=settings.get("accuracy"),
    )


def pick(reply: Any, *keys: str | int) -> Any:
    """The value at a place of a reply.

    Args:
        reply: Parsed JSON.
        *keys: Names of objects and indices of arrays on the way to the value, outermost first.

    Returns:
        The value, never None.

    Raises:
        ValueError: The reply has nothing there, or something else on the way.
    """
    value = reply
    for key in keys:
        wrong = not isinstance(value, dict) if isinstance(key, str) else not isinstance(value, list)
        try:
            value = None if wrong else value[key]
        except LookupError:
            value = None
        if value is None:
            raise ValueError(f"no {'.'.join(map(str, keys))} in the reply {str(reply)[:80]}")
    return value


def exact(value: Any) -> Decimal:
    """A number as it was written.

    Args:
        value: A number of parsed JSON, or its text.

    Returns:
        The number with all digits that it was written with.

    Raises:
        ValueError: It is text without a number, true or false, infinity or nan, or too large for any meter.
    """
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value) if isinstance(value, NUMBERS) else Decimal("nan")
    except (InvalidOperation, ValueError):
        number = Decimal("nan")
    if isinstance(value, bool) or not number.is_finite():
        raise ValueError(f"{str(value)[:40]!r} is no number")
    digits, exponent = number.adjusted(), int(number.as_tuple().exponent)
    if (number and digits > MOST_DIGITS) or not -LEAST_DIGIT <= exponent <= MOST_DIGITS:
        raise ValueError(f"{str(value)[:40]!r} is no number that a meter can mean")
    return number


def micro(value: Decimal, digits: int = 6) -> int:
    """A number in whole small units; what is below them is noise of the reply's format.

    Args:
        value: The number.
        digits: Decimal places of the small unit; 6: millionths.

    Returns:
        The number of small units.
    """
    return int(value.scaleb(digits).to_integral_value())


def step(value: Decimal, digits: int = 6) -> int:
    """The last digit of a number as it was written.

    Args:
        value: The number with all its digits.
        digits: Decimal places of the small unit; 6: millionths.

    Returns:
        One unit of that digit, in small units; at least 1.
    """
    exponent = value.as_tuple().exponent
    return max(1, int(Decimal(1).scaleb(int(exponent) + digits)))


def whole(settings: Settings, key: str, default: int) -> int:
    """A setting that is a whole number.

    Args:
        settings: The meter's entry.
        key: The setting.
        default: Its value where the entry does not have it.

    Returns:
        The number.

    Raises:
        SourceUnavailable: The setting is no whole number.
    """
    try:
        return int(str(settings.get(key, default)))
    except ValueError:
        raise SourceUnavailable(f"{key}: {settings[key]} is no whole number") from None


def wanted_names(settings: Settings) -> list[str]:
    """The names in ``sum``, each once.

    Args:
        settings: The meter's entry.

    Returns:
        The names; empty where the entry has no ``sum``.

    Raises:
        SourceUnavailable: It is no list of names, or has one twice.
    """
    several = settings.get("sum")
    if several is None:
        return []
    if not isinstance(several, (list, tuple)) or not several:
        raise SourceUnavailable(f"sum: {several} is no list of channels; write it like [a, b]")
    names = [str(name) for name in several]
    if len({name.casefold() for name in names}) < len(names):
        raise SourceUnavailable(f"sum: {names} names a channel twice; give each once")
    return names


def asked_ids(settings: Settings) -> tuple[int, ...] | Literal["all"] | None:
    """The channels that an entry asks for by number: ``channel`` or ``sum``.

    Args:
        settings: The meter's entry.

    Returns:
        The numbers, each once; ``all``; None where the entry names none.

    Raises:
        SourceUnavailable: Both are given, or one is no whole number or list of them.
    """
    several = settings.get("sum")
    if several is None:
        if str(settings.get("channel", "")) == "all":
            return "all"
        return None if settings.get("channel") is None else (whole(settings, "channel", 0),)
    if settings.get("channel") is not None:
        raise SourceUnavailable("channel and sum exclude each other; give one")
    if not isinstance(several, (list, tuple)) or not several:
        raise SourceUnavailable(f"sum: {several} is no list of channels; write it like [0, 1]")
    numbers = tuple(whole({"sum": number}, "sum", 0) for number in several)
    if len(set(numbers)) < len(numbers):
        raise SourceUnavailable(f"sum: {list(numbers)} names a channel twice; give each once")
    return numbers


def password(settings: Settings) -> str | None:
    """The password of a meter, from the environment.

    Args:
        settings: The meter's entry; ``password_env`` names the variable.

    Returns:
        The password; None where the entry names no variable.

    Raises:
        SourceUnavailable: The variable is not set.
    """
    return secret_of(settings, "password_env")


def secret_of(settings: Settings, key: str) -> str | None:
    """A secret of a meter, from the environment.

    Args:
        settings: The meter's entry.
        key: The setting that names the variable.

    Returns:
        The secret; None where the entry names no variable.

    Raises:
        SourceUnavailable: The variable is not set.
    """
    name = settings.get(key)
    if name is None:
        return None
    if str(name) not in os.environ:
        raise SourceUnavailable(
            f"the environment variable {name} ({key}) is not set; export it on the host that reads the meter"
        )
    return os.environ[str(name)]
