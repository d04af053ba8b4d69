"""Numbers of an SNMP agent, by pysnmp: version 2c, or 3 with a user."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bench.energy.sensor_base.external_meter import exact, password, secret_of
from bench.energy.sensor_base.source import Settings, SourceUnavailable
from bench.energy.transport.async_wait import Waiter

PORT = 161
TIMEOUT_S, TRIES = 1.0, 2
OID = re.compile(r"\.?\d+(\.\d+)+\Z")
NOTHING = ("NoSuchObject", "NoSuchInstance", "EndOfMibView", "Null")


class Agent:
    """One agent; ``numbers`` asks it once for all objects.

    Args:
        settings: The meter's entry: ``address``, ``community_env``, ``user``, ``password_env``, ``privacy_env``.

    Raises:
        SourceUnavailable: The library is missing, or the entry is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            from pysnmp.hlapi.v3arch import asyncio as snmp
        except ImportError as error:
            raise SourceUnavailable(f"pysnmp cannot be imported ({error}); pip install edgejoule[snmp]") from None
        host, port = _address(str(settings["address"]))
        self.snmp, self.where, self.place = snmp, f"{host}:{port}", (host, port)
        self.login = _login(snmp, settings)
        self.waiter, self.target = Waiter(), None
        self.engine = snmp.SnmpEngine()

    def numbers(self, oids: Sequence[str]) -> list[Decimal]:
        """The numbers of some objects, in one request.

        Args:
            oids: Their identifiers.

        Returns:
            One number for each.

        Raises:
            OSError: There is no answer, or the agent refuses.
            ValueError: An object is missing, or is no number.
        """
        return self.waiter.wait(self._get(oids), TIMEOUT_S * (TRIES + 1) + 1)

    async def _get(self, oids: Sequence[str]) -> list[Decimal]:
        snmp = self.snmp
        try:
            if self.target is None:
                self.target = await snmp.UdpTransportTarget.create(self.place, timeout=TIMEOUT_S, retries=TRIES - 1)
            asked = [snmp.ObjectType(snmp.ObjectIdentity(oid)) for oid in oids]
            problem, status, index, bindings = await snmp.get_cmd(
                self.engine, self.login, self.target, snmp.ContextData(), *asked, lookupMib=False
            )
        except (OSError, ValueError):
            raise
        except Exception as error:  # noqa: BLE001 -- the library raises errors of its own in several packages
            raise OSError(" ".join(str(error).split())[:120] or type(error).__name__) from None
        if problem:
            raise OSError(str(problem))
        if status:
            raise OSError(f"{status.prettyPrint()} for {oids[int(index) - 1] if index else 'the request'}")
        return [_number(oid, binding[1]) for oid, binding in zip(oids, bindings, strict=True)]

    def close(self) -> None:
        """Close the socket and the loop."""
        with contextlib.suppress(Exception):  # it may not have been opened
            self.engine.close_dispatcher()
        self.waiter.close()


def _address(address: str) -> tuple[str, int]:
    host, colon, port = address.removeprefix("udp://").rpartition(":")
    if not colon:
        host, port = port, str(PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host or "@" in host:
        raise SourceUnavailable(f"address: {address} is no agent; write it like 192.168.1.70, or 192.168.1.70:161")
    return host, int(port)


def _login(snmp: Any, settings: Settings) -> Any:
    secret, privacy = password(settings), secret_of(settings, "privacy_env")
    if "user" not in settings:
        if secret is not None or privacy is not None:
            raise SourceUnavailable("password_env and privacy_env are of version 3; give user too, or community_env")
        return snmp.CommunityData(secret_of(settings, "community_env") or "public", mpModel=1)
    for name, key in (("password_env", secret), ("privacy_env", privacy)):
        if key is not None and len(key) < 8:
            raise SourceUnavailable(f"{name}: version 3 wants at least 8 characters, {len(key)} are set")
    if privacy is not None and secret is None:
        raise SourceUnavailable("privacy_env without password_env; version 3 has no privacy without authentication")
    return snmp.UsmUserData(
        str(settings["user"]),
        secret,
        privacy,
        authProtocol=snmp.usmHMACSHAAuthProtocol if secret else snmp.usmNoAuthProtocol,
        privProtocol=snmp.usmAesCfb128Protocol if privacy else snmp.usmNoPrivProtocol,
    )


def _number(oid: str, value: Any) -> Decimal:
    """Integers, counters, and text: some units send 8.5 as a string."""
    if type(value).__name__ in NOTHING:
        raise ValueError(f"the agent has no {oid} ({type(value).__name__}); see snmpwalk")
    try:
        return exact(str(value.prettyPrint()).strip())
    except ValueError as error:
        raise ValueError(f"{oid}: {error}") from None


def oid_of(setting: str, oid: str) -> str:
    """Check an object's identifier.

    Args:
        setting: The setting that has it.
        oid: Numbers with dots between.

    Returns:
        The identifier without a leading dot.

    Raises:
        SourceUnavailable: It is none.
    """
    if not OID.match(oid):
        raise SourceUnavailable(f"{setting}: {oid} is no identifier; write it in numbers, such as 1.3.6.1.4.1.318.1")
    return oid.lstrip(".")
