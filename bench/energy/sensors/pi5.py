"""Power behind a Raspberry Pi 5's power management chip, by ``vcgencmd pmic_read_adc``.

The program prints voltage and current of 12 rails (``VDD_CORE_A current(7)=0.75012000A``, ``VDD_CORE_V volt(15)=...``); the
raw values here are their products in microwatts, and their sum. Published replies have steps of 9 mA for VDD_CORE and 1 mA
and less for the others; how often the chip renews them is not published. Each reading starts a program, so ten times a
second. Needs the group ``video``. EXT5V and BATT have a voltage only: what enters the board is not visible, so the chip's
own losses, USB and all else that is fed with 5 V are missing. Calibrate against a meter. A Pi 4 and older have nothing.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.joules.channel import Channel, Kind

LINE = re.compile(r"\s*(?P<rail>\w+)_(?P<unit>[AV]) (?:current|volt)\(\d+\)=(?P<value>\d{1,9}\.\d{1,12})(?P=unit)\s*")
TIMEOUT_S = 2.0
TOTAL = "pmic"
SMALL = ("3V3_DAC", "3V3_ADC", "0V8_AON", "HDMI")
USUAL_LSB_A, CURRENT_LSB_A = 976e-6, {"VDD_CORE": 8.93e-3, **dict.fromkeys(SMALL, 61e-6)}
"""The common divisors of published replies."""


@dataclass(frozen=True)
class Rail:
    """Current and voltage of a rail."""

    amperes: Decimal
    volts: Decimal


@register
class Pi5(Source):
    """The sum of the chip's rails, and each of them."""

    name: ClassVar[str] = "pi5"
    kind: ClassVar[Kind] = "measured"
    rank: ClassVar[int] = 40
    sensor: ClassVar[str] = "pmic"
    period_s: float = 0.1
    not_measured: tuple[str, ...] = (
        "power supply losses",
        "what the board feeds with 5 V (USB), and the losses of its power management",
    )

    def __init__(self, program: Path, rails: dict[str, Rail]) -> None:
        self.program, self.rails = program, list(rails)
        lsb = {name: float(rail.volts) * CURRENT_LSB_A.get(name, USUAL_LSB_A) * 1e6 for name, rail in rails.items()}
        parts = [
            Channel(name, "power", 1e-6, f"{name}: part of {TOTAL}", "component", None, self.period_s, lsb[name])
            for name in rails
        ]
        whole = "output of the power management chip: the sum of its rails, not the board's input"
        total = Channel(TOTAL, "power", 1e-6, whole, "package", None, self.period_s, max(lsb.values()), contains=tuple(rails))
        self.channels = (total, *parts)

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the program, asked once."""
        program = place.root / "usr/bin/vcgencmd"
        if not program.exists():
            raise SourceUnavailable(f"{program} does not exist: not a Raspberry Pi with its tools (raspi-utils); use a meter")
        try:
            rails = parse(_reply(program))
        except (OSError, ValueError) as error:
            raise SourceUnavailable(
                f"{program} pmic_read_adc: {error}; only a Pi 5 has it, and this user needs the group video "
                "(`sudo usermod -aG video $USER`)"
            ) from None
        return cls(program, rails)

    def read(self) -> list[int]:
        """Microwatts of the sum, then of each rail."""
        rails = parse(_reply(self.program))
        if list(rails) != self.rails:
            raise ValueError(f"vcgencmd now has the rails {', '.join(rails)}")
        powers_uW = [rail.amperes * rail.volts * 10**6 for rail in rails.values()]
        return [round(sum(powers_uW)), *map(round, powers_uW)]

    def close(self) -> None:
        """Nothing stays open."""


def _reply(program: Path) -> str:
    """Raises OSError when the program fails or hangs."""
    try:
        done = subprocess.run([program, "pmic_read_adc"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise OSError(f"no reply within {TIMEOUT_S:.0f} s") from None
    if done.returncode:
        raise OSError(" ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}")
    return done.stdout


def parse(reply: str) -> dict[str, Rail]:
    """The rails that have a current.

    Args:
        reply: All lines that the program printed.

    Returns:
        Amperes and volts by rail; at least one rail.

    Raises:
        ValueError: The reply has another form.
    """
    by_unit: dict[str, dict[str, Decimal]] = {"A": {}, "V": {}}
    for line in reply.splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"the line {line.strip()[:60]!r} is no voltage and no current")
        by_unit[match["unit"]][match["rail"]] = Decimal(match["value"])
    amperes, volts = by_unit["A"], by_unit["V"]
    missing = [rail for rail in amperes if rail not in volts]
    if missing or not amperes:
        raise ValueError(f"no voltage of {', '.join(missing)}" if missing else "it has no current of any rail")
    return {rail: Rail(amperes[rail], volts[rail]) for rail in amperes}
