"""Records: whole or not at all, valid or refused, and every check can fail."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from bench.common.atomic_files import write_json
from bench.common.median_interval import median_interval, median_ranks
from bench.common.user_error import UserError
from bench.conditions.environment import collect_code, collect_host
from bench.config.host_config import Host
from bench.config.testbed_config import Board, Link
from bench.config.testbed_config import Testbed as EmulatedBoards  # pytest takes a class Test... for tests
from bench.record import checks, repeat_spread
from bench.record.environment_record import GitRecord
from bench.record.point_block import network
from bench.record.record import MeasuredRecord
from bench.record.record_file import load_record, problem
from bench.record.study_folder import check_study, finished, open_study
from tests.points import make_point
from tests.project import ROOT
from tests.records import make_record


def test_a_whole_record_is_valid_and_damage_is_named() -> None:
    record = make_record()
    assert problem(record) is None
    for path in (("time", "step_s"), ("traffic", "payload_bytes"), ("energy", "kind"), ("point", "mesh")):
        damaged: Any = copy.deepcopy(record)
        del damaged[path[0]][path[1]]
        assert path[1] in (problem(damaged) or "")
    assert problem({**record, "status": "good"}) is not None
    assert problem({**record, "extra": 1}) is not None
    assert problem({key: value for key, value in record.items() if key != "energy"}) is not None


def test_a_failed_point_needs_a_reason_but_no_numbers() -> None:
    record = make_record(status="failed", reason="exit code 1: boom")
    assert problem(record) is None
    assert problem({**record, "reason": None}) is not None


def test_reading_refuses_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with pytest.raises(UserError, match="does not exist"):
        load_record(path)
    path.write_text(json.dumps(make_record())[:300])
    with pytest.raises(UserError, match="not a whole record"):
        load_record(path)
    path.write_text(json.dumps({**make_record(), "schema": "edgejoule.result/9"}))
    with pytest.raises(
        UserError, match=r"has schema 'edgejoule.result/9', this version reads 'edgejoule.result/1', 'edge.*/2'"
    ):
        load_record(path)


def test_records_of_the_first_version_are_migrated(tmp_path: Path) -> None:
    """They did not say how the hosts were connected: that is null, and everything else stays."""
    record = make_record()
    old = {**record, "schema": "edgejoule.result/1", "point": {k: v for k, v in record["point"].items() if k != "network"}}
    path = tmp_path / "result.json"
    path.write_text(json.dumps(old))
    assert load_record(path).to_dict() == record
    path.write_text(json.dumps({**old, "point": None}))
    with pytest.raises(UserError, match=r"breaks the schema at \$"):
        load_record(path)


def repeat(folder: Path, number: int, factor: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Repeat ``number`` of one configuration, written beside the others; ``factor`` is on its joules."""
    record = make_record("data", number, **changes)
    record["time"] |= {"samples_per_s": 40.0} if "time" in record else {}
    record["energy"] |= {"per_sample_J": 2.0 * factor} if "energy" in record else {}
    write_json(folder / record["point"]["name"] / "result.json", record)
    return record


def test_repeats_agree_with_those_before_them(tmp_path: Path) -> None:
    first = repeat(tmp_path, 0)
    assert repeat_spread.agree(MeasuredRecord.from_dict(first), tmp_path / first["point"]["name"]).status == "skipped"
    repeat(tmp_path, 1, 1.04)
    bad = repeat(tmp_path, 2, 9.0, status="invalid", reason="gap")  # what is not ok does not count
    other = make_record("data", 3)
    other["point"]["hash"] = "else"  # nor does another configuration
    write_json(tmp_path / other["point"]["name"] / "result.json", other)
    found = repeat_spread.agree(MeasuredRecord.from_dict(first), tmp_path / first["point"]["name"])
    assert found.status == "passed"
    assert found.detail == "samples_per_s ±0.0 %, per_sample_J ±2.0 % (n = 2)"
    apart = repeat(tmp_path, 4, 1.2)
    found = repeat_spread.agree(MeasuredRecord.from_dict(apart), tmp_path / apart["point"]["name"])
    assert (found.status, found.detail) == ("warned", "samples_per_s ±0.0 %, per_sample_J ±9.6 % (n = 3)")
    for number in range(5, 11):  # nine good ones: the interval is from the second to the eighth value
        last = repeat(tmp_path, number, 1.0)
    assert (
        repeat_spread.agree(MeasuredRecord.from_dict(last), tmp_path / last["point"]["name"]).detail
        == "samples_per_s ±0.0 %, per_sample_J ±2.0 % (n = 9)"
    )
    assert bad["status"] == "invalid"


def as_dict(hosts: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any] | None:
    """The network of a cluster of these hosts as records have it."""
    block = network(make_point(cluster={"hosts": [Host(**host).to_dict() for host in hosts], **more}).cluster)
    return None if block is None else block.to_dict()


def test_the_network_of_a_point() -> None:
    """Emulated: of the boards that take part, in their order. Real: what the inventory says of every host, else null."""
    fast, slow = ({"name": n, "rate_bit_s": r, "delay_s": None, "loss": None} for n, r in (("fast", 1e9), ("slow", 1e8)))
    boards = [Board(name, name, "x", Link(**link), "left") for name, link in (("a", fast), ("b", slow), ("c", fast))]
    hosts = [{"name": name, "address": name, "switch": None, "link": link} for name, link in (("b", "slow"), ("a", "fast"))]
    emulated = as_dict(hosts, emulated=EmulatedBoards("e", "10.0.0.0/24", tuple(boards), Link(**slow), 2, None).to_dict())
    assert emulated is not None
    assert [(link["host"], link["name"], link["switch"]) for link in emulated["links"]] == [
        ("b", "slow", "left"),
        ("a", "fast", "left"),
    ]
    assert (emulated["kind"], emulated["uplink"]) == ("emulated", slow)
    stated = as_dict(hosts, links={"fast": fast, "slow": slow})
    assert stated is not None
    assert (stated["kind"], [link["rate_bit_s"] for link in stated["links"]]) == ("stated", [1e8, 1e9])
    assert as_dict([*hosts, {"name": "c", "address": "c", "link": None}], links={"fast": fast, "slow": slow}) is None
    assert as_dict(hosts) is None
    for found in (emulated, stated):
        record = make_record()
        record["point"]["network"] = found
        assert problem(record) is None


def test_numbers_that_json_lacks_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.b\[1\] is not a finite number"):
        write_json(tmp_path / "x.json", {"a": {"b": [1.0, float("nan")]}})
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    """The process dies before the new file is in place: a reader still finds the old one, whole."""
    path = tmp_path / "result.json"
    write_json(path, {"old": True})
    code = (
        "import os, signal, sys; from pathlib import Path; from bench.common import atomic_files\n"
        "os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"atomic_files.write_json(Path({str(path)!r}), {{'new': 'x' * 100000}})"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    assert json.loads(path.read_text()) == {"old": True}


def test_another_study_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "quickstart"
    open_study(folder, "quickstart", "quickstart")
    check_study(folder, "quickstart")
    with pytest.raises(UserError, match="holds another study"):
        check_study(folder, None)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty and is not a study"):
        open_study(other, "other", None)
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


def test_a_study_remembers_all_points_that_were_asked_for(tmp_path: Path) -> None:
    marker = tmp_path / "quickstart/study.json"
    open_study(marker.parent, "quickstart", "quickstart", ["b", "a"])
    open_study(marker.parent, "quickstart", "quickstart", ["c", "a"])
    assert json.loads(marker.read_text())["planned"] == ["a", "b", "c"]
    before = marker.stat().st_mtime_ns
    open_study(marker.parent, "quickstart", "quickstart", ["b"])
    assert marker.stat().st_mtime_ns == before, "nothing new was asked for"


@pytest.mark.parametrize(("status", "done"), [("ok", True), ("oom", True), ("invalid", False), ("timeout", False)])
def test_what_counts_as_finished(tmp_path: Path, status: str, done: bool) -> None:
    write_json(tmp_path / "result.json", make_record(status=status, reason=None if status == "ok" else "why"))
    assert finished(tmp_path) is done


def test_intervals_of_the_median() -> None:
    """Below six values there is none at 95 %; from there on the ranks are those of the binomial distribution."""
    assert all(median_ranks(n) is None for n in range(6))
    assert median_ranks(6) == (0, 5)
    assert median_ranks(9) == (1, 7)
    for n in range(6, 60):
        low, high = median_ranks(n) or (0, 0)
        cover = stats.binom.cdf(high, n, 0.5) - stats.binom.cdf(low, n, 0.5)
        assert cover >= 0.95
        narrower = stats.binom.cdf(high - 1, n, 0.5) - stats.binom.cdf(low + 1, n, 0.5)
        assert narrower < 0.95
    assert median_interval([3.0, 1.0, 2.0])["ci_low"] is None
    assert median_interval([5, 1, 3, 2, 4, 6]) == {"median": 3.5, "ci_low": 1, "ci_high": 6, "n": 6, "confidence": 0.95}


def test_every_check_can_pass_and_fail() -> None:
    cases = [
        (checks.traffic, ({"a": 5}, {"a": 5}), ({"a": 5}, {"a": 6}), "failed"),
        (checks.traffic, ({}, {}), ({}, {"a": 6}), "failed"),
        (checks.loss_finite, ([1.0, 2.0],), ([1.0, float("nan")],), "failed"),
        (checks.replicas_equal, ({"s": ["x", "x"]},), ({"s": ["x", "y"]},), "failed"),
        (checks.energy_quality, ("measured", [], {"h": "good"}), ("measured", [], {"h": "gap"}), "failed"),
        (checks.energy_quality, ("measured", [], {"h": "good"}), ("measured", ["g"], {"h": "good"}), "failed"),
        (checks.window_length, (10.0, 10.0, False, False), (5.0, 10.0, False, False), "failed"),
        (checks.power_samples, ([60], False), ([59], False), "failed"),
        (checks.sampler_cost, (0.001,), (0.02,), "warned"),
        (checks.warm_up, (True, 3), (False, 10), "warned"),
        (checks.idle_agrees, (10.0, 10.5), (10.0, 13.0), "warned"),
        (checks.threads, ([2, 2], [2, 2]), ([2, 2], [2, 1]), "warned"),
        (checks.rank_map, (["a", "b"], ["x", "y"]), (["a", "b"], ["x", "x"]), "failed"),
        (checks.rank_map, (["a", "a"], ["x", "x"]), (["a", "a"], ["x", "y"]), "failed"),
        (checks.step_time_stable, ([1.0] * 9, False), ([1.0] * 6 + [1.3] * 3, False), "failed"),
        (checks.clock, (1e-6, 1e-7, 0.5), (0.1, 1e-7, 0.5), "warned"),
    ]
    for check, good, bad, verdict in cases:
        assert check(*good).status == "passed", check.__name__  # type: ignore[operator]
        assert check(*bad).status == verdict, check.__name__  # type: ignore[operator]
    assert checks.overall([checks.loss_finite([1.0])]) == ("ok", None)
    status, reason = checks.overall([checks.power_samples([3], False)])
    assert status == "invalid"
    assert "3 readings" in (reason or "")


def test_environment_tolerates_what_is_missing(tmp_path: Path) -> None:
    found = collect_host("here", None, tmp_path)
    assert found.memory_bytes is None
    assert found.cores == os.cpu_count()
    cpu = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    cpu.mkdir(parents=True)
    (cpu / "scaling_governor").write_text("performance\n")
    (cpu / "scaling_cur_freq").write_text("1500000\n")
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("48500\n")
    found = collect_host("here", None, tmp_path)
    assert (found.governor, found.frequency_Hz, found.temperature_C) == ("performance", 1_500_000_000, 48.5)
    assert collect_code(tmp_path).git == GitRecord()
