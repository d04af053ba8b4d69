"""Nordic's Power Profiler Kit II, a meter of current by USB, by the package ppk2-api (``pip install edgejoule[ppk2]``).

Takes its samples of current (100,000 a second, microamperes): their mean since the last reading times ``voltage_V`` is
watts, renewed with each reading. As ``mode: ampere`` (default) it sits in a supply's wire and does not measure the voltage:
``voltage_V`` is yours to measure at the board. As ``mode: source`` it feeds the board with ``voltage_V`` (0.8 to 5 V), and
is switched on when the meter is opened. It ends at 1 A: a Zero-class board at most. More than 5 % lost samples are no
reading. Making watts of the samples takes a large part of a processor core: let a host read it that is not measured
(``reader``). Needs the group dialout. It includes what is behind its wire. Never run on the hardware: a stand-in for the
package in tests only.
"""

from __future__ import annotations

import contextlib
import time
from decimal import Decimal
from typing import Any, ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, LEVEL, Meter, channel, channels, exact, micro
from bench.energy.sensor_base.source import Place, Settings, Source, SourceUnavailable, register
from bench.energy.transport.maker_package import as_os_error, imported
from bench.joules.channel import Channel

RATE_HZ, PERIOD_S, START_S = 100_000, 0.1, 0.2
MOST_LOST = 0.05
MODES = ("ampere", "source")
LEAST_V, MOST_V = Decimal("0.8"), Decimal(5)


@register
class Ppk2(Meter):
    """Mean current between two readings, times the voltage of the entry."""

    name: ClassVar[str] = "ppk2"
    rank: ClassVar[int] = 58
    period_s: float = PERIOD_S
    settings: ClassVar[dict[str, str]] = {
        "address": "its serial device, such as /dev/ttyACM0",
        "voltage_V": "the voltage at the board; with mode: source, what it feeds",
        "mode": "ampere (default: in a supply's wire) or source (it feeds the board)",
        **LEVEL,
        **ACCURACY,
    }

    def __init__(self, kit: Any, volts: Decimal, channels: tuple[Channel, ...]) -> None:
        super().__init__(channels)
        self.kit, self.volts = kit, volts
        self.samples, self.since_s = 0, time.monotonic()

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the kit, measuring."""
        settings = {"level": "board", **place.settings}
        volts, mode = _voltage(settings), str(settings.get("mode", MODES[0]))
        if mode not in MODES:
            raise SourceUnavailable(f"mode: {mode} is unknown; use {' or '.join(MODES)}")
        package = imported("ppk2_api.ppk2_api", "ppk2-api", "ppk2")
        kit = None
        scope = f"everything behind {settings['address']} at {volts} V ({'fed by it' if mode == 'source' else 'by your word'})"
        try:
            with as_os_error():
                kit = package.PPK2_MP(str(settings["address"]), buffer_chunk_seconds=0.01, timeout=1, exclusive=True)
                _start(kit, mode, volts)
            power = channel("power", scope, settings, 1, PERIOD_S)
            source = cls(kit, volts, channels(power, None))
            time.sleep(START_S)
            source.values()
        except (OSError, ValueError) as error:
            _stop(kit)
            raise SourceUnavailable(
                f"{settings['address']}: {error}; check the cable, the group dialout, and that it is a PPK2"
            ) from None
        return source

    def values(self) -> dict[str, int]:
        """Microwatts: the mean since the last reading."""
        with as_os_error():
            data, now_s = self.kit.get_data(), time.monotonic()
            microamperes = list(self.kit.get_samples(data)[0]) if data else []
        if not microamperes:
            raise OSError("no samples since the last reading")
        self.samples += len(microamperes)
        elapsed_s = now_s - self.since_s
        lost = 1 - self.samples / (RATE_HZ * elapsed_s)
        if elapsed_s > 1 and lost > MOST_LOST:
            self.samples, self.since_s = 0, now_s
            raise OSError(f"{100 * lost:.0f} % of the samples are lost: this host is too slow for them")
        with as_os_error():
            mean_uA = exact(sum(microamperes) / len(microamperes))
        return {"power": micro(mean_uA * self.volts, 0)}

    def close(self) -> None:
        """End the measurement; a board that it feeds stays on."""
        _stop(self.kit)


def _voltage(settings: Settings) -> Decimal:
    try:
        volts = exact(settings.get("voltage_V"))
    except ValueError:
        volts = Decimal(0)
    if not LEAST_V <= volts <= MOST_V:
        raise SourceUnavailable(f"voltage_V: {settings.get('voltage_V')} is none of it; give volts from {LEAST_V} to {MOST_V}")
    return volts


def _start(kit: Any, mode: str, volts: Decimal) -> None:
    kit.get_modifiers()
    millivolts = int(volts * 1000)
    if mode == "source":
        kit.use_source_meter()
        kit.set_source_voltage(millivolts)
        kit.toggle_DUT_power("ON")
    else:
        kit.set_source_voltage(millivolts)
        kit.use_ampere_meter()
    kit.start_measuring()


def _stop(kit: Any) -> None:
    if kit is not None:
        with contextlib.suppress(Exception):  # it may be gone
            kit.stop_measuring()
        with contextlib.suppress(Exception):
            kit.ser.close()
