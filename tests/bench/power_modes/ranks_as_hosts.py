"""Two ranks as two hosts, each with a machine of its own under ``ROOT/%h``; run by test_hosts_in_mode.py under mpirun."""

from __future__ import annotations

import sys
from pathlib import Path

from mpi4py import MPI

from bench.common.user_error import UserError
from bench.energy.sampling.host_identity import HostIdentity
from bench.power_modes.hosts_in_mode import PowerModes
from tests.bench.power_modes.machine_trees import SLOW_PI, board, governor

COMM = MPI.COMM_WORLD
RANK = COMM.Get_rank()
HOST = f"board{RANK}"


def session(root: Path, mode: str, emulated: bool = False, hosts: int = 2) -> PowerModes:
    """``hosts=1``: both ranks on one host."""
    number = min(RANK, hosts - 1)
    boards = {"raspberry-pi-4": board({"slow": SLOW_PI, "turbo": {"governor": "performance", "max_frequency_Hz": 1.5e9}})}
    home = HostIdentity(f"processor{number}", "the same boot id", "raspberry-pi-4", f"board{number}")
    return PowerModes(COMM, {"raspberry-pi-4": mode}, boards, home, f"{root}/%h", emulated)


def two_hosts(root: Path) -> None:
    """Both are set before any rank goes on, and put back."""
    own = session(root, "slow")
    own.apply()
    assert [governor(root / f"board{n}") for n in range(2)] == ["powersave"] * 2
    COMM.Barrier()
    state = own.state()
    assert state is not None
    assert (state["power_mode"], state["emulated"], state["restored"]) == ("slow", False, None)
    own.release()
    own.release()
    assert governor(root / HOST) == "ondemand"
    end = own.state()
    assert end is not None
    assert (end["restored"], end["problem"]) == (True, None)


def one_refuses(root: Path) -> None:
    """The second host has no such frequency: the same line on both ranks, after both are as they were."""
    own, message = session(root, "turbo"), None
    try:
        own.apply()
    except UserError as error:
        message = str(error)
    assert [governor(root / f"board{n}") for n in range(2)] == ["ondemand"] * 2
    expected = "board1: max_frequency_Hz 1.5e+09 is not available on policy0; use 6e+08, 1e+09"
    assert COMM.allgather(message) == [expected] * 2, COMM.allgather(message)
    own.release()


def lowest_rank_owns(root: Path) -> None:
    own = session(root, "slow", hosts=1)
    own.apply()
    assert COMM.allgather(own.state() is not None) == [True, False]
    assert governor(root / "board0") == "powersave"
    assert governor(root / "board1") == "ondemand"
    COMM.Barrier()
    own.release()
    COMM.Barrier()
    assert governor(root / "board0") == "ondemand"


def emulated(root: Path) -> None:
    """Nothing is set on the machine that emulates the boards."""
    own = session(root, "slow", emulated=True)
    own.apply()
    assert governor(root / HOST) == "ondemand"
    state = own.state()
    assert state is not None
    assert (state["power_mode"], state["emulated"], state["set"]) == ("slow", True, [])
    own.release()


if __name__ == "__main__":
    for case in (two_hosts, one_refuses, lowest_rank_owns, emulated):
        case(Path(sys.argv[1]))
        COMM.Barrier()
        if RANK == 0:
            print(f"{case.__name__} passed", flush=True)
