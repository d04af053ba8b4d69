"""``edgejoule monitor`` around one process: its streams, code and signals are the command's; what is wrong is said before."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.record.record_file import load_monitored
from tests.bench.monitor.monitored import MONITOR, STILL, left_behind, monitor, python, record_of
from tests.command_line import environment

pytestmark = [pytest.mark.machine, pytest.mark.slow]

UNMETERED = ("--energy", "source=none")


def test_streams_and_exit_code_are_those_of_the_command(tmp_path: Path) -> None:
    """Bytes on both outputs and on the input pass as they are, and 3 stays 3."""
    code = "import sys; sys.stdout.write(sys.stdin.read()[::-1]); sys.stderr.write('to err'); sys.exit(3)"
    done = monitor(tmp_path, (*UNMETERED, "--quiet"), python(code), stdin="a\nb")
    assert (done.stdout, done.stderr, done.returncode) == ("b\na", "to err", 3)
    record = record_of(tmp_path)
    assert (record["status"], record["reason"]) == ("failed", "rank 0 ended with code 3")
    assert record["ranks"][0]["exit_code"] == 3
    assert left_behind(tmp_path) == []


def test_death_by_signal_is_passed_on(tmp_path: Path) -> None:
    """Whoever waits for us sees the same signal; the record names it."""
    done = monitor(tmp_path, UNMETERED, python("import os; os.kill(os.getpid(), 9)"))
    assert done.returncode == -signal.SIGKILL
    assert record_of(tmp_path)["ranks"][0] | {"pid": 0, "start_s": 0, "end_s": 0} == {
        "rank": 0, "host": record_of(tmp_path)["ranks"][0]["host"], "pid": 0, "start_s": 0, "end_s": 0,
        "exit_code": None, "signal": "SIGKILL",
    }  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_reach_the_command_once(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import signal, sys, time\nseen = []\n"
        f"signal.signal({int(number)}, lambda n, f: seen.append(n))\n"
        "print('ready', flush=True)\nend = time.monotonic() + 20\n"
        "while not seen and time.monotonic() < end: time.sleep(0.02)\n"
        "time.sleep(0.3)\nprint(seen, flush=True); sys.exit(len(seen) + 10)"
    )
    line = [*MONITOR, *UNMETERED, "--quiet", "--", *python(code)]
    process = subprocess.Popen(
        line, cwd=tmp_path, env=environment(TMPDIR=str(tmp_path)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.read() == f"[{int(number)}]\n"
    assert process.wait(30) == 11
    process.stdout.close()
    assert left_behind(tmp_path) == []


def test_a_killed_wrapper_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL of the wrapper ends the command and what it started; the agent hands in what was measured, and ends."""
    mark = "edgejoule-left-behind"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', '{mark}']); "
    line = [*MONITOR, *STILL, "--", *python(code + "print('ready', flush=True); time.sleep(60)", mark)]
    process = subprocess.Popen(
        line, cwd=tmp_path, env=environment(TMPDIR=str(tmp_path)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    process.stdout.close()
    assert left_behind(tmp_path) == []
    alive = [path for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists() and mark.encode() in path.read_bytes()]
    assert alive == []
    record = record_of(tmp_path)
    assert record["ranks"][0]["exit_code"] is None
    assert "lost its wrapper" in record["reason"] or record["status"] == "invalid"


@pytest.mark.parametrize(
    ("options", "command", "said"),
    [
        ((), (), "no command; write it after --"),
        ((), ("no-such-program-here",), "no-such-program-here is no program that can be run here"),
        (("--energy", "source=rapll"), ("true",), "unknown energy.source rapll; known are"),
        (("--energy", "sorce=rapl"), ("true",), "unknown key sorce; keys are"),
        (("--energy", "period_s=-1"), ("true",), "energy.period_s=-1 must be null"),
        (("--energy", "source=rapl", "root=/nowhere"), ("true",), "energy=rapl cannot be read: /nowhere/sys/class/powercap"),
        (("--idle", "-1"), ("true",), "--idle -1 must be seconds"),
        (("--name", "../x"), ("true",), "--name ../x must be at most 100 letters"),
        (("--host", "b", "--hostfile", "/nowhere.yaml"), ("true",), "hostfile /nowhere.yaml cannot be read"),
        (("--board", "raspbery-pi-5"), ("true",), "unknown board raspbery-pi-5; known are"),
        (("--frobnicate",), ("true",), "unrecognized arguments: --frobnicate"),
        (("--merge", "/nowhere"), (), "/nowhere has no part of a host"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_the_command_starts(
    tmp_path: Path, options: tuple[str, ...], command: tuple[str, ...], said: str
) -> None:
    words = [sys.executable, "-c", "print('started')"] if command == ("true",) else list(command)
    done = monitor(tmp_path, options, words)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert not [path for path in tmp_path.glob("results/*/*") if path.is_dir()]
    assert left_behind(tmp_path) == []


def test_unmetered_goes_on_and_says_why(tmp_path: Path) -> None:
    """Asked for, the command runs without a sensor; its record is invalid, with the reason, and never has joules."""
    done = monitor(tmp_path, ("--energy", "source=rapl", "root=/nowhere", "--unmetered"), python("print('ran')"))
    assert (done.returncode, done.stdout) == (0, "ran\n")
    record = record_of(tmp_path)
    assert (record["status"], record["energy"]["total_J"]) == ("invalid", None)
    assert "/nowhere/sys/class/powercap" in record["reason"]


def test_a_sensor_that_stands_still_is_no_measurement(tmp_path: Path) -> None:
    """The checks of points hold for monitored programs too."""
    done = monitor(tmp_path, STILL, python("import time; time.sleep(1)"))
    assert done.returncode == 0
    record = record_of(tmp_path)
    assert record["status"] == "invalid"
    assert "does not move" in record["reason"]


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    """A second run never mixes with the parts of the first, nor replaces its record."""
    assert monitor(tmp_path, (*UNMETERED, "--name", "one"), python("")).returncode == 0
    done = monitor(tmp_path, (*UNMETERED, "--name", "one"), python("print('ran')"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "choose another --name" in done.stderr


def test_the_record_obeys_its_schema(tmp_path: Path) -> None:
    monitor(tmp_path, STILL, python("import time; time.sleep(0.3)"))
    (path,) = tmp_path.glob("results/*/*/monitored.json")
    assert load_monitored(path).command[0] == sys.executable


def test_the_wait_before_the_start_is_the_idle_window(tmp_path: Path) -> None:
    begin_s = time.monotonic()
    monitor(tmp_path, (*STILL, "--idle", "1.5"), python(""))
    assert time.monotonic() - begin_s > 1.5
    assert record_of(tmp_path)["windows"][0]["idle_s"] == pytest.approx(1.5, abs=0.2)
