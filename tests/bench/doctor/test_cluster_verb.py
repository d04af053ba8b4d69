"""The doctor's verb ``cluster``: this machine, emulated boards with shaped links, hosts behind a stand-in ssh, and what it
says of reports. It was never run on physical boards."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.doctor import doctor_verb
from bench.doctor.__main__ import main
from bench.doctor.clock_agreement import ClockAgreement
from bench.doctor.cluster_findings import findings
from bench.doctor.cluster_ranks import leftovers
from bench.doctor.cluster_report import ClusterReport, ClusterStart, HostReport, LinkReport, SupplyState, ThrottleState
from bench.doctor.mpirun_jobs import is_here
from bench.doctor.ssh_probe import Answer, judge, probe, remote
from bench.launch.supervised_process import RUN_ID
from tests.bench.cluster.test_inventory import in_path, may_name_hosts, own_device
from tests.bench.doctor.test_energy_verb import lines
from tests.bench.emulation.real_boards import Boards, nothing_left

pytestmark = pytest.mark.machine

QUICK = ("doctor.megabytes=0.2", "model.checkpoint=null")
Doctor = Callable[..., tuple[int, str, str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["cluster", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_this_machine(doctor: Doctor) -> None:
    code, told, _ = doctor(*QUICK)
    assert code == 0, told
    assert told.startswith("\nSoftware of cluster local\n")
    assert "\nState\n" in told
    assert "\nWithin the host: one message at a time\n" in told
    assert re.search(r"^PASS  .* started 2 ranks on 1 host\(s\) in .* s; all-reduce of 8 bytes: ", told, re.MULTILINE)
    (same,) = lines(told, "PASS  the same on all hosts: code ")
    assert "torch" in same
    assert lines(told, "PASS  one host, one clock")


def test_two_emulated_boards_and_their_shaped_link(doctor: Doctor, tmp_path: Path) -> None:
    """The measured rate is what the boards' link was limited to, and the boards are gone afterwards."""
    with Boards.of(tmp_path, 2, more=", compute: unlimited") as boards:
        code, told, _ = doctor(*boards.words, "cluster.link_rate_bit_s=1.0e+8", "model.checkpoint=null", "doctor.megabytes=2")
        assert code == 0, told
        rates = re.findall(r"^  b(\d) +b(\d) +([\d.]+) Mbit/s ", told, re.MULTILINE)
        assert [pair[:2] for pair in rates] == [("1", "2"), ("2", "1")]
        # A bucket of 256 kB goes at once, headers take 5 %: 2 MB come between 95 and 115 % of the rate.
        assert all(80 <= float(rate) <= 125 for _, _, rate in rates), rates
        assert lines(told, "PASS  2 of 2 directions as fast as their links: at least ")
        assert lines(told, "PASS  the hosts share a clock")
        assert nothing_left(boards.name) == []


def inventory(folder: Path, *hosts: str) -> list[str]:
    path = folder / "hosts.yaml"
    path.write_text("hosts:\n" + "".join(f"  - {host}\n" for host in hosts))
    return [f"cluster.hostfile={path}", "cluster.name=mine"]


def test_hosts_over_ssh(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole look through a stand-in ssh that gives each host its name and nothing of this environment."""
    may_name_hosts()
    monkeypatch.setenv("SSH_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("PATH", in_path(tmp_path, "ssh"))
    words = inventory(tmp_path, "{address: boarda, user: pi}", "{address: boardb, user: pi, env: {OMP_WAIT_POLICY: passive}}")
    code, told, _ = doctor(*words, *QUICK, f"cluster.interface={own_device() or 'null'}")
    assert code == 0, told
    for name in ("boarda", "boardb"):
        assert lines(told, f"PASS  {name}: reached over ssh without a password in ")
        assert lines(told, f"  {name}  {name} (")
    assert lines(told, "WARN  boarda is the first host, and not this machine: rank 0 runs there and writes the records there")
    assert "started 2 ranks on 2 host(s)" in told
    log = (tmp_path / "log").read_text().splitlines()
    assert log[0].startswith("-o BatchMode=yes -o ConnectTimeout=5 pi@board")
    assert any("prted" in line and "pi@boarda" in line for line in log)


def test_hosts_that_cannot_be_reached(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named with what to do, and MPI is not tried."""
    monkeypatch.setenv("PATH", in_path(tmp_path, "ssh"))
    words = inventory(tmp_path, "{address: localhost}", "{address: locked, user: me}", "{address: away}")
    begin = time.monotonic()
    code, told, _ = doctor(*words, *QUICK)
    assert code == 1
    assert lines(told, "FAIL  locked: not reached over ssh (me@locked: Permission denied (publickey,password).): ")
    assert "run: ssh-copy-id me@locked" in told
    assert lines(
        told, "FAIL  away: not reached over ssh (ssh: connect to host away port 22: No route to host): there is no way"
    )
    assert told.endswith("WARN  MPI was not started: mend what failed first\n" + "".join(
        f"{line}\n" for line in [*lines(told, "FAIL"), "1 WARN, 2 FAIL"]))  # fmt: skip
    assert time.monotonic() - begin < 20


def test_what_answers_mean() -> None:
    host = Host("10.0.0.2", name="b", user="pi")
    assert remote(host, ["test", "-d", "/a b"]) == [
        *("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "pi@10.0.0.2", "test -d '/a b'"),
    ]
    done = subprocess.run(probe(sys.executable, "/no/where"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "project\n")

    def told(exit_code: int | None, output: str = "", errors: str = "") -> list[str]:
        return [f"{f.status} {f.text}" for f in judge(host, Answer(exit_code, output, errors, 0.2), "/v/python", "/p", "two")]

    assert told(0) == ["PASS b: reached over ssh without a password in 0.2 s"]
    assert told(0, "python\nproject\n")[1:] == [
        "FAIL b: has no /p/bench; run: python -m bench.doctor push cluster=two",
        "FAIL b: has no /v/python; run ./run_all.sh setup in /p there, or give its python: in the inventory",
    ]
    assert told(None) == ["FAIL b: ssh pi@10.0.0.2 does not end within 20 s; try it by hand: ssh pi@10.0.0.2 true"]
    assert "run once by hand: ssh pi@10.0.0.2 true" in told(255, errors="Host key verification failed.\r\n")[0]
    assert "give its address in the inventory" in told(255, errors="ssh: Could not resolve hostname b: no such name")[0]
    assert "install openssh-server" in told(255, errors="connect to host b port 22: Connection refused")[0]


def test_which_addresses_are_this_machine() -> None:
    assert is_here("localhost")
    assert is_here("127.0.0.1")
    assert not is_here("192.0.2.77")  # nobody's: RFC 5737


def test_processes_of_other_runs() -> None:
    code = "import time; print('up', flush=True); time.sleep(60)"
    env = {**os.environ, RUN_ID: "doctor-test"}
    left = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert left.stdout is not None
        assert left.stdout.readline() == "up\n"
        assert left.pid in leftovers("mine")
        assert left.pid not in leftovers("doctor-test")
    finally:
        left.kill()
        left.communicate()


def host(name: str) -> HostReport:
    return HostReport(
        label=name, board="raspberry-pi-5", machine=f"boot-{name} {name}", processor=name, project="/p", python="3.11.2",
        mpi="Open MPI v5.0.11, package: x", architecture="aarch64",
        packages={"torch": "2.9.0", "mpi4py": "4.1.0", "numpy": "2.1.0"}, code_hash="abc", missing=(), cores=4,
        disk_free_bytes=30e9, memory_bytes=8_000_000_000, memory_free_bytes=7_000_000_000, busy=0.01, leftovers=(),
        governors=("performance",), load_1min=0.1, throttle=None, supplies=(), hottest_C=45.0,
    )  # fmt: skip


LINK = LinkReport(first="a", second="b", latency_s=1e-4, there_bit_s=9.4e8, back_bit_s=9.3e8)
START = ClusterStart("Open MPI 5", 2.0)


def report(**second: Any) -> ClusterReport:
    """Two hosts, with changes of the second."""
    return ClusterReport(
        hosts=(host("a"), replace(host("b"), **second)), ranks=2, all_reduce_s=2e-4, clock=ClockAgreement(False, 4e-5),
        links=(LINK,),
    )  # fmt: skip


RATES: dict[str, float | None] = {"a": 1e9, "b": 1e9}


def said(about: ClusterReport, rates: dict[str, float | None] = RATES, emulated: bool = False) -> list[str]:
    return [f"{finding.status} {finding.text}" for finding in findings(about, START, rates, "two", emulated)]


def test_a_good_cluster_has_no_warning() -> None:
    found = findings(report(), START, RATES, "two", emulated=False)
    assert {finding.status for finding in found} == {"PASS"}
    assert [finding.text for finding in found] == [
        "Open MPI 5 started 2 ranks on 2 host(s) in 2.0 s; all-reduce of 8 bytes: 200 us",
        "the same on all hosts: code abc, MPI Open MPI v5.0.11, Python 3.11.2, torch 2.9.0, mpi4py 4.1.0, numpy 2.1.0",
        "governors: performance, the same on all hosts of a class",
        "quiet: at most 1 % of the cores of a host are busy",
        "2 of 2 directions as fast as their links: at least 930 Mbit/s, at most 100 us one way",
        "clocks are compared within 40 us",
    ]
    assert doctor_verb.exit_code(found) == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"machine": "boot-a a"}, "FAIL a and b are one machine; give each board an address of its own"),
        ({"code_hash": "def"}, "FAIL code differs: abc on a; def on b; run: python -m bench.doctor push cluster=two"),
        (
            {"mpi": "Open MPI v4.1.4"},
            "FAIL MPI differs: Open MPI v4.1.4 on b; Open MPI v5.0.11, package: x on a; install the same",
        ),
        (
            {"packages": {"torch": "2.4", "mpi4py": "4.1.0", "numpy": "2.1.0"}},
            "WARN torch differs: 2.4 on b; 2.9.0 on a; install",
        ),
        ({"python": "3.10.4"}, "WARN Python differs: 3.10.4 on b; 3.11.2 on a"),
        ({"architecture": "x86_64"}, "WARN architectures differ: aarch64, x86_64; MPI between them is little tested"),
        ({"missing": ("/w",)}, "FAIL b: lacks /w; run: python -m bench.doctor push cluster=two"),
        ({"disk_free_bytes": 1e9}, "WARN b: 1 GB of disk are free in /p; make room"),
        ({"disk_free_bytes": 1e8}, "FAIL b: 100 MB of disk are free in /p; make room"),
        ({"memory_free_bytes": 1_000_000_000}, "WARN b: 1 GB of 8 GB of memory are free; end what else runs there"),
        (
            {"throttle": ThrottleState(("under-voltage",), ("under-voltage",))},
            "FAIL b: slowed down now (under-voltage): a run would be invalid",
        ),
        (
            {"throttle": ThrottleState((), ("throttled",))},
            "WARN b: since boot throttled; see to its supply",
        ),
        ({"supplies": (SupplyState("BAT0", "Battery", None),)}, "WARN b: runs on battery (BAT0)"),
        ({"governors": ("powersave",)}, "WARN raspberry-pi-5: governors differ: performance on a; powersave on b; set one"),
        ({"busy": 0.4}, "WARN something else computes: b 40 % of the cores are busy"),
        (
            {"leftovers": (11, 12)},
            "WARN b: processes of another run of this project: 11 12; wait for its end, or end them: kill 11 12",
        ),
    ],
)
def test_what_is_not_well_on_a_host(changes: dict[str, Any], expected: str) -> None:
    (line,) = [line for line in said(report(**changes)) if not line.startswith("PASS")]
    assert line.startswith(expected)


def test_a_battery_that_is_charged_is_no_warning() -> None:
    about = report(supplies=(SupplyState("BAT0", "Battery", None), SupplyState("AC", "Mains", True)))
    assert not [line for line in said(about) if not line.startswith("PASS")]


def test_links_that_are_slow_or_too_fast() -> None:
    """A gigabit port that fell back to 100 Mbit/s, and messages that do not go over the emulated link."""
    slow = replace(report(), links=(replace(LINK, back_bit_s=9.4e7),))
    assert any(
        line.startswith("WARN b to a: 94 Mbit/s, and 1 Gbit/s should be possible; see to the cable") for line in said(slow)
    )
    assert any(line.startswith("PASS 1 of 2 directions") for line in said(slow))
    fast = said(report(), {"a": 1e8, "b": 1e9}, emulated=True)
    assert (
        sum(
            line.startswith("FAIL a to b: 940 Mbit/s over an emulated link of 100 Mbit/s: messages go another") for line in fast
        )
        == 1
    )
    unknown = said(report(), {"a": None, "b": None})
    assert any(line.startswith("WARN a to b: what their link should do is not known") for line in unknown)


def test_clocks_that_are_far_apart() -> None:
    about = replace(report(), clock=ClockAgreement(False, 0.004))
    assert any(line.startswith("WARN clocks are compared within 4 ms: power and phases") for line in said(about))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("doctor.megabytes=0", "error: doctor.megabytes must be above 0 and at most 1000, doctor.timeout_s above 0"),
        ("doctor.megabyte=1", "error: unknown key doctor.megabyte; known are doctor.megabytes, doctor.timeout_s; did you mean"),
        ("cluster.order=[a]", "error: cluster.order names a, which is no host here; hosts are localhost"),
    ],
)
def test_bad_input(doctor: Doctor, word: str, message: str) -> None:
    code, _, errors = doctor(word)
    assert code == 2
    assert errors.startswith(message)
    assert len(errors.splitlines()) == 1


def test_the_report_of_a_host_with_other_code() -> None:
    """The doctor is there to tell that code differs: further keys do not end it, and a missing one says what to do."""
    values = host("b").to_json()
    assert HostReport.from_json({**values, "executable": "/p/python"}) == host("b")
    del values["code_hash"]
    with pytest.raises(UserError, match=r"^the report of b has no code_hash: that host has another.*bench\.doctor push$"):
        HostReport.from_json(values)
