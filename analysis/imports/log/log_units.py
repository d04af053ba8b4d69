"""Units as logs write them, and what a column's name says it holds: a power, an energy, or something that is neither.

A column is power or energy by the unit in its name, in a row of units or in its cells, or by the user's word; nothing else
makes watts of numbers.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Literal

from bench.common.user_error import UserError
from strategies.common.registry import did_you_mean

Quantity = Literal["power", "energy", "voltage", "current", "other", "unknown"]


@dataclass(frozen=True)
class Unit:
    """A unit with the factor that makes watts, joules, volts or amps of its numbers."""

    symbol: str
    quantity: Quantity
    factor: float = 1.0


@dataclass(frozen=True)
class Meaning:
    """What a column holds, as its name says it.

    Attributes:
        quantity: Power, energy, volts, amps, something else, or unknown.
        unit: Of its numbers; None where the name does not say it.
        words: In words, for messages.
    """

    quantity: Quantity
    unit: Unit | None
    words: str
    hinted: bool = False
    """Whether a word such as "load" alone says that it is something else: then the user may say otherwise."""


_PREFIXES = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6}
_BASES: dict[str, tuple[Quantity, float]] = {
    "W": ("power", 1.0),
    "J": ("energy", 1.0),
    "Ws": ("energy", 1.0),
    "Wh": ("energy", 3600.0),
    "V": ("voltage", 1.0),
    "A": ("current", 1.0),
}
UNITS = {
    prefix + base: Unit(prefix + base, quantity, power_of_ten * factor)
    for prefix, power_of_ten in _PREFIXES.items()
    for base, (quantity, factor) in _BASES.items()
}
"""By their symbols as SI writes them: ``mW`` and ``MW`` are not the same."""
ASKED_UNITS = ("uW", "mW", "W", "kW", "MW", "uJ", "mJ", "J", "kJ", "MJ", "mWh", "Wh", "kWh", "MWh", "mV", "V", "mA", "A")
"""What ``--unit`` takes."""
_WORD_BASES = {"watt": "W", "joule": "J", "watthour": "Wh", "volt": "V", "amp": "A", "ampere": "A"}
_WORD_PREFIXES = {"": "", "micro": "u", "milli": "m", "kilo": "k", "mega": "M"}
WORDS = {
    prefix + word + plural: UNITS[symbol + base]
    for word, base in _WORD_BASES.items()
    for prefix, symbol in _WORD_PREFIXES.items()
    for plural in ("", "s")
} | {
    f"{prefix}watt{plural}hour{hours}": UNITS[symbol + "Wh"]
    for prefix, symbol in _WORD_PREFIXES.items()
    for plural in ("", "s")
    for hours in ("", "s")
}
FOREIGN = {
    "va": "apparent power (VA), which is no watts",
    "kva": "apparent power (kVA), which is no watts",
    "mva": "apparent power (mVA), which is no watts",
    "var": "reactive power (var), which is no watts",
    "kvar": "reactive power (kvar), which is no watts",
    "%": "per cent",
    "°c": "a temperature",
    "degc": "a temperature",
    "°f": "a temperature",
    "°": "an angle or a temperature",
    "c": "a temperature",
    "hz": "a frequency",
    "khz": "a frequency",
    "mhz": "a frequency",
    "ghz": "a frequency",
    "rpm": "a speed",
    "ah": "a charge",
    "mah": "a charge",
    "ohm": "a resistance",
    "lux": "light",
    "dbm": "a signal",
}
"""Other units, by their symbols in small letters."""
NOT_WATTS = {
    "apparent": "apparent power, which is no watts",
    "aprt": "apparent power, which is no watts",
    "reactive": "reactive power, which is no watts",
    "factor": "a factor",
    "pf": "a power factor",
    "cosphi": "a power factor",
    "limit": "a limit",
    "cap": "a limit",
    "tdp": "a limit",
    "rated": "a limit",
    "threshold": "a limit",
    "max": "a largest value",
    "maximum": "a largest value",
    "peak": "a largest value",
    "min": "a smallest value",
    "minimum": "a smallest value",
    "std": "a spread",
    "stddev": "a spread",
    "sigma": "a spread",
    "uncertainty": "an uncertainty",
}
"""Words that no unit outweighs."""
OTHER = {
    "temp": "a temperature",
    "temperature": "a temperature",
    "percent": "per cent",
    "percentage": "per cent",
    "pct": "per cent",
    "load": "a load",
    "usage": "a use",
    "util": "a use",
    "utilization": "a use",
    "utilisation": "a use",
    "frequency": "a frequency",
    "freq": "a frequency",
    "clock": "a frequency",
    "angle": "an angle",
    "phi": "an angle",
    "state": "a state",
    "mode": "a mode",
    "model": "a model",
    "supply": "a supply",
    "cost": "a cost",
    "price": "a price",
}
POWER_WORDS = ("power", "apower", "pwr", "leistung", "wirkleistung", "puissance")
ENERGY_WORDS = ("energy", "aenergy", "energie", "consumption")
VOLT_WORDS, AMP_WORDS = ("voltage", "spannung"), ("current", "strom", "amperage")
MILLI_OR_MEGA = ("MW", "MJ", "MWH", "MWh", "MV", "MA")
"""A board does not use megawatts, and a name in capitals cannot say milli."""
BRACKET = re.compile(r"[(\[{]\s*([^()\[\]{}]+?)\s*[)\]}]")
SEPARATORS = re.compile(r"[\s_.\-/:,;|()\[\]{}]+")
GLUED = re.compile(r"(?:power|pwr|energy|leistung|watt|voltage|current|temp)(?:in)?([numkMµμ]?(?:Wh|W|J|V|A|C))", re.IGNORECASE)
CAMEL = re.compile(r"[A-Z]?[a-zäöüß]+|[A-Z]+(?![a-z])")


def asked_unit(text: str) -> Unit:
    """The unit of a word of ``--unit``.

    Args:
        text: Such as ``mW``.

    Returns:
        The unit.

    Raises:
        UserError: There is no such unit here.
    """
    if text not in ASKED_UNITS:
        near = unit_of(text)
        hint = did_you_mean(text, ASKED_UNITS) if near is None else f"; did you mean {near.symbol}?"
        raise UserError(f"--unit {text} is unknown; units are {', '.join(ASKED_UNITS)}{hint}")
    return UNITS[text]


def unit_of(text: str) -> Unit | None:
    """The unit that a symbol or a word stands for.

    Args:
        text: Such as ``mW``, ``mw``, ``kWh``, ``milliwatts``.

    Returns:
        The unit; None where it is none of power, energy, volts or amps, or where capitals leave open whether it is milli or
        mega.
    """
    if text in MILLI_OR_MEGA:
        return None
    return UNITS.get(text) or WORDS.get(text.lower()) or _SMALL.get(text.lower())


_SMALL = {symbol.lower(): unit for symbol, unit in UNITS.items() if not symbol.startswith("M")}
"""In small letters m is milli: a name in code cannot say mega."""


def meaning_of(name: str, row_unit: str = "") -> Meaning:
    """What a column holds.

    Args:
        name: The column's.
        row_unit: Its cell in the row of units; empty where there is none.

    Returns:
        The quantity with its unit, as far as name and unit say them.
    """
    tokens = [token for token in SEPARATORS.split(name) if token]
    words = [word.lower() for token in tokens for word in [token, *CAMEL.findall(token)]]
    refused = next((NOT_WATTS[word] for word in words if word in NOT_WATTS), None)
    if refused is not None:
        return Meaning("other", None, refused)
    marked = row_unit.strip() or (BRACKET.findall(name) or [""])[-1]
    if marked:
        unit = unit_of(marked)
        if unit is not None:
            return Meaning(unit.quantity, unit, f"{unit.quantity} in {unit.symbol}")
        if marked.lower() in FOREIGN:
            return Meaning("other", None, FOREIGN[marked.lower()])
        if marked in MILLI_OR_MEGA:
            return Meaning("unknown", None, f"in {marked}, which may be milli or mega")
    return _by_tokens(tokens, words)


def _by_tokens(tokens: list[str], words: list[str]) -> Meaning:
    """From the parts of a name without a unit in brackets: a unit among them, else a word for the quantity."""
    pairs = [first + second for first, second in itertools.pairwise(words)]
    if (unit := next((WORDS[pair] for pair in pairs if pair in WORDS), None)) is not None:
        return Meaning(unit.quantity, unit, f"{unit.quantity} in {unit.symbol}")
    for token in reversed(tokens):
        glued = GLUED.fullmatch(token)
        symbol = glued.group(1) if glued else token
        unit = unit_of(symbol)
        if unit is not None and (unit.quantity in ("power", "energy") or len(token) > 1 or token == tokens[-1] != tokens[0]):
            return Meaning(unit.quantity, unit, f"{unit.quantity} in {unit.symbol}")
        if symbol in MILLI_OR_MEGA:
            return Meaning("unknown", None, f"in {symbol}, which may be milli or mega")
    unit = next((WORDS[word] for word in words if word in WORDS), None)
    if unit is not None:
        return Meaning(unit.quantity, unit, f"{unit.quantity} in {unit.symbol}")
    if len(tokens) > 1 and tokens[-1].lower() in FOREIGN:
        return Meaning("other", None, FOREIGN[tokens[-1].lower()])
    other = next((OTHER[word] for word in words if word in OTHER), None)
    if other is not None:
        return Meaning("other", None, other, hinted=True)
    for quantity, known in (("power", POWER_WORDS), ("energy", ENERGY_WORDS), ("voltage", VOLT_WORDS), ("current", AMP_WORDS)):
        if any(word in known for word in words):
            return Meaning(quantity, None, f"{quantity} without a unit")  # type: ignore[arg-type]
    return Meaning("unknown", None, "without a unit")
