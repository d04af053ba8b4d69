"""External meters against real servers on this machine, with recorded replies; and the inventory that describes them."""

from __future__ import annotations

import copy
import datetime
import ipaddress
import json
import os
import pty
import re
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cluster.board_files import load_board
from bench.common.user_error import UserError
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.inventory_meters import read_inventory_meters, read_meters, read_others
from bench.energy.sampling.meter_entry import MeterEntry
from bench.energy.sampling.sampler import Sampler
from bench.energy.sensor_base import source as sources
from bench.energy.sensor_base.external_meter import exact, micro, step
from bench.energy.sensor_base.source import Place, Source, SourceUnavailable
from bench.energy.sensor_base.source_choice import open_meter
from bench.energy.transport.http_json import Client, Digest, Login
from bench.joules.channel import Channel, Trace, cover
from bench.joules.energy_curve import curve_of
from bench.joules.integration import energy
from tests.bench.energy.sensors.conftest import Open
from tests.project import ROOT
from tests.stand_ins.instrument import Instrument
from tests.stand_ins.plug import LegacyPlug
from tests.stand_ins.web import REPLIES, WebMeter, recorded, shelly, tree

pytestmark = pytest.mark.machine

SIMULATED = f"{REPLIES.parent / 'yokogawa-wt310e.yaml'}@sim"
ANALYSER = "TCPIP::192.0.2.60::INSTR"


def by_id(source: Source) -> dict[str, int]:
    return dict(zip([channel.id for channel in source.channels], source.read(), strict=True))


def main(source: Source) -> Channel:
    """The channel that counts; it must be the only one, and hold everything of its hosts."""
    (index,) = cover(source.channels)
    assert index == 0
    assert source.channels[0].contains == ("*",)
    assert all(channel.contains == () for channel in source.channels[1:])
    return source.channels[0]


def lsb_J(channel: Channel) -> float:
    """The smallest step, in joules or watts."""
    return channel.scale * channel.lsb


# Numbers


def test_no_digit_of_a_reply_is_lost() -> None:
    """Through binary fractions, 1.005 W would become 1004999 microwatts."""
    assert int(1.005 * 1e6) == 1004999
    assert micro(exact(json.loads("1.005", parse_float=Decimal))) == 1005000
    assert micro(exact("6.3000E+01")) == 63_000_000
    assert (step(exact("3.18500"), 9), step(exact("6"), 6), step(exact("6.3000E+01"), 6)) == (10_000, 1_000_000, 1_000)
    for wrong in ("NAN", "INF", "", "12 W", True, None, [], float("nan")):
        with pytest.raises(ValueError, match="is no number"):
            exact(wrong)


# Shelly


def test_shelly_counts_by_its_energy(serve: Callable[..., WebMeter], reach: Open) -> None:
    device = recorded("shelly-plus-plug-s")
    plug = serve(shelly(device))
    source = reach("shelly", address=plug.url)
    assert by_id(source) == {"energy": 4821307000, "power": 5800000}
    counter = main(source)
    assert (counter.id, counter.kind, counter.level, counter.modulus) == ("energy", "counter", "wall", None)
    assert lsb_J(counter) == pytest.approx(3.6)
    assert lsb_J(source.channels[1]) == pytest.approx(0.1)
    assert (source.period_s, counter.update_period_s, counter.accuracy, source.not_measured) == (1.0, 1.0, None, ())
    assert "SNPL-00112EU" in counter.scope
    before = source.read()[0]
    device["status"]["switch:0"]["aenergy"]["total"] = 4821.607
    assert (source.read()[0] - before) * counter.scale == pytest.approx(0.3 * 3600, rel=1e-12)


def test_shelly_meters_without_a_switch(serve: Callable[..., WebMeter], reach: Open) -> None:
    source = reach("shelly", address=serve(shelly(recorded("shelly-pm-mini"))).url, component="pm1", accuracy=0.01)
    assert by_id(source) == {"energy": 219044000, "power": 24100000}
    assert main(source).id == "energy"
    assert main(source).accuracy == 0.01
    clamp = reach("shelly", address=serve(shelly(recorded("shelly-pro-em"))).url, component="em1", channel=1)
    assert by_id(clamp) == {"energy": 3458240000, "power": 61700000}
    assert main(clamp).id == "power"  # its counter has steps of 36 J
    assert lsb_J(clamp.channels[1]) == pytest.approx(36.0)


def test_shelly_says_what_is_wrong_with_it(serve: Callable[..., WebMeter], reach: Open) -> None:
    first = serve(shelly(recorded("shelly-gen1-plug-s")))
    with pytest.raises(SourceUnavailable, match=r"first generation \(SHPLG-S\).*source: tasmota"):
        reach("shelly", address=first.url)
    with pytest.raises(SourceUnavailable, match="no Shelly; check the address"):
        reach("shelly", address=serve(lambda target: {"version": "1"}).url)
    plug = serve(shelly(recorded("shelly-plus-plug-s")))
    with pytest.raises(SourceUnavailable, match=r"PM1.GetStatus answers 404.*PM1 component of id 0"):
        reach("shelly", address=plug.url, component="pm1")
    with pytest.raises(SourceUnavailable, match="component: relay is unknown; use switch, pm1, em1, em, light, cover"):
        reach("shelly", address=plug.url, component="relay")
    with pytest.raises(SourceUnavailable, match="channel: one is no whole number"):
        reach("shelly", address=plug.url, channel="one")
    bare = recorded("shelly-plus-plug-s")
    del bare["status"]["switch:0"]["apower"]
    with pytest.raises(SourceUnavailable, match=r"no apower in the reply.*that measures power"):
        reach("shelly", address=serve(shelly(bare)).url)


def test_shelly_with_a_password(serve: Callable[..., WebMeter], reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in checks RFC 7616 itself, each answer once; a poll costs one request, not a refused one each time."""
    plug = serve(shelly(recorded("shelly-plus-plug-s")), login=("digest", "admin", 'right "word"'))
    monkeypatch.setenv("PLUG", 'right "word"')
    source = reach("shelly", address=plug.url, password_env="PLUG")
    assert plug.refused == 1
    for _ in range(3):
        assert source.read()[0] == 4821307000
    assert (plug.refused, plug.connections) == (1, 1)
    plug.new_nonce()
    assert source.read()[0] == 4821307000
    assert plug.refused == 2
    monkeypatch.setenv("PLUG", "wrong")
    with pytest.raises(SourceUnavailable, match="refuses user admin with the password of password_env"):
        reach("shelly", address=plug.url, password_env="PLUG")
    with pytest.raises(SourceUnavailable, match="wants a password; check user and password_env"):
        reach("shelly", address=plug.url)
    with pytest.raises(SourceUnavailable, match=r"variable NO_SUCH \(password_env\) is not set; export it"):
        reach("shelly", address=plug.url, password_env="NO_SUCH")


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
    ],
)
def test_digest_by_the_example_of_the_standard(algorithm: str, response: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7616, section 3.9.1, with its client nonce."""
    monkeypatch.setattr("secrets.token_hex", lambda bytes: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    digest = Digest(Login("digest", "Mufasa", "Circle of Life"))
    assert digest.header("/dir/index.html") is None
    assert digest.accept(
        [
            'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-512-256, nonce="x"',
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
        ]
    )
    header = digest.header("/dir/index.html") or ""
    assert f'response="{response}"' in header
    assert "nc=00000001" in header
    assert "nc=00000002" in (digest.header("/dir/index.html") or "")
    assert not digest.accept(['Basic realm="x"', 'Digest realm="x", nonce="y", qop="auth-int"'])


# Tasmota


def text(name: str) -> str:
    return (REPLIES / f"{name}.json").read_text()


def test_tasmota_counts_by_its_power(serve: Callable[..., WebMeter], reach: Open) -> None:
    """Five decimals of a kilowatt-hour are 36 J even so: ending zeros are digits too."""
    plug = serve(lambda target: text("tasmota-plug") if target == "/cm?cmnd=Status%2010" else None)
    source = reach("tasmota", address=plug.url)
    assert by_id(source) == {"power": 5820000, "energy": 3185000000}
    power = main(source)
    assert (power.id, power.kind, power.level, power.update_period_s) == ("power", "power", "wall", 0.2)
    assert lsb_J(power) == pytest.approx(0.001)
    counter = source.channels[1]
    assert (lsb_J(counter), counter.update_period_s) == (pytest.approx(36.0), 1.0)
    assert counter.scale * by_id(source)["energy"] == pytest.approx(3.185 * 3.6e6, rel=1e-12)
    assert "finer" not in power.scope


def test_tasmota_says_when_its_steps_are_coarse(serve: Callable[..., WebMeter], reach: Open) -> None:
    source = reach("tasmota", address=serve(lambda target: text("tasmota-coarse")).url)
    assert by_id(source) == {"power": 6000000, "energy": 3185000000}
    assert (lsb_J(source.channels[0]), lsb_J(source.channels[1])) == (pytest.approx(1.0), pytest.approx(3600.0))
    assert "power in steps of 1 W, WattRes 3" in source.channels[0].scope
    assert "counter in steps of 3600 J, EnergyRes 5" in source.channels[0].scope


def test_tasmota_with_several_channels(serve: Callable[..., WebMeter], reach: Open) -> None:
    two = serve(lambda target: text("tasmota-two"))
    second = reach("tasmota", address=two.url, channel=2)
    assert by_id(second) == {"power": 7170000}  # Total has both channels: it is no counter of one
    assert main(second).id == "power"
    assert by_id(reach("tasmota", address=two.url, channel="all")) == {"power": 30800000, "energy": 3262000000}
    split = serve(lambda target: text("tasmota-split"))
    assert by_id(reach("tasmota", address=split.url, channel=2)) == {"power": 7170000, "energy": 1162000000}
    assert by_id(reach("tasmota", address=split.url, channel="all")) == {"power": 30800000, "energy": 3262000000}
    for wrong in (None, 0, 3):
        with pytest.raises(SourceUnavailable, match="the plug has 2 channels; give channel: 1 to 2, or all"):
            reach("tasmota", address=two.url, channel=wrong)
    with pytest.raises(SourceUnavailable, match="channel: 2 of a plug with one"):
        reach("tasmota", address=serve(lambda target: text("tasmota-plug")).url, channel=2)


def test_tasmota_of_old_firmware_answers_to_status_8(serve: Callable[..., WebMeter], reach: Open) -> None:
    bare = '{"StatusSNS":{"Time":"2018.02.15 01:00:50"}}'
    old = serve(lambda target: text("tasmota-old") if target.endswith("Status%208") else bare)
    source = reach("tasmota", address=old.url)
    assert by_id(source) == {"power": 27000000, "energy": 520000000}
    old.requests.clear()
    source.read()
    assert old.requests == ["/cm?cmnd=Status%208"]
    with pytest.raises(SourceUnavailable, match=r"no ENERGY in its status.*Tasmota plug that measures power"):
        reach("tasmota", address=serve(lambda target: bare).url)


def test_tasmota_with_a_password(serve: Callable[..., WebMeter], reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The firmware answers 200 with a warning where the password is wrong. The password shows in no message."""
    warning = '{"WARNING":"Need user=<username>&password=<password>"}'
    right = "/cm?user=admin&password=s+e%26cret&cmnd=Status%2010"
    plug = serve(lambda target: text("tasmota-plug") if target == right else warning)
    monkeypatch.setenv("PLUG", "s e&cret")
    source = reach("tasmota", address=plug.url, password_env="PLUG")
    assert by_id(source)["power"] == 5820000
    plug.status = 500
    with pytest.raises(OSError, match="/cm answers 500") as error:
        source.read()
    assert "cret" not in str(error.value)
    plug.status = 200
    with pytest.raises(SourceUnavailable, match="wants a password; check user and password_env"):
        reach("tasmota", address=plug.url)
    monkeypatch.setenv("PLUG", "other")
    with pytest.raises(SourceUnavailable, match="refuses user and the password of password_env"):
        reach("tasmota", address=plug.url, password_env="PLUG")


# Redfish


def test_redfish_environment_metrics(serve: Callable[..., WebMeter], reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = serve(tree(recorded("redfish-environment")), login=("basic", "monitor", "secret"))
    monkeypatch.setenv("CONTROLLER", "secret")
    login = {"user": "monitor", "password_env": "CONTROLLER"}
    source = reach("redfish", address=controller.url, **login)
    assert by_id(source) == {"power": 374600000, "energy": 6166210000000}
    assert main(source).id == "power"
    assert (lsb_J(source.channels[0]), lsb_J(source.channels[1])) == (pytest.approx(0.1), pytest.approx(36000.0))
    assert source.channels[1].scale * by_id(source)["energy"] == pytest.approx(6166.21 * 3.6e6, rel=1e-12)
    assert "chassis 1U" in source.channels[0].scope
    controller.requests.clear()
    source.read()
    assert controller.requests == ["/redfish/v1/Chassis/1U/EnvironmentMetrics"]
    assert controller.refused == 0
    monkeypatch.setenv("CONTROLLER", "wrong")
    with pytest.raises(SourceUnavailable, match="refuses user monitor"):
        reach("redfish", address=controller.url, **login)
    with pytest.raises(SourceUnavailable, match="wants a password"):
        reach("redfish", address=controller.url)


def test_redfish_power_of_older_controllers(serve: Callable[..., WebMeter], reach: Open) -> None:
    resources = recorded("redfish-power")
    controller = serve(tree(resources))
    source = reach("redfish", address=controller.url, chassis="Self")
    assert by_id(source) == {"power": 148000000}
    assert lsb_J(main(source)) == pytest.approx(1.0)
    assert "its averages over 30 min are not used" in main(source).scope
    with pytest.raises(SourceUnavailable, match="has the chassis Enclosure, Self, asked for None; give chassis"):
        reach("redfish", address=controller.url)
    with pytest.raises(SourceUnavailable, match="asked for 1U"):
        reach("redfish", address=controller.url, chassis="1U")
    broken = serve(lambda target: 503 if target.endswith("EnvironmentMetrics") else tree(resources)(target))
    with pytest.raises(SourceUnavailable, match="EnvironmentMetrics answers 503"):  # there, but not now: no other is read
        reach("redfish", address=broken.url, chassis="Self")
    with pytest.raises(SourceUnavailable, match="Enclosure/Power answers 404"):
        reach("redfish", address=controller.url, chassis="Enclosure")
    resources["/redfish/v1/Chassis/Self/Power"]["PowerControl"][0]["PowerConsumedWatts"] = None
    with pytest.raises(ValueError, match=r"no PowerControl.0.PowerConsumedWatts"):
        source.read()
    with pytest.raises(SourceUnavailable, match="its chassis does not measure"):
        reach("redfish", address=controller.url, chassis="Self")


def test_redfish_over_tls(serve: Callable[..., WebMeter], reach: Open, tmp_path: Path) -> None:
    """Controllers come with a certificate that they signed themselves."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "controller")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "both.pem").write_bytes(key.private_bytes(encoding, *plain) + certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    controller = serve(tree(recorded("redfish-environment")), tls=context)
    bare = controller.url.removeprefix("https://")
    assert by_id(reach("redfish", address=bare, verify=False))["power"] == 374600000
    with pytest.raises(SourceUnavailable, match=r"certificate that is not trusted .* use verify: false"):
        reach("redfish", address=bare)
    web = serve(tree(recorded("redfish-environment")))
    with pytest.raises(SourceUnavailable, match=r"does not speak TLS .* try http://"):
        reach("redfish", address=web.url.replace("http", "https"))


# What all meters on the web have in common

WEB = {
    "shelly": lambda: shelly(recorded("shelly-plus-plug-s")),
    "tasmota": lambda: lambda target: text("tasmota-plug"),
    "redfish": lambda: tree(recorded("redfish-environment")),
}
web_meters = pytest.mark.parametrize("kind", WEB)


@web_meters
def test_a_poll_is_one_request_on_a_connection_that_stays_open(kind: str, serve: Callable[..., WebMeter], reach: Open) -> None:
    """A new connection for each poll would cost the meter, and the network, more energy than the poll."""
    meter = serve(WEB[kind]())
    source = reach(kind, address=meter.url)
    meter.requests.clear()
    for _ in range(5):
        source.read()
    assert (len(meter.requests), meter.connections) == (5, 1)
    meter.cuts()
    time.sleep(0.05)
    source.read()  # an idle connection that the device closed is no failed reading
    assert meter.connections == 2


@web_meters
@pytest.mark.parametrize(("framing", "connections"), [("length", 1), ("chunked", 1), ("close", 4)])
def test_replies_as_small_servers_frame_them(
    kind: str, framing: str, connections: int, serve: Callable[..., WebMeter], reach: Open
) -> None:
    """The servers of plugs send pieces, or close the connection to end a reply: the next poll opens another."""
    meter = serve(WEB[kind]())
    source = reach(kind, address=meter.url)
    before, meter.framing = source.read(), framing
    for _ in range(4):
        assert source.read() == before
    assert meter.connections == connections


@web_meters
def test_a_meter_that_dies_is_a_failed_reading_until_it_is_back(kind: str, serve: Callable[..., WebMeter], reach: Open) -> None:
    meter = serve(WEB[kind]())
    source = reach(kind, address=meter.url)
    before = source.read()
    meter.dies()
    for _ in range(2):
        with pytest.raises(OSError, match=r"refused|reset|closed"):
            source.read()
    meter.returns()
    assert source.read() == before


@web_meters
def test_a_slow_reply_is_a_failed_reading(
    kind: str, serve: Callable[..., WebMeter], reach: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.energy.transport.http_json.TIMEOUT_S", 0.3)
    meter = serve(WEB[kind]())
    source = reach(kind, address=meter.url)
    before = source.read()
    meter.delay_s = 1.0
    begin = time.monotonic()
    with pytest.raises(OSError, match="timed out"):
        source.read()
    assert time.monotonic() - begin < 0.8  # the timeout, and no second try
    meter.delay_s = 0.0
    assert source.read() == before  # and not the late reply to the request before


@web_meters
@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<html><body>Router</body></html>", "instead of JSON: '<html>"),
        ('{"apower": ', "instead of JSON"),
        ('{"StatusSNS": {"ENERGY": {"Power": NaN, "Total": 1}}}', "instead of JSON"),
        ("[1, 2]", "no "),
        ("{}", "no "),
    ],
)
def test_a_reply_that_is_none(kind: str, body: str, found: str, serve: Callable[..., WebMeter], reach: Open) -> None:
    meter = serve(WEB[kind]())
    source = reach(kind, address=meter.url)
    meter.answer = lambda target: body
    with pytest.raises(ValueError, match=found):
        source.read()
    with pytest.raises(SourceUnavailable) as error:
        reach(kind, address=meter.url)
    assert "\n" not in str(error.value)
    meter.answer = WEB[kind]()
    meter.status = 503
    with pytest.raises(OSError, match="answers 503"):
        source.read()


@web_meters
def test_opening_says_why_there_is_no_reply(
    kind: str, serve: Callable[..., WebMeter], reach: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = serve(WEB[kind]())
    meter.dies()
    with pytest.raises(SourceUnavailable, match="refuses connections; check that the"):
        reach(kind, address=meter.url)
    meter.returns()
    meter.delay_s = 1.0
    monkeypatch.setattr("bench.energy.transport.http_json.TIMEOUT_S", 0.2)
    with pytest.raises(SourceUnavailable, match="does not answer within"):
        reach(kind, address=meter.url)
    with pytest.raises(SourceUnavailable, match="has a name that is not known here; give the IP address"):
        reach(kind, address="http://no-such-meter.invalid")
    for wrong in ("ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "http://127.0.0.1/?x=1"):
        with pytest.raises(SourceUnavailable, match="is no URL of a meter; write it like"):
            reach(kind, address=wrong)
    with pytest.raises(SourceUnavailable, match="holds a user; give user and password_env beside it") as error:
        reach(kind, address="http://admin:secret@127.0.0.1")
    assert "secret" not in str(error.value)


def test_something_that_is_no_web_server(reach: Open) -> None:
    instrument = Instrument({"GET /shelly HTTP/1.1": "WT310E"})
    with pytest.raises(SourceUnavailable, match="no HTTP reply"):
        reach("shelly", address=f"http://127.0.0.1:{instrument.port}")
    instrument.dies()


def test_an_endless_reply_is_refused(serve: Callable[..., WebMeter]) -> None:
    client = Client(serve(lambda target: '"' + "x" * (1 << 21) + '"').url)
    with pytest.raises(OSError, match="more than 1048576 bytes"):
        client.get("/")
    client.close()


# Kasa


@pytest.fixture
def kasa() -> Iterator[Callable[[str], LegacyPlug]]:
    pytest.importorskip("kasa")
    plugs: list[LegacyPlug] = []

    def plug(name: str) -> LegacyPlug:
        plugs.append(LegacyPlug(recorded(name)))
        return plugs[-1]

    yield plug
    for found in plugs:
        found.dies()


def test_kasa_counts_by_its_power(kasa: Callable[[str], LegacyPlug], reach: Open) -> None:
    plug = kasa("kasa-kp115")
    source = reach("kasa", address="127.0.0.1", port=plug.port)
    assert by_id(source) == {"power": 5837000, "energy": 1204000000}
    power = main(source)
    assert (power.id, power.level, lsb_J(power)) == ("power", "wall", pytest.approx(0.001))
    assert lsb_J(source.channels[1]) == pytest.approx(3600.0)
    assert source.channels[1].scale * by_id(source)["energy"] == pytest.approx(1.204 * 3.6e6, rel=1e-12)
    assert "KP115" in power.scope
    plug.device["emeter"]["get_realtime"]["power_mw"] = 6001
    plug.requests.clear()
    assert by_id(source)["power"] == 6001000
    assert plug.requests == [{"emeter": {"get_realtime": {}}}]  # nothing else of the plug is asked for in a poll


def test_kasa_of_the_first_hardware_has_other_units(kasa: Callable[[str], LegacyPlug], reach: Open) -> None:
    source = reach("kasa", address="127.0.0.1", port=kasa("kasa-hs110").port)
    assert by_id(source) == {"power": 5928513, "energy": 55139000000}
    assert lsb_J(main(source)) == pytest.approx(1e-6)


def test_kasa_strip_by_its_socket(kasa: Callable[[str], LegacyPlug], reach: Open) -> None:
    strip = kasa("kasa-hs300")
    second = reach("kasa", address="127.0.0.1", port=strip.port, channel=2)
    assert by_id(second) == {"power": 8519000, "energy": 97000000}
    assert by_id(reach("kasa", address="127.0.0.1", port=strip.port)) == {"power": 13796000, "energy": 159000000}
    with pytest.raises(SourceUnavailable, match=r"HS300.* with 2 sockets; channel: 3 is none"):
        reach("kasa", address="127.0.0.1", port=strip.port, channel=3)


def test_kasa_faults(kasa: Callable[[str], LegacyPlug], reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    plug = kasa("kasa-kp115")
    source = reach("kasa", address="127.0.0.1", port=plug.port)
    plug.dies()
    for _ in range(2):
        with pytest.raises(OSError, match="Unable to"):
            source.read()
    with pytest.raises(SourceUnavailable, match=r"127.0.0.1 cannot be read .*; check that the plug is there, and give user"):
        reach("kasa", address="127.0.0.1", port=plug.port)
    plug.returns()
    assert by_id(source)["power"] == 5837000
    monkeypatch.setattr("bench.energy.sensors.kasa.TIMEOUT_S", 0.3)
    plug.delay_s = 1.0
    begin = time.monotonic()
    with pytest.raises(OSError, match="no answer within"):
        source.read()
    assert time.monotonic() - begin < 0.8  # the library alone would try four times, with pauses
    plug.delay_s = 0.0
    assert by_id(source)["power"] == 5837000
    plug.device["emeter"]["get_realtime"] = {"err_code": -1, "err_msg": "busy"}
    with pytest.raises(OSError, match="busy"):
        source.read()
    plug.device["emeter"]["get_realtime"] = {"err_code": 0, "voltage_mv": 1}
    with pytest.raises((OSError, ValueError), match="power"):
        source.read()


def test_kasa_that_does_not_measure(kasa: Callable[[str], LegacyPlug], reach: Open) -> None:
    plug = kasa("kasa-kp115")
    plug.device["system"]["get_sysinfo"].update(feature="TIM", model="KP105(UK)")
    del plug.device["emeter"]
    with pytest.raises(SourceUnavailable, match=r"is a KP105.*, which does not measure; use a plug that does"):
        reach("kasa", address="127.0.0.1", port=plug.port)


def test_kasa_with_an_account_is_asked_for_its_protocol(
    kasa: Callable[[str], LegacyPlug], reach: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug = kasa("kasa-kp115")
    monkeypatch.setenv("ACCOUNT", "secret")
    account = {"user": "me@example.org", "password_env": "ACCOUNT"}
    plug.can_be_found()
    found: Any = reach("kasa", address="127.0.0.1", port=plug.port, **account)
    assert by_id(found)["power"] == 5837000
    assert found.device.config.credentials.password == "secret"  # which a newer plug would ask for
    with pytest.raises(SourceUnavailable, match="password_env without user; give the account's e-mail address"):
        reach("kasa", address="127.0.0.1", port=plug.port, password_env="ACCOUNT")
    with pytest.raises(SourceUnavailable, match=r"variable NO_SUCH \(password_env\) is not set"):
        reach("kasa", address="127.0.0.1", user="me@example.org", password_env="NO_SUCH")


# Power analysers


@pytest.fixture
def front_panel() -> Iterator[Callable[[str], None]]:
    """What the instrument measures and is set to, as turned at its front; as it was at the end."""
    visa = pytest.importorskip("pyvisa")
    pytest.importorskip("pyvisa_sim")
    panel = visa.ResourceManager(SIMULATED).open_resource(ANALYSER, read_termination="\n", write_termination="\n")
    yield lambda command: panel.write(f"SIM:{command}")
    for command in ("VAUTO 0", "IAUTO 0", "STATE RESET", "POWER 12.345E+00", "ENERGY 6.3000E+00"):
        panel.write(f"SIM:{command}")
    panel.close()


def test_yokogawa_power(front_panel: Callable[[str], None], reach: Open) -> None:
    source = reach("scpi", resource=ANALYSER, library=SIMULATED, period_s=0.5)
    assert by_id(source) == {"power": 12345000}
    power = main(source)
    assert (power.level, power.update_period_s, source.period_s) == ("wall", 0.25, 0.5)
    assert lsb_J(power) == pytest.approx(0.001)
    assert "YOKOGAWA, WT310E, C2QG12345V" in power.scope
    assert "voltage range 300.0E+00 fixed; current range 500.0E-03 fixed" in power.scope
    front_panel("POWER 7.5000E+00")
    assert by_id(source) == {"power": 7500000}
    for no_number in ("NAN", "INF"):
        front_panel(f"POWER {no_number}")
        with pytest.raises(ValueError, match=f"VALUE\\? 1 answers '{no_number}', no number; is it over range"):
            source.read()
        with pytest.raises(SourceUnavailable, match="is it over range"):
            reach("scpi", resource=ANALYSER, library=SIMULATED)


def test_yokogawa_counts_by_its_integrator_while_it_runs(front_panel: Callable[[str], None], reach: Open) -> None:
    front_panel("STATE START")
    front_panel("IAUTO 1")
    source = reach("scpi", resource=ANALYSER, library=SIMULATED, level="board")
    assert by_id(source) == {"energy": 6300000, "power": 12345000}
    counter = main(source)
    assert (counter.id, counter.level, lsb_J(counter)) == ("energy", "board", pytest.approx(0.36))
    assert source.not_measured == ("power supply losses before the meter",)
    assert "current range 500.0E-03 automatic, better fixed" in counter.scope
    front_panel("ENERGY 6.3100E+00")
    assert (by_id(source)["energy"] - 6300000) * counter.scale == pytest.approx(36.0)
    front_panel("STATE TIMEUP")
    with pytest.raises(OSError, match="integrator has stopped"):  # else the joules after it would be missing, silently
        source.read()
    front_panel("STATE START")
    front_panel("ENERGY 631.00E+00")
    assert main(reach("scpi", resource=ANALYSER, library=SIMULATED)).id == "power"  # steps of 36 J by now


def test_analysers_of_others_over_a_real_socket(reach: Open) -> None:
    pytest.importorskip("pyvisa_py")
    instrument = Instrument({"*IDN?": "GWInstek,GPM-8310,GEX000001,1.05", "MEAS:POW?": "+4.9837E+00"})
    settings = {"resource": instrument.resource, "dialect": "generic", "query": "MEAS:POW?"}
    source = reach("scpi", **settings)
    assert by_id(source) == {"power": 4983700}
    assert lsb_J(main(source)) == pytest.approx(1e-4)
    assert "GWInstek, GPM-8310" in main(source).scope
    instrument.dies()
    with pytest.raises(OSError, match=r"MEAS:POW\? has no answer"):
        source.read()
    with pytest.raises(SourceUnavailable, match=r"has no answer .*; check that it is on, resource and dialect"):
        reach("scpi", **settings)
    instrument.returns()
    assert by_id(reach("scpi", **settings)) == {"power": 4983700}  # the sampler opens it again so
    instrument.dies()


def test_an_analyser_that_is_slow_or_another(reach: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyvisa_py")
    monkeypatch.setattr("bench.energy.sensors.scpi.TIMEOUT_S", 0.3)
    instrument = Instrument({"*IDN?": "ACME,1,2,3", "MEAS:POW?": "5.0"})
    with pytest.raises(SourceUnavailable, match=r"does not answer as yokogawa-wt300 does: .*AUTO\? has no answer.*dialect"):
        reach("scpi", resource=instrument.resource)
    source = reach("scpi", resource=instrument.resource, dialect="generic", query="MEAS:POW?")
    instrument.delay_s = 1.0
    with pytest.raises(OSError, match="has no answer"):
        source.read()
    instrument.dies()


def test_analysers_that_are_not_described_well(reach: Open) -> None:
    pytest.importorskip("pyvisa_sim")
    with pytest.raises(SourceUnavailable, match="dialect: fluke is unknown; use yokogawa-wt300 or generic"):
        reach("scpi", resource=ANALYSER, dialect="fluke")
    with pytest.raises(SourceUnavailable, match="dialect: generic and query: QUERY go together"):
        reach("scpi", resource=ANALYSER, dialect="generic")
    with pytest.raises(SourceUnavailable, match=r"library: nothing@nowhere cannot be used .*; use @py"):
        reach("scpi", resource=ANALYSER, library="nothing@nowhere")
    with pytest.raises(SourceUnavailable, match="no::resource cannot be opened"):
        reach("scpi", resource="no::resource", library=SIMULATED)


# Lines


class Writer:
    """Writes lines to a file descriptor, one every ``every_s``, until it is stopped."""

    def __init__(self, file: int, lines: Callable[[int], str], every_s: float = 0.02) -> None:
        self.ending = threading.Event()
        self.number = 0
        self.thread = threading.Thread(target=self._write, args=(file, lines, every_s), daemon=True)
        self.thread.start()

    def _write(self, file: int, lines: Callable[[int], str], every_s: float) -> None:
        while not self.ending.wait(every_s):
            os.write(file, lines(self.number).encode())
            self.number += 1

    def stop(self) -> None:
        self.ending.set()
        self.thread.join()


def test_lines_of_a_serial_device(reach: Open) -> None:
    """A DC meter that prints volts and amperes; the first line, which may be half of one, does not count."""
    device, port = pty.openpty()
    os.write(device, b"9.99, 99.9\n")
    settings = {"address": os.ttyname(port), "baud": 9600, "columns": {"voltage_V": 1, "current_A": 2}, "level": "board"}
    writer = Writer(device, lambda number: "5.0710, 1.13400\r\n")
    source = reach("lines", period_s=0.1, **settings)
    assert by_id(source) == {"power": round(5.071 * 1.134 * 1e9)}
    power = main(source)
    assert (power.level, power.update_period_s, source.period_s) == ("board", 0.1, 0.1)
    # A digit of the amperes is worth 5.071 V * 10 uA, one of the volts 1.134 A * 100 uV.
    assert lsb_J(power) == pytest.approx(5.071 * 1e-5 + 1.134 * 1e-4)
    writer.stop()
    time.sleep(0.35)
    with pytest.raises(OSError, match=r"no new line with numbers for 0\.3.* s; the last line is '5\.0710, 1\.13400'"):
        source.read()
    writer = Writer(device, lambda number: "5.0000, 1.00000\r\n")
    time.sleep(0.1)
    assert by_id(source) == {"power": 5_000_000_000}
    writer.stop()
    os.close(device)
    time.sleep(0.2)
    with pytest.raises(OSError, match=r"the device is gone|cannot be read any more"):
        source.read()
    os.close(port)
    with pytest.raises(SourceUnavailable, match=r"cannot be opened .*; check the address and the cable"):
        reach("lines", **settings)


def test_lines_of_a_growing_file(reach: Open, tmp_path: Path) -> None:
    """Lines that were there before are old; a header says which column is which."""
    path = tmp_path / "log.csv"
    path.write_text("# logger 1.0\ntime, joules, 'W'\n".replace("'", '"') + "1.0, 100.0, 4.0\n2.0, 104.5, 4.")
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    columns = {"energy_J": "joules", "power_W": 3}  # a name and a number
    settings = {"address": str(path), "columns": columns, "timeout_s": 0.4, "start_timeout_s": 0.4, "period_s": 0.1}
    rest = threading.Timer(0.1, os.write, (file, b"5, 9, 9\n"))  # of a line that had begun: it looks like a whole one
    rest.start()
    with pytest.raises(SourceUnavailable, match=r"no new line with numbers for 0\.4 s; check that it writes"):
        reach("lines", **settings)
    rest.join()
    writer = Writer(file, lambda number: f"{number}, {200 + number / 2:.1f}, 25.0\n")
    source = reach("lines", **settings)
    counter = main(source)
    assert (counter.kind, lsb_J(counter)) == ("counter", pytest.approx(0.1))
    first = by_id(source)
    assert (first["power"], first["energy"] % 500_000_000) == (25_000_000_000, 0)
    time.sleep(0.3)
    writer.stop()
    time.sleep(0.1)
    assert by_id(source)["energy"] == round((200 + (writer.number - 1) / 2) * 1e9)
    os.ftruncate(file, 0)  # the logger starts its file again
    os.write(file, b"time, joules, W\n0, 7.0, 3.0\n")
    time.sleep(0.1)
    assert by_id(source) == {"energy": 7_000_000_000, "power": 3_000_000_000}
    os.close(file)


def test_lines_with_coarse_energy_count_by_their_power(reach: Open, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    writer = Writer(file, lambda number: f"{number} 12345.6  12\n")
    columns = {"power_W": 2, "energy_Wh": 3}
    source = reach("lines", address=str(path), columns=columns, separator=" ", scale=0.001, period_s=0.1)
    assert by_id(source) == {"power": 12_345_600_000, "energy": 43_200_000_000}
    assert [lsb_J(channel) for channel in source.channels] == pytest.approx([3.6, 1e-4])
    assert main(source).id == "energy"
    coarse = reach("lines", address=str(path), columns=columns, separator=" ", period_s=0.1)
    assert main(coarse).id == "power"  # 3600 J
    writer.stop()
    os.close(file)


LOGGER = """
import sys, time
print("vendor logger, version 3")
print("seconds;Power [W]")
for number in range(int(sys.argv[1])):
    print(f"{number / 50:.2f};{8 + number % 2 / 4:.2f}", flush=True)
    time.sleep(0.02)
sys.exit("battery empty")
"""


def test_lines_of_a_program(reach: Open) -> None:
    settings = {"columns": {"power_W": "Power [W]"}, "separator": ";", "period_s": 0.1}
    source = reach("lines", command=[sys.executable, "-c", LOGGER, 1000], **settings)
    assert {source.read()[0] for _ in range(100) if time.sleep(0.005) is None} == {8_000_000_000, 8_250_000_000}
    short = reach("lines", command=[sys.executable, "-c", LOGGER, "3"], **settings)
    time.sleep(0.5)
    with pytest.raises(OSError, match="the program ended with code 1 battery empty"):
        short.read()
    with pytest.raises(SourceUnavailable, match=r"no-such-logger cannot be started .*; install it, or give its path"):
        reach("lines", command=["no-such-logger"], **settings)
    with pytest.raises(SourceUnavailable, match="ended with code 1 battery empty; check that it writes"):
        reach("lines", command=[sys.executable, "-c", LOGGER, "0"], **settings)


def test_closing_ends_the_program() -> None:
    """Also one that does not write."""
    settings = {
        "columns": {"power_W": 1},
        "command": [sys.executable, "-c", "import time; print(5, flush=True); time.sleep(60)"],
    }
    source: Any = sources.meters()["lines"].open(Place(Path("/"), {}, settings))
    begin = time.monotonic()
    source.close()
    assert time.monotonic() - begin < 1.5  # asked to end, and not killed after a wait
    assert source.stream.process.poll() is not None
    assert not source.stream.is_alive()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"columns": None}, "columns: None does not say where the numbers are; give power_W, voltage_V and current_A"),
        ({"columns": {"watts": 1}}, "does not say"),
        ({"columns": {"voltage_V": 1}}, "does not say"),
        ({"columns": {"power_W": 1, "voltage_V": 2, "current_A": 3}}, "does not say"),
        ({"columns": {"energy_J": 1, "energy_Wh": 2}}, "does not say"),
        ({"columns": {"power_W": 0}}, "has column 0; the first one is 1"),
        ({"columns": {"power_W": 1}, "scale": "milli"}, "scale: 'milli' is no number"),
        ({"columns": {"power_W": 1}, "address": "/dev/null", "command": ["x"]}, "exclude each other"),
        ({"columns": {"power_W": 1}, "command": "logger --csv"}, r"is no list of words; write it like \[logger, --csv\]"),
    ],
)
def test_lines_that_are_not_described_well(settings: dict[str, Any], why: str, reach: Open) -> None:
    with pytest.raises(SourceUnavailable, match=why):
        reach("lines", **settings)


def test_lines_at_a_rate_that_no_device_has(reach: Open) -> None:
    device, port = pty.openpty()
    with pytest.raises(SourceUnavailable, match="baud: 12345 is no rate of serial devices"):
        reach("lines", address=os.ttyname(port), baud=12345, columns={"power_W": 1})
    os.close(device)
    os.close(port)


# In the sampler


def test_a_meter_in_the_sampler_process(serve: Callable[..., WebMeter]) -> None:
    """Counter readings to joules of a window, through the process that reads them; what fails in between is a gap."""
    device = recorded("shelly-plus-plug-s")
    plug = serve(shelly(device))
    entry = read_meters({"plug": {"source": "shelly", "address": plug.url}}, ["pi-1"])
    board = load_board("raspberry-pi-4", ROOT / "conf/board")
    sampler = Sampler([], board, "/", 0.05, entry, metered=True)
    sampler.start()
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < 1.0:
        device["status"]["switch:0"]["aenergy"]["total"] = round(4821.307 + passed * 36 / 3.6, 3)  # 36 kW, to move it
        time.sleep(0.002)
    plug.dies()
    time.sleep(0.3)
    plug.returns()
    time.sleep(0.2)
    (trace,) = sampler.stop(HostIdentity("pi", "boot", "raspberry-pi-4", "pi-1"), {"plug": ["pi-1"]}, {})
    assert (trace.source, trace.meter, trace.covers) == ("shelly", "plug", ("pi-1",))
    assert trace.errors >= 3
    found = curve_of(trace, lambda t_ns: t_ns / 1e9)
    good = energy(found, begin + 0.3, begin + 0.8)
    assert good.quality == "good"
    # A reading is from within its request, and the plug's value up to 2 ms old: 36 kW times 10 ms at each edge.
    assert good.joules == pytest.approx(18000, abs=720)


def test_an_entry_that_cannot_be_reached_ends_in_one_line() -> None:
    entry = {"source": "shelly", "address": "http://127.0.0.1:9", "hosts": ["pi-1"], "includes": [], "reader": "pi-1"}
    with pytest.raises(UserError, match=r"^meter plug \(shelly at http://127\.0\.0\.1:9\) cannot be read: .*refuses") as error:
        open_meter("plug", entry, Place(Path("/")))
    assert "\n" not in str(error.value)


def test_power_readings_integrate_to_joules_by_hand(serve: Callable[..., WebMeter], reach: Open) -> None:
    """From 6 W to 10 W within 2 s, then 10 W for 1 s: trapezoids of 16 J and 10 J."""
    watts = iter([6, 6, 10, 10])
    plug = serve(lambda target: text("tasmota-coarse").replace('"Power":6', f'"Power":{next(watts)}'))
    source = reach("tasmota", address=plug.url)  # takes the first reply
    raw = np.array([source.read()[:1], source.read()[:1], source.read()[:1]], dtype=np.int64)
    times = np.array([0, 2, 3], dtype=np.int64) * 1_000_000_000
    channel = replace(source.channels[0], update_period_s=0.0)  # as if each reading were of that moment
    trace = Trace("h", "b", "x", "tasmota", "measured", 1.0, (channel,), times, times, raw)
    assert energy(curve_of(trace, lambda t_ns: t_ns / 1e9), 0.0, 3.0).joules == pytest.approx(16 + 10)


# The inventory

HOSTS = ["pi-1", "pi-2", "pi-3", "pi-4"]
PLUG = {"source": "shelly", "address": "http://192.168.1.50"}


def test_one_meter_has_all_hosts() -> None:
    found = read_meters({"wall": {**PLUG, "includes": ["switch"], "password_env": None}}, HOSTS)
    assert found["wall"].to_dict() == {**PLUG, "hosts": HOSTS, "includes": ["switch"], "reader": "pi-1"}
    assert list(found) == ["wall"]
    assert read_meters({}, HOSTS) == {}


def test_several_meters_name_their_hosts() -> None:
    raw = {
        "a": {**PLUG, "hosts": ["pi-2", "pi-1"]},
        "b": {**PLUG, "hosts": ["pi-3"], "channel": 1, "reader": "pi-1"},
        "c": {"source": "lines", "command": ["logger"], "columns": {"power_W": 1}, "hosts": [], "includes": ["switch"]},
    }
    found = read_meters(raw, HOSTS)
    assert [found[name].reader for name in "abc"] == ["pi-2", "pi-1", "pi-1"]
    assert found["c"].hosts == ()
    serial = {"source": "lines", "address": "/dev/ttyUSB0", "columns": {"power_W": 1}}
    each = read_meters({host: {**serial, "hosts": [host]} for host in HOSTS}, HOSTS)  # one at each board
    assert [entry.reader for entry in each.values()] == HOSTS
    through_json = {name: MeterEntry.from_dict(json.loads(json.dumps(entry.to_dict()))) for name, entry in found.items()}
    assert through_json == found  # the sampler gets it as JSON


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"a": {"address": "x"}}, "meter a has no source; give a: {source: shelly"),
        ({"a": "shelly"}, "meter a has no source"),
        ({"a": {**PLUG, "source": "shely"}}, "unknown source shely; meters are .*; did you mean shelly?"),
        ({"a": {**PLUG, "source": "rapl"}}, "rapl is a source of the hosts themselves; use energy.source=rapl"),
        ({"a": {"source": "shelly"}}, "meter a has no address; address is the plug's URL"),
        ({"a": {"source": "scpi"}}, "meter a has no resource; resource is the VISA resource"),
        ({"a": {"source": "lines"}}, "meter a has no address or command"),
        ({"a": {**PLUG, "adress": "x"}}, "shelly has no setting adress; settings are .*; did you mean address?"),
        ({"a": {**PLUG, "level": "board"}}, "shelly has no setting level"),
        ({"a": {**PLUG, "password": "x"}}, "a password does not belong in a file; export it"),
        ({"a": {**PLUG, "accuracy": 5}}, "accuracy: 5 must be a part of the reading, such as 0.01"),
        ({"a": {**PLUG, "hosts": "pi-1"}}, r"hosts: pi-1 must be a list, \[pi-1\]"),
        ({"a": {**PLUG, "hosts": ["pi-1", "pi-1"]}}, "meter a names pi-1 twice in hosts"),
        ({"a": {**PLUG, "hosts": ["pi-5"]}}, "pi-5 is no host of the inventory; hosts are .*; did you mean pi-"),
        ({"a": {**PLUG, "reader": "me"}}, "me is no host of the inventory"),
        ({"a": {**PLUG, "hosts": []}}, "meter a has neither hosts nor includes"),
        ({"a": PLUG, "b": {**PLUG, "hosts": ["pi-1"]}}, "meter a has no hosts, and it is not the only meter"),
        (
            {"a": {**PLUG, "hosts": ["pi-1"]}, "b": {**PLUG, "hosts": ["pi-2", "pi-1"], "channel": 1}},
            "meters a and b both have pi-1 in hosts",
        ),
        (
            {"a": {**PLUG, "hosts": ["pi-1"], "includes": ["s"]}, "b": {**PLUG, "hosts": [], "channel": 1, "includes": ["s"]}},
            "meters a and b both have s in includes",
        ),
        ({"a": {**PLUG, "hosts": ["pi-1"]}, "b": {**PLUG, "hosts": ["pi-2"]}}, "meters a and b read the same shelly"),
        ({"a": {"source": "lines", "address": "x", "period_s": 0}}, "period_s: 0 must be a positive number of seconds"),
        ({"a": {"source": "lines", "address": "x", "level": "chip"}}, "level: chip is unknown; use wall or board"),
    ],
)
def test_a_wrong_entry_ends_in_one_line(raw: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why) as error:
        read_meters(raw, HOSTS)
    assert "\n" not in str(error.value)


def test_other_parts_are_estimated_measured_or_missing() -> None:
    meters = read_meters({"wall": {**PLUG, "includes": ["switch"]}}, HOSTS)
    raw = {"disk": {"power_W": 6, "source": "data sheet"}, "fan": {"missing": True}, "lamp": None}
    assert {name: asdict(part) for name, part in read_others(raw, meters).items()} == {
        "switch": {"power_W": None, "source": None, "meter": "wall"},
        "disk": {"power_W": 6.0, "source": "data sheet", "meter": None},
        "fan": {"power_W": None, "source": None, "meter": None},
        "lamp": {"power_W": None, "source": None, "meter": None},
    }


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"switch": {"power_W": 6.5}}, "switch has no source, which says where power_W is from"),
        ({"switch": {"source": "data sheet"}}, "switch has no power_W; an estimate needs both"),
        ({"switch": {"power_W": "6.5 W", "source": "x"}}, "power_W: 6.5 W must be a number of watts"),
        ({"switch": {"power_W": -1, "source": "x"}}, "must be a number of watts"),
        ({"switch": {"power_W": 1, "source": "x", "missing": True}}, "is an estimate and something else too"),
        ({"switch": {"watts": 1}}, "switch has no setting watts"),
        ({"switch": 6.5}, "switch: 6.5 must be {power_W: 6.5, source: WHERE FROM}"),
        ({"router": {"missing": True}}, "router is inside meter wall and something else too"),
        ({"router": {"power_W": 1, "source": "x"}}, "router is inside meter wall and something else too"),
    ],
)
def test_a_wrong_part_ends_in_one_line(raw: dict[str, Any], why: str) -> None:
    meters = read_meters({"wall": {**PLUG, "includes": ["router"]}}, HOSTS)
    with pytest.raises(UserError, match=re.escape(why)):
        read_others(raw, meters)


def test_meters_of_an_inventory(tmp_path: Path) -> None:
    path = tmp_path / "four.yaml"
    path.write_text("hosts: [{address: a}]\nmeters:\n  wall: {source: shelly, address: x}\nothers: {switch: {missing: true}}\n")
    assert read_inventory_meters(path) == ({"wall": {"source": "shelly", "address": "x"}}, {"switch": {"missing": True}})
    path.write_text("hosts: [{address: a}]\n")
    assert read_inventory_meters(path) == ({}, {})
    plain = tmp_path / "hostfile"
    plain.write_text("a slots=2\n")
    assert read_inventory_meters(plain) == ({}, {})
    path.write_text("meters: [wall]\n")
    with pytest.raises(UserError, match="meters: must map names to settings"):
        read_inventory_meters(path)
    path.write_text("meters: {")
    with pytest.raises(UserError, match="is not YAML"):
        read_inventory_meters(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_inventory_meters(tmp_path / "none.yaml")


def test_the_inventories_of_the_documentation_can_be_read() -> None:
    """Each YAML block of docs/how-to/energy-meters.md that describes meters."""
    import yaml

    page = (ROOT / "docs/how-to/energy-meters.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    hosts = [str(host.get("name") or host["address"]) for block in blocks for host in block.get("hosts", [])]
    found = 0
    for block in blocks:
        own = [str(host.get("name") or host["address"]) for host in block.get("hosts", [])] or hosts
        if "meters" in block:
            read_others(block.get("others", {}), read_meters(copy.deepcopy(block["meters"]), own))
            found += 1
    assert found >= 2


@pytest.mark.parametrize("kind", sorted(sources.meters()))
def test_every_meter_is_registered_and_documented(kind: str) -> None:
    source = sources.registered()[kind]
    page = (ROOT / "docs/how-to/energy-meters.md").read_text()
    assert kind in sources.meters()
    assert kind not in sources.on_board()
    assert source.rank >= 50
    for setting in source.settings:
        assert f"`{setting}`" in page, f"{setting} of {kind}"
