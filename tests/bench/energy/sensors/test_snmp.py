"""Rack distribution units by SNMP, with a real agent that has their objects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.energy.sensor_base.source import Source, SourceUnavailable
from tests.bench.energy.sensors.conftest import Open
from tests.stand_ins.daemon import APC, SnmpAgent, free_port

pytestmark = pytest.mark.machine

OBJECTS: dict[str, tuple[str, object]] = {
    f"{APC}.5.1": ("integer", 85),  # hundredths of a kilowatt
    f"{APC}.9.1": ("integer", 12345),  # tenths of a kilowatt-hour
    ".1.3.6.1.4.1.99999.1.1": ("octet_str", "8.52"),
    ".1.3.6.1.4.1.99999.1.2": ("octet_str", "unavailable"),
    ".1.3.6.1.4.1.99999.1.3": ("octet_str", 2**64 - 1),
    ".1.3.6.1.4.1.99999.1.4": ("octet_str", "9.91E37"),
}
SHORT = "1.3.6.1.4.1.99999.1"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SnmpAgent]:
    monkeypatch.setenv("COMMUNITY", "rack")
    one = SnmpAgent(tmp_path / "agent", OBJECTS, ("meter", "authentication", "privacy-passphrase"))
    yield one
    one.dies()


def values(source: Source) -> dict[str, float]:
    raw = source.read()
    return {channel.id: value * channel.scale for channel, value in zip(source.channels, raw, strict=True)}


def test_power_and_energy_of_a_unit(agent: SnmpAgent, reach: Open) -> None:
    """85 hundredths of a kilowatt are 850 W, in steps of 10 W; the counter's steps of 360 kJ are a cross-check."""
    entry = {"oid": f"{APC}.5.1", "unit": "kW", "scale": 0.01, "energy_oid": f"{APC}.9.1", "energy_unit": "kWh"}
    source = reach("snmp", address=agent.address, community_env="COMMUNITY", energy_scale=0.1, **entry)
    assert values(source) == pytest.approx({"power": 850.0, "energy": 1234.5 * 3.6e6})
    assert [channel.id for channel in source.channels] == ["power", "energy"]
    assert [channel.scale * channel.lsb for channel in source.channels] == pytest.approx([10.0, 360_000.0])
    assert agent.address in source.channels[0].scope


def test_a_number_in_text_is_a_number(agent: SnmpAgent, reach: Open) -> None:
    source = reach("snmp", address=agent.address, community_env="COMMUNITY", oid=f"{SHORT}.1", unit="W")
    assert values(source) == {"power": pytest.approx(8.52)}
    assert source.channels[0].scale * source.channels[0].lsb == pytest.approx(0.01)


def test_version_3_with_authentication_and_privacy(agent: SnmpAgent, reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "authentication")
    monkeypatch.setenv("PRIVACY", "privacy-passphrase")
    entry = {"address": agent.address, "oid": f"{SHORT}.1", "unit": "W", "user": "meter"}
    source = reach("snmp", **entry, password_env="SECRET", privacy_env="PRIVACY")
    assert values(source) == {"power": pytest.approx(8.52)}
    monkeypatch.setenv("SECRET", "another-secret")
    with pytest.raises(SourceUnavailable, match=r"cannot be read: .*; check address, oid, and community or user"):
        reach("snmp", **entry, password_env="SECRET", privacy_env="PRIVACY")
    monkeypatch.setenv("SECRET", "short")
    with pytest.raises(SourceUnavailable, match="version 3 wants at least 8 characters, 5 are set"):
        reach("snmp", **entry, password_env="SECRET")


def test_an_agent_that_goes_is_a_gap_and_comes_back(agent: SnmpAgent, reach: Open) -> None:
    source = reach("snmp", address=agent.address, community_env="COMMUNITY", oid=f"{SHORT}.1", unit="W")
    agent.dies()
    before_s = time.monotonic()
    with pytest.raises(OSError, match=r"No SNMP response received|no answer|refused"):
        source.read()
    assert time.monotonic() - before_s < 5
    agent.returns()
    assert values(source) == {"power": pytest.approx(8.52)}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"oid": f"{SHORT}.77"}, "the agent has no .*77 .NoSuch"),
        ({"oid": f"{SHORT}.2"}, "'unavailable' is no number"),
        ({"oid": f"{SHORT}.4"}, "is no number that a meter can mean"),
        ({"oid": "sysUpTime.0"}, "oid: sysUpTime.0 is no identifier; write it in numbers"),
        ({"oid": f"{SHORT}.1", "unit": None}, "unit: None does not say what is read"),
        ({"oid": f"{SHORT}.1", "community_env": "NO_SUCH"}, r"variable NO_SUCH \(community_env\) is not set"),
        ({"oid": f"{SHORT}.1", "password_env": "COMMUNITY"}, "are of version 3; give user too"),
        ({"oid": f"{SHORT}.1", "address": "http://pdu/"}, "is no agent; write it like"),
        ({"oid": f"{SHORT}.1", "address": "pdu:0"}, "is no agent; write it like"),
        ({"oid": f"{SHORT}.1", "community_env": None}, "cannot be read: No SNMP response"),
    ],
)
def test_what_cannot_be_read_is_said(entry: dict[str, Any], said: str, agent: SnmpAgent, reach: Open) -> None:
    entry = {"address": agent.address, "community_env": "COMMUNITY", "unit": "W", **entry}
    with pytest.raises(SourceUnavailable, match=said):
        reach("snmp", **{key: value for key, value in entry.items() if value is not None})


def test_a_counter_beyond_64_bits_of_microjoules_is_refused(agent: SnmpAgent, reach: Open) -> None:
    source = reach("snmp", address=agent.address, community_env="COMMUNITY", oid=f"{SHORT}.3", unit="Wh")
    with pytest.raises(ValueError, match="which no meter can mean"):
        source.read()


def test_nobody_at_the_address(reach: Open) -> None:
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        reach("snmp", address=f"127.0.0.1:{free_port()}", oid=f"{SHORT}.1", unit="W")
