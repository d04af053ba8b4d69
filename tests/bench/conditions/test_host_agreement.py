"""The same code on all hosts, and quiet hosts: hashes of real trees, loads from a tree whose counters move."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.conditions import host_agreement
from bench.record.environment_record import HostRecord


def tree(folder: Path) -> Path:
    for name, text in (("bench/a.py", "a = 1\n"), ("bench/deep/b.json", "{}"), ("strategies/c.py", "c = 2\n")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_hash_is_of_what_ranks_import(tmp_path: Path) -> None:
    one, two = tree(tmp_path / "one"), tree(tmp_path / "elsewhere/two")
    first = host_agreement.code_hash(one)
    assert host_agreement.code_hash(two) == first  # wherever it lies
    (two / "bench/__pycache__").mkdir()
    (two / "bench/__pycache__/a.cpython-311.pyc").write_bytes(b"x")
    (two / "conf").mkdir()
    (two / "conf/config.yaml").write_text("x: 1\n")
    assert host_agreement.code_hash(two) == first
    (two / "strategies/c.py").write_text("c = 3\n")
    assert host_agreement.code_hash(two) != first
    shutil.copy(one / "strategies/c.py", two / "strategies/c.py")
    shutil.move(two / "bench/a.py", two / "bench/z.py")
    assert host_agreement.code_hash(two) != first


def test_the_hash_of_this_project_is_quick_and_stable() -> None:
    assert host_agreement.code_hash() == host_agreement.code_hash()
    assert len(host_agreement.code_hash()) == 12


def test_the_busy_share_between_two_readings(tmp_path: Path) -> None:
    """user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice: guests are in user already."""
    stat = tmp_path / "proc/stat"
    stat.parent.mkdir()
    stat.write_text("cpu  100 0 50 9000 10 3 2 40 7 0\ncpu0 1 1\n")
    waited = []

    def moves(seconds: float) -> None:
        waited.append(seconds)
        stat.write_text("cpu  110 0 52 9040 20 4 4 55 17 0\ncpu0 1 1\n")

    # 10 user, 2 system, 1 irq, 2 softirq, 15 steal are busy; 40 idle and 10 iowait are not
    assert host_agreement.busy_share(tmp_path, 0.3, moves) == pytest.approx(30 / 80)
    assert waited == [0.3]
    assert host_agreement.busy_share(tmp_path, 0, lambda _: None) is None  # nothing moved: the kernel does not tell
    assert host_agreement.busy_share(tmp_path / "no", 0, lambda _: None) is None
    stat.write_text("intr 1\n")
    assert host_agreement.busy_share(tmp_path, 0, lambda _: None) is None


def host(name: str, code: str | None = "abc", busy: float | None = 0.02) -> HostRecord:
    return HostRecord(host=name, board=None, code_hash=code, busy_before=busy)


def test_another_version_on_one_host_makes_the_point_invalid() -> None:
    assert host_agreement.same_code([host("a"), host("b")]).status == "passed"
    differs = host_agreement.same_code([host("a"), host("b", "def"), host("c")])
    assert (differs.status, differs.detail) == ("failed", "abc on a, c; def on b")
    assert host_agreement.same_code([host("a"), host("b", None)]).status == "failed"
    assert host_agreement.same_code([HostRecord(host="old record", board=None)]).status == "skipped"


def test_a_loud_host_is_warned_about() -> None:
    assert host_agreement.quiet_before([host("a"), host("b", busy=0.15)]).status == "passed"
    loud = host_agreement.quiet_before([host("a"), host("b", busy=0.16)])
    assert (loud.status, loud.detail) == ("warned", "a 2 %, b 16 % of the cores were busy")
    assert host_agreement.quiet_before([host("a", busy=None)]).status == "skipped"
