"""Numbers in the registers of a Modbus TCP device, by pymodbus: types and the order of their words."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from bench.energy.sensor_base.external_meter import exact, whole
from bench.energy.sensor_base.source import Settings, SourceUnavailable
from strategies.common.registry import did_you_mean

PORT = 502
TIMEOUT_S = 2.0
TYPES = {
    **{"int16": "h", "uint16": "H", "int32": "i", "uint32": "I"},
    **{"int64": "q", "uint64": "Q", "float32": "f", "float64": "d"},
}
TABLES = ("holding", "input")
ORDERS = ("big", "little")
SHORT_FLOAT_DIGITS = 7


@dataclass(frozen=True)
class Register:
    """Where a number is: the first register, its type, and the order of 16-bit words and of the bytes in each."""

    number: int
    type: str = "uint16"
    word_order: Literal["big", "little"] = "big"
    byte_order: Literal["big", "little"] = "big"

    @property
    def words(self) -> int:
        """How many registers it takes."""
        return struct.calcsize(TYPES[self.type]) // 2

    def value(self, registers: Sequence[int]) -> Decimal:
        """The number in registers.

        Args:
            registers: As they were read, 16 bits each.

        Returns:
            The number.

        Raises:
            ValueError: There are too few, it is no number, or the value that stands for none (all bits, or the least integer).
        """
        if len(registers) != self.words:
            raise ValueError(f"register {self.number} has {len(registers)} words instead of {self.words}")
        ordered = list(registers) if self.word_order == "big" else list(reversed(registers))
        raw = b"".join((word & 0xFFFF).to_bytes(2, self.byte_order) for word in ordered)
        (number,) = struct.unpack(f">{TYPES[self.type]}", raw)
        if isinstance(number, float):
            return _of_float(number, self)
        signed = self.type.startswith("int")
        if number == (-(1 << (8 * len(raw) - 1)) if signed else (1 << 8 * len(raw)) - 1):
            raise ValueError(f"register {self.number} holds {number}, which stands for no value in {self.type}")
        return Decimal(number)


def _of_float(number: float, register: Register) -> Decimal:
    if not math.isfinite(number):
        raise ValueError(f"register {register.number} holds {number}, which is no number; check type and word_order")
    text = f"{number:.{SHORT_FLOAT_DIGITS}g}" if register.type == "float32" else repr(number)
    return exact(text)


def register_of(settings: Settings, prefix: str, text: str) -> Register:
    """The register that an entry names.

    Args:
        settings: The meter's entry.
        prefix: Of its settings, ``energy_`` or nothing.
        text: The register's number.

    Returns:
        The register.

    Raises:
        SourceUnavailable: A setting is unknown, or the number is none.
    """
    number = whole({"register": text}, "register", 0)
    kind = str(settings.get(f"{prefix}type", settings.get("type", "uint16")))
    if kind not in TYPES:
        raise SourceUnavailable(f"{prefix}type: {kind} is unknown; use {', '.join(TYPES)}{did_you_mean(kind, list(TYPES))}")
    orders = {key: str(settings.get(key, "big")) for key in ("word_order", "byte_order")}
    for key, order in orders.items():
        if order not in ORDERS:
            raise SourceUnavailable(f"{key}: {order} is unknown; use big or little")
    if not 0 <= number <= 65535:
        raise SourceUnavailable(f"{prefix}register: {number} is none; give the protocol's address, from 0 to 65535")
    return Register(number, kind, orders["word_order"], orders["byte_order"])  # type: ignore[arg-type]


class Device:
    """One device behind a TCP address.

    Args:
        settings: The meter's entry: ``address``, ``device``, ``table``.

    Raises:
        SourceUnavailable: The library is missing, or the entry is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            from pymodbus.client import ModbusTcpClient
        except ImportError as error:
            raise SourceUnavailable(f"pymodbus cannot be imported ({error}); pip install edgejoule[modbus]") from None
        host, port = _address(str(settings["address"]))
        self.where, self.device = f"{host}:{port}", whole(settings, "device", 1)
        self.table = str(settings.get("table", TABLES[0]))
        if self.table not in TABLES:
            raise SourceUnavailable(f"table: {self.table} is unknown; use {' or '.join(TABLES)}")
        if not 0 <= self.device <= 255:
            raise SourceUnavailable(f"device: {self.device} is none; give a number from 0 to 255")
        self.client: Any = ModbusTcpClient(host, port=port, timeout=TIMEOUT_S, retries=1)

    def number(self, register: Register) -> Decimal:
        """Read a number.

        Args:
            register: Where it is.

        Returns:
            The number.

        Raises:
            OSError: There is no answer, or the device refuses.
            ValueError: The registers hold no number.
        """
        read = self.client.read_holding_registers if self.table == "holding" else self.client.read_input_registers
        try:
            if not self.client.connected and not self.client.connect():
                raise OSError(f"{self.where} refuses connections, or does not answer within {TIMEOUT_S:g} s")
            reply = read(register.number, count=register.words, device_id=self.device)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever the library makes of bytes that are no frame
            self.client.close()
            raise OSError(" ".join(str(error).split())[:120] or type(error).__name__) from None
        if reply.isError():
            code = getattr(reply, "exception_code", None)
            raise OSError(f"register {register.number} is refused (exception {code})" if code else str(reply)[:120])
        return register.value(reply.registers)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


def _address(address: str) -> tuple[str, int]:
    host, colon, port = address.removeprefix("tcp://").rpartition(":")
    if not colon:
        host, port = port, str(PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host or "@" in host:
        raise SourceUnavailable(f"address: {address} is no device; write it like 192.168.1.71, or 192.168.1.71:502")
    return host, int(port)
