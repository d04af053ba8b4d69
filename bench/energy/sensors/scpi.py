"""Power analysers that speak SCPI, by PyVISA (an extra: ``pip install edgejoule[visa]``): Yokogawa WT300 and others.

Yokogawa: reads ``:NUMERIC:NORMAL:VALUE? 1`` with item 1 set to ``P`` in watts, a mean over the update interval
(``:RATE?``, 0.1 to 20 s). While the analyser's integrator runs, item 2 is ``WH`` in watt-hours: it has every sample and
counts as long as its steps are fine; they grow with its value, so reset it before a campaign. ``generic``: reads
``query``, whose reply is in watts. Fix the ranges, high enough for the peak: a range that changes costs samples, and one
that is too low gives no number. Accuracy is 0.1 % of the reading plus a part of the range: give ``accuracy``. Read each
second, or ``period_s``. It needs a network, USB or GPIB connection and no permission. It includes what is behind its
element, mostly the power supplies too. No setting of the analyser is changed but which items it sends, and how.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, LEVEL, Meter, channel, channels, exact, micro, step, whole
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable, register
from bench.energy.transport.http_json import TIMEOUT_S
from bench.joules.channel import Channel

GENERIC_PERIOD_S = 1.0
LONGEST_UPDATE_S = 3600.0
DIALECTS = ("yokogawa-wt300", "generic")
POWER = ":NUMERIC:NORMAL:VALUE? 1"
ENERGY = ":NUMERIC:NORMAL:VALUE? 2"


@register
class Scpi(Meter):
    """Power of one element, and the integrator's energy while it runs."""

    name: ClassVar[str] = "scpi"
    rank: ClassVar[int] = 54
    needs: ClassVar[tuple[str, ...]] = ("resource",)
    settings: ClassVar[dict[str, str]] = {
        "resource": "the VISA resource, such as TCPIP::192.168.1.60::INSTR",
        "library": "PyVISA's library (default @py)",
        "dialect": "yokogawa-wt300 (default) or generic",
        "channel": "of a Yokogawa with several elements: the element (default 1)",
        "query": "generic: the query that gives watts, such as MEAS:POW?",
        "period_s": "how often to read it (default 1.0)",
        **LEVEL,
        **ACCURACY,
    }

    def __init__(self, session: Session, queries: dict[str, str], channels: tuple[Channel, ...], period_s: float) -> None:
        super().__init__(channels)
        self.session, self.queries = session, queries
        self.period_s = period_s  # an entry may have its own

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the instrument, set to send what is read."""
        settings = place.settings
        dialect = str(settings.get("dialect", DIALECTS[0]))
        if dialect not in DIALECTS:
            raise SourceUnavailable(f"dialect: {dialect} is unknown; use {' or '.join(DIALECTS)}")
        if (dialect == "generic") != ("query" in settings):
            raise SourceUnavailable("dialect: generic and query: QUERY go together; give both or none")
        session = Session(str(settings["resource"]), str(settings.get("library", "@py")))
        try:
            channels, queries = _generic(session, settings) if dialect == "generic" else _yokogawa(session, settings)
        except (OSError, ValueError) as error:
            session.close()
            raise SourceUnavailable(
                f"{session.resource} does not answer as {dialect} does: {error}; check that it is on, resource and dialect"
            ) from None
        except SourceUnavailable:
            session.close()
            raise
        return cls(session, queries, channels, float(settings.get("period_s", cls.period_s)))

    def values(self) -> dict[str, int]:
        """Microwatts, and microwatt-hours while the integrator runs."""
        if "energy" in self.queries and not _integrates(self.session):
            raise OSError("the integrator has stopped: its counter misses energy; start it again, or run without it")
        return {name: micro(self.session.number(query)) for name, query in self.queries.items()}

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.session.close()


class Session:
    """One instrument. Whatever PyVISA raises becomes OSError, so that a reading that fails is a gap."""

    def __init__(self, resource: str, library: str) -> None:
        try:
            import pyvisa
        except ImportError as error:
            raise SourceUnavailable(f"PyVISA cannot be imported ({error}); pip install edgejoule[visa]") from None
        self.resource = resource
        try:
            # One manager for all instruments of a library: closing it would close those of other meters.
            manager = pyvisa.ResourceManager(library)
        except Exception as error:  # noqa: BLE001 -- libraries raise what they like
            raise SourceUnavailable(f"library: {library} cannot be used ({_line(error)}); use @py") from None
        wait_ms = int(TIMEOUT_S * 1000)
        try:
            instrument: Any = manager.open_resource(resource, open_timeout=wait_ms)
            instrument.timeout = wait_ms
            instrument.read_termination = instrument.write_termination = "\n"
            if not hasattr(instrument, "query"):
                raise OSError("no instrument that takes queries")
        except Exception as error:  # noqa: BLE001 -- sockets, RPC and VISA have no common base
            raise SourceUnavailable(f"{resource} cannot be opened ({_line(error)}); check the resource and the cable") from None
        self.instrument = instrument

    def ask(self, query: str) -> str:
        """Ask the instrument.

        Args:
            query: A command that ends with a question mark.

        Returns:
            The answer without spaces around it.

        Raises:
            OSError: There is none.
        """
        try:
            return str(self.instrument.query(query)).strip()
        except Exception as error:  # noqa: BLE001 -- as above
            raise OSError(f"{query} has no answer ({_line(error)})") from None

    def tell(self, command: str) -> None:
        """Send a command without an answer.

        Args:
            command: The command.

        Raises:
            OSError: It cannot be sent.
        """
        try:
            self.instrument.write(command)
        except Exception as error:  # noqa: BLE001 -- as above
            raise OSError(f"{command} cannot be sent ({_line(error)})") from None

    def number(self, query: str) -> Decimal:
        """Ask the instrument for a number.

        Args:
            query: A command that ends with a question mark.

        Returns:
            The answer with all its digits.

        Raises:
            OSError: There is no answer.
            ValueError: It is none: NAN (no data yet) or INF (over range), which analysers send too.
        """
        reply = self.ask(query)
        try:
            return exact(reply)
        except ValueError:
            raise ValueError(f"{query} answers {reply[:40]!r}, no number; is it over range?") from None

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(Exception):  # of a connection that is broken already
            self.instrument.close()


def _yokogawa(session: Session, settings: Mapping[str, Any]) -> tuple[tuple[Channel, ...], dict[str, str]]:
    element = whole(settings, "channel", 1)
    name = ", ".join(session.ask("*IDN?").split(",")[:3])
    for command in (":COMMUNICATE:HEADER OFF", ":NUMERIC:FORMAT ASCII", f":NUMERIC:NORMAL:ITEM1 P,{element}"):
        session.tell(command)
    ranges = []
    for what in ("VOLTAGE", "CURRENT"):
        fixed = session.ask(f":INPUT:{what}:AUTO?") in ("0", "OFF")
        advice = "fixed" if fixed else "automatic, better fixed"
        ranges.append(f"{what.lower()} range {session.ask(f':INPUT:{what}:RANGE?')} {advice}")
    scope = f"everything behind element {element} of {name}; {'; '.join(ranges)}"
    update_s = float(session.number(":RATE?"))
    if not 0 < update_s < LONGEST_UPDATE_S:
        raise ValueError(f":RATE? answers {update_s:g}, no update interval in seconds")
    queries, counter = {"power": POWER}, None
    if _integrates(session):
        session.tell(f":NUMERIC:NORMAL:ITEM2 WH,{element}")
        queries["energy"] = ENERGY
        counter = channel("counter", scope, settings, step(session.number(ENERGY)), update_s)
    power = channel("power", scope, settings, step(session.number(POWER)), update_s)
    return channels(power, counter), queries


def _generic(session: Session, settings: Mapping[str, Any]) -> tuple[tuple[Channel, ...], dict[str, str]]:
    query = str(settings["query"])
    scope = f"everything behind {', '.join(session.ask('*IDN?').split(',')[:3])}, by {query}"
    power = channel("power", scope, settings, step(session.number(query)), GENERIC_PERIOD_S)
    return channels(power, None), {"power": query}


def _integrates(session: Session) -> bool:
    return session.ask(":INTEGRATE:STATE?").upper().startswith("STAR")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
