"""``edgejoule.region`` in a program: what it writes, what it imports, and that it never disturbs the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.monitor.region_log import RegionLane, read_regions
from tests.command_line import environment


def ran(code: str, folder: Path | None, **variables: str) -> subprocess.CompletedProcess[str]:
    more = {} if folder is None else {"EDGEJOULE_MONITOR": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment(**more, **variables), capture_output=True, text=True, timeout=60
    )


def names(lane: RegionLane) -> list[str]:
    return [lane.paths[index] for index in lane.path]


def test_importing_it_is_light() -> None:
    """A program that has torch or not gets nothing but the standard library from us."""
    code = "import edgejoule, sys; print([n for n in ('torch', 'numpy', 'hydra', 'yaml', 'mpi4py') if n in sys.modules])"
    assert ran(code, None).stdout == "[]\n"


def test_without_monitor_it_does_nothing(tmp_path: Path) -> None:
    code = "import edgejoule\nwith edgejoule.region('a'): print(1)\n@edgejoule.region('b')\ndef f(x): return x + 1\nprint(f(1))"
    done = ran(code, None)
    assert (done.stdout, done.stderr) == ("1\n2\n", "")
    done = ran(code, tmp_path / "not-there")  # the agent is gone: the program is not to suffer
    assert (done.stdout, done.stderr) == ("1\n2\n", "")


def test_paths_times_and_ranks(tmp_path: Path) -> None:
    """Nesting, recursion, a decorator, a coroutine and an exception: all are there, in order, and all were left."""
    code = """
import asyncio, edgejoule
@edgejoule.region("f")
def f(n):
    '''Its own docstring.'''
    return f(n - 1) if n else 0
@edgejoule.region("async")
async def g(): await asyncio.sleep(0.01)
assert f.__doc__ and f.__name__ == "f"
with edgejoule.region("step"):
    f(1)
    try:
        with edgejoule.region("bad"): raise ValueError
    except ValueError: pass
asyncio.run(g())
"""
    done = ran(code, tmp_path, OMPI_COMM_WORLD_RANK="2", OMPI_COMM_WORLD_SIZE="4")
    assert done.stderr == ""
    (lane,) = read_regions(tmp_path)
    assert names(lane) == ["step", "step/f", "step/f/f", "step/bad", "async"]
    assert (lane.rank, lane.main, lane.launcher) == (2, True, "Open MPI")
    assert (lane.t1_ns > lane.t0_ns).all()
    assert lane.t1_ns[4] - lane.t0_ns[4] > 9e6


def test_threads_and_forks_have_lanes_of_their_own(tmp_path: Path) -> None:
    code = """
import os, threading, edgejoule
def work():
    with edgejoule.region("thread"): pass
with edgejoule.region("main"):
    t = threading.Thread(target=work); t.start(); t.join()
    if os.fork() == 0:
        with edgejoule.region("child"): pass
        raise SystemExit
    os.wait()
"""
    done = ran(code, tmp_path)
    assert done.stderr == ""
    lanes = read_regions(tmp_path)
    assert sorted((lane.main, tuple(names(lane))) for lane in lanes) == [
        (False, ("thread",)), (True, ("child",)), (True, ("main",))
    ]  # fmt: skip
    assert names(lanes[0]) == ["main"]  # of one rank the process that began first
    assert len({lane.pid for lane in lanes}) == 2


def test_more_regions_than_the_first_file_holds_and_a_kill(tmp_path: Path) -> None:
    """10,000 calls, then SIGKILL inside of the last one: what was written stays."""
    code = """
import os, edgejoule
for i in range(10000):
    with edgejoule.region(("a", "b")[i % 2]): pass
with edgejoule.region("last"): os.kill(os.getpid(), 9)
"""
    assert ran(code, tmp_path).returncode == -9
    (lane,) = read_regions(tmp_path)
    assert len(lane.path) == 10001
    assert names(lane)[-1] == "last"
    assert (lane.t1_ns == 0).tolist() == [False] * 10000 + [True]


def test_sync_is_called_at_both_ends_of_a_recorded_region(tmp_path: Path) -> None:
    """A GPU's work belongs to its region only when it is waited for; without monitor nothing is waited for."""
    code = "import edgejoule\ncalls = []\nwith edgejoule.region('a', sync=lambda: calls.append(1)): pass\nprint(len(calls))"
    assert ran(code, tmp_path).stdout == "2\n"
    assert ran(code, None).stdout == "0\n"


@pytest.mark.parametrize("name", ["", " ", "a/b", 3, "x" * 201])
def test_a_name_that_cannot_be_is_refused(name: object) -> None:
    import edgejoule

    with pytest.raises(ValueError, match="a name is text"):
        edgejoule.region(name)  # type: ignore[arg-type]


def test_a_file_that_is_no_log_has_no_regions(tmp_path: Path) -> None:
    """A process that was killed while it made its file, and a file of another program."""
    (tmp_path / "1-1.regions").write_bytes(b"")
    (tmp_path / "2-2.regions").write_bytes(os.urandom(5000))
    (tmp_path / "2-2.names").write_text("")
    assert read_regions(tmp_path) == []
