"""Meters that speak Modbus TCP, with the library's own server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.energy.sensor_base.source import Source, SourceUnavailable
from bench.energy.transport.modbus_registers import TYPES, Register
from tests.bench.energy.sensors.conftest import Open
from tests.stand_ins.daemon import free_port
from tests.stand_ins.modbus import ModbusDevice, words

pytestmark = pytest.mark.machine

REGISTERS = {
    0: [852],
    2: words("f", 8.52),
    4: words("f", 8.52, "little"),
    6: words("I", 1234567),
    8: words("i", -852),
    10: words("q", 12345678901),
    20: [0xFFFF],
    22: words("i", -(2**31)),
    24: words("f", float("nan")),
    26: words("d", 9.91e37),
    30: words("d", 8.123456789),
    40: [0x5403],  # 0x0354, its bytes the other way round
}


@pytest.fixture
def device() -> Iterator[ModbusDevice]:
    one = ModbusDevice(REGISTERS, device=7)
    yield one
    with contextlib.suppress(RuntimeError):
        one.dies()


def values(source: Source) -> dict[str, float]:
    raw = source.read()
    return {channel.id: value * channel.scale for channel, value in zip(source.channels, raw, strict=True)}


@pytest.mark.parametrize(
    ("entry", "watts", "step_W"),
    [
        ({"register": 0, "scale": 0.01}, 8.52, 0.01),
        ({"register": 2, "type": "float32"}, 8.52, 0.01),
        ({"register": 4, "type": "float32", "word_order": "little"}, 8.52, 0.01),
        ({"register": 8, "type": "int32", "scale": 0.01}, -8.52, 0.01),
        ({"register": 30, "type": "float64"}, 8.123457, 1e-6),
        ({"register": 40, "byte_order": "little", "scale": 0.01}, 8.52, 0.01),
    ],
)
def test_types_and_orders(entry: dict[str, Any], watts: float, step_W: float, device: ModbusDevice, reach: Open) -> None:
    for table in ("holding", "input"):
        source = reach("modbus", address=device.address, device=7, unit="W", table=table, **entry)
        assert values(source) == {"power": pytest.approx(watts, abs=1e-9)}
        assert source.channels[0].scale * source.channels[0].lsb == pytest.approx(step_W)
        assert f"{table} register {entry['register']}" in source.channels[0].scope


def test_a_counter_beside_a_power(device: ModbusDevice, reach: Open) -> None:
    entry = {"register": 2, "type": "float32", "unit": "W", "energy_register": 6, "energy_type": "uint32", "energy_unit": "Wh"}
    source = reach("modbus", address=device.address, device=7, energy_scale=0.001, **entry)
    assert values(source) == pytest.approx({"power": 8.52, "energy": 1234.567 * 3600})
    assert [channel.id for channel in source.channels] == ["energy", "power"]  # steps of 3.6 J count


def test_a_device_that_goes_is_a_gap_and_comes_back(device: ModbusDevice, reach: Open) -> None:
    source = reach("modbus", address=device.address, device=7, register=0, unit="W")
    assert values(source) == {"power": 852.0}
    device.dies()
    for _ in range(2):
        with pytest.raises(OSError, match=r"."):
            source.read()
    device.returns()
    assert values(source) == {"power": 852.0}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"register": 20}, "register 20 holds 65535, which stands for no value in uint16"),
        ({"register": 22, "type": "int32"}, "holds -2147483648, which stands for no value in int32"),
        ({"register": 24, "type": "float32"}, "register 24 holds nan, which is no number; check type and word_order"),
        ({"register": 26, "type": "float64"}, "is no number that a meter can mean"),
        ({"register": 500}, r"register 500 is refused \(exception 2\); check address, device, table, register and type"),
        ({"register": "x"}, "register: x is no whole number"),
        ({"register": 40001 + 30000}, "register: 70001 is none; give the protocol's address"),
        ({"register": 0, "type": "float"}, "type: float is unknown; use int16, .*did you mean"),
        ({"register": 0, "word_order": "swapped"}, "word_order: swapped is unknown; use big or little"),
        ({"register": 0, "table": "coils"}, "table: coils is unknown; use holding or input"),
        ({"register": 0, "device": 300}, "device: 300 is none"),
        ({"register": 0, "unit": "A"}, "unit: A does not say what is read"),
        ({"register": 0, "address": "http://meter"}, "is no device; write it like"),
    ],
)
def test_what_cannot_be_read_is_said(entry: dict[str, Any], said: str, device: ModbusDevice, reach: Open) -> None:
    with pytest.raises(SourceUnavailable, match=said):
        reach("modbus", **{"address": device.address, "device": 7, "unit": "W", **entry})


def test_nobody_at_the_address(reach: Open) -> None:
    with pytest.raises(SourceUnavailable, match="refuses connections, or does not answer"):
        reach("modbus", address=f"127.0.0.1:{free_port()}", register=0, unit="W")


@given(st.sampled_from(sorted(TYPES)), st.lists(st.integers(0, 65535), max_size=5), st.sampled_from(["big", "little"]))
def test_any_registers_are_a_finite_number_or_none(kind: str, registers: list[int], order: Any) -> None:
    try:
        number = Register(0, kind, order, order).value(registers)
    except ValueError:
        return
    assert number.is_finite()
