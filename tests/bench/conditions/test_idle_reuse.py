"""Idle power of another point is taken over only while nothing has changed, and its uncertainty grows by what idle moved."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bench.conditions.environment import collect_host
from bench.conditions.host_state import collect
from bench.conditions.idle_reuse import HostNow, reusable_idle
from bench.config.point_config import PointConfig, PointIdle
from bench.joules.reused_idle import reuse_uncertainty_W
from bench.record.host_state_record import HostStateRecord, ThermalZoneRecord
from tests.points import make_point
from tests.records import make_record

HOST = "board-1"
ENDED = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)
SOON = ENDED + timedelta(seconds=30)


def state(**changes: Any) -> HostStateRecord:
    zone = ThermalZoneRecord(zone="thermal_zone0", type="cpu", temperature_C=50.0, limit_C=None)
    known = replace(collect(Path("/nowhere")), boot_id="boot-1", temperatures=[zone])
    return replace(known, **changes)


def warm(celsius: float) -> HostStateRecord:
    return state(temperatures=[ThermalZoneRecord(zone="thermal_zone0", type="cpu", temperature_C=celsius, limit_C=None)])


def measured(folder: Path, **changes: Any) -> PointConfig:
    """A finished point that measured its idle power, and the point after it, which may take it over."""
    record = make_record("data")
    host = replace(collect_host(HOST, "x86-mini-pc"), before=state(), after=warm(54.0))
    record["environment"].update(hosts=[host.to_dict()], finished=ENDED.isoformat())
    energy = record["energy"]
    energy["idle"].update(before_W=10.0, after_W=10.4, seconds=6.0, random_W=0.1)
    energy["idle_W"] = 10.2
    point = folder / "first"
    point.mkdir()
    (point / "result.json").write_text(json.dumps(record))
    (point / "config.json").write_text(json.dumps(make_point().to_json()))
    return replace(make_point(**changes), idle_from=PointIdle(str(point / "result.json"), 300.0))


def test_an_unchanged_host_takes_the_idle_power_over(tmp_path: Path) -> None:
    point = measured(tmp_path)
    idle, why = reusable_idle(point, {HOST: HostNow(warm(53.0), 0.02)}, SOON)
    assert why is None
    assert idle is not None
    assert (idle.point, idle.age_s, idle.watts) == ("first", 30.0, 10.2)
    # s = 0.4 / sqrt(2) between before and after; another point's idle is a further draw: s sqrt(3/2), beside 0.1 W
    assert idle.uncertainty_W == pytest.approx((0.1**2 + 0.4**2 * 0.75) ** 0.5)


@pytest.mark.parametrize(
    ("now", "busy", "why"),
    [
        (state(boot_id="boot-2"), 0.0, "booted since"),
        (warm(57.5), 0.0, "57.5 C, was at 50.0 to 54.0"),
        (warm(46.5), 0.0, "46.5 C"),
        (state(jetson_clocks=True), 0.0, "jetson_clocks"),
        (state(), 0.5, "50 % of its cores are busy"),
    ],
)
def test_a_changed_host_measures_its_own(tmp_path: Path, now: HostStateRecord, busy: float, why: str) -> None:
    point = measured(tmp_path)
    idle, reason = reusable_idle(point, {HOST: HostNow(now, busy)}, SOON)
    assert idle is None
    assert why in str(reason)


def test_other_hosts_old_ones_other_blocks_and_other_meters_are_refused(tmp_path: Path) -> None:
    point = measured(tmp_path)
    same = {HOST: HostNow(state(), 0.0)}
    refused = [
        (point, {"elsewhere": HostNow(state(), 0.0)}, SOON, "this point runs on elsewhere"),
        (point, {**same, "elsewhere": HostNow(state(), 0.0)}, SOON, "elsewhere"),
        (point, same, ENDED + timedelta(seconds=301), "301 s old"),
        (point, same, ENDED - timedelta(seconds=5), "-5 s old"),  # a clock that was set back tells no age
        (replace(point, repeat=1), same, SOON, "another block"),
        (replace(point, energy={**point.energy, "source": "rapl"}), same, SOON, "energy differs"),
    ]
    for config, hosts, now, why in refused:
        idle, reason = reusable_idle(config, hosts, now)
        assert idle is None
        assert why in str(reason)


def test_one_that_was_itself_taken_over_is_not_passed_on(tmp_path: Path) -> None:
    """Else age and uncertainty would be those of the copy."""
    point = measured(tmp_path)
    path = tmp_path / "first/result.json"
    record = json.loads(path.read_text())
    record["energy"]["idle"]["reused"] = {"point": "zero", "finished": "x", "age_s": 1.0, "uncertainty_W": 0.1}
    path.write_text(json.dumps(record))
    assert reusable_idle(point, {}, SOON) == (None, "first measured no idle power")
    path.write_text("{")
    assert "cannot be read" in str(reusable_idle(point, {}, SOON)[1])


def test_uncertainty_is_never_less_than_that_of_the_readings() -> None:
    assert reuse_uncertainty_W(10.0, 10.0, 0.2) == 0.2
    assert reuse_uncertainty_W(10.0, 11.0, 0.2) > 0.8
