"""Any meter that writes lines: a serial device, a file that grows, or a program.

Reads the newest line of ``address`` (a serial device such as /dev/ttyUSB0, or a file that a logger appends to) or of the
standard output of ``command``: watts (``power_W``), volts times amperes (``voltage_V`` and ``current_A``), or a counter
(``energy_J`` or ``energy_Wh``), from the columns that ``columns`` names, by number from 1 or by a header's words; each is
multiplied by ``scale``. The resolution is the last digit of the first line. The meter's own rate is not known: its update
period is taken to be ``period_s``. A program runs on a pseudo terminal, as most programs write blocks of lines into a pipe;
where lines still come in blocks, the time between two blocks is the update period. The first line may take
``start_timeout_s``; later, a line that is older than ``timeout_s`` is no reading, so a logger that stops makes a
gap. It needs permission to read the device (group dialout for serial ones). What it includes is what the meter is in
front of: ``level: board`` for a DC meter at the boards' inputs.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, LEVEL, Meter, channel, channels, micro, step
from bench.energy.sensor_base.source import Place, Settings, Source, SourceUnavailable, register
from bench.energy.transport.line_stream import ColumnTable, Numbers, Stream
from bench.joules.channel import Channel

DIGITS = 9  # nano: volts times amperes have more digits than either
SCALE = 1e-9
LARGE_J, LARGE_DIGITS, LARGE_SCALE = 10**8, 6, 1e-6
"""Of a counter above 28 kWh: 64 bits of nanojoules end at 2,562 kWh."""
START_TIMEOUT_S = 10.0
"""A logger looks for its device and lets it settle before the first line."""


@register
class Lines(Meter):
    """The newest line of a device, a file or a program."""

    name: ClassVar[str] = "lines"
    rank: ClassVar[int] = 55
    needs: ClassVar[tuple[str, ...]] = ("address", "command")
    settings: ClassVar[dict[str, str]] = {
        "address": "a serial device or a file that grows",
        "command": "instead: a program and its arguments, [logger, --csv]",
        "baud": "of a serial device (default 115200)",
        "separator": "between columns (default ','; ' ' is any white space)",
        "columns": "where the numbers are, by number from 1 or by header: {power_W: 2}, {voltage_V: 1, current_A: 2}, "
        "{energy_J: 3} or {energy_Wh: 3}",
        "scale": "what each number is multiplied by (default 1)",
        "period_s": "how often to read it (default 1.0)",
        "timeout_s": "how old a line may be (default 3 periods, or 3 blocks of a writer that buffers)",
        "start_timeout_s": "how long to wait for the first line (default 10)",
        "terminal": "false: the program writes into a pipe (default true: a pseudo terminal, so that it writes line by line)",
        **LEVEL,
        **ACCURACY,
    }

    def __init__(self, stream: Stream, timeout_s: float, period_s: float, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.stream, self.timeout_s = stream, timeout_s
        self.period_s = period_s  # an entry may have its own

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the device, file or program, after its first line with numbers."""
        settings = place.settings
        period_s = float(settings.get("period_s", cls.period_s))
        timeout_s = float(settings.get("timeout_s", 3 * period_s))
        stream = Stream(settings, ColumnTable(settings))
        start_s = float(settings.get("start_timeout_s", START_TIMEOUT_S))
        try:
            first = stream.newest(max(start_s, timeout_s), wait=True)
        except OSError as error:
            stream.close()
            raise SourceUnavailable(
                f"{stream.where}: {error}; check that it writes, columns and separator, and start_timeout_s if it starts slowly"
            ) from None
        block_s = stream.block_s(max(start_s, timeout_s))
        block_s = block_s if block_s > period_s else 0.0  # several lines for each reading are no matter
        if block_s > timeout_s and "timeout_s" in settings:
            stream.close()
            raise SourceUnavailable(
                f"{stream.where}: lines come in blocks every {block_s:.3g} s, later than timeout_s: {timeout_s:g}: the writer "
                "buffers them; have it flush each line, or leave timeout_s out"
            )
        return cls(
            stream,
            max(timeout_s, 3 * block_s),
            period_s,
            _channels(first, settings, stream.where, max(period_s, block_s), block_s),
        )

    def values(self) -> dict[str, int]:
        """Nanowatts and nanojoules of the newest line; microjoules of a large counter."""
        digits = {channel.id: LARGE_DIGITS if channel.scale == LARGE_SCALE else DIGITS for channel in self.channels}
        quantities = _quantities(self.stream.newest(self.timeout_s))
        return {name: micro(value, digits[name]) for name, value in quantities.items()}

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.stream.close()


def _quantities(numbers: Numbers) -> dict[str, Decimal]:
    """Watts and joules of a line."""
    values = {}
    if "power_W" in numbers:
        values["power"] = numbers["power_W"]
    elif "voltage_V" in numbers:
        values["power"] = numbers["voltage_V"] * numbers["current_A"]
    if "energy_J" in numbers:
        values["energy"] = numbers["energy_J"]
    elif "energy_Wh" in numbers:
        values["energy"] = numbers["energy_Wh"] * 3600
    return values


def _channels(first: Numbers, settings: Settings, where: str, period_s: float, block_s: float) -> tuple[Channel, ...]:
    """Steps are the last digits of the first line; for volts times amperes both of them."""
    blocks = f"; lines come in blocks every {block_s:.3g} s, a power is that of the last line" if block_s else ""
    scope, power, energy = f"everything behind the meter that writes {where}{blocks}", None, None
    if "power_W" in first or "voltage_V" in first:
        lsb = step(first["power_W"], DIGITS) if "power_W" in first else _product_step(first["voltage_V"], first["current_A"])
        power = channel("power", scope, settings, lsb, period_s, SCALE)
    if "energy_J" in first or "energy_Wh" in first:
        large = _quantities(first)["energy"] > LARGE_J
        digits, scale = (LARGE_DIGITS, LARGE_SCALE) if large else (DIGITS, SCALE)
        lsb = step(first["energy_J"], digits) if "energy_J" in first else 3600 * step(first["energy_Wh"], digits)
        energy = channel("counter", scope, settings, lsb, period_s, scale)
    return channels(power, energy)


def _product_step(volts: Decimal, amperes: Decimal) -> int:
    return max(1, int(abs(volts) * step(amperes, DIGITS) + abs(amperes) * step(volts, DIGITS)))
