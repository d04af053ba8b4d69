"""What is known of the testbeds of this machine: a folder for each that is up, and a lock for who works with it.

``STATE/NAME/state.json`` is written when a testbed is up and goes first when it is taken down, so it never names what is
not there; it also tells the agent where the boards are. A lock ends with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from bench.common.atomic_files import write_json, write_text
from bench.common.user_error import UserError
from bench.config.testbed_config import Testbed
from bench.emulation.cgroups import Cgroups
from bench.emulation.network_commands import namespace

STATE = Path("/run/edgejoule/testbed")
NAMESPACES = Path("/run/netns")
SCHEMA = "edgejoule.testbed/1"
AGENT = Path(__file__).with_name("agent.py")


def agent_command(name: str, state: Path = STATE) -> str:
    """The command line that mpirun calls instead of ssh.

    It is split at spaces, and /run may forbid programs: so the shell reads a file.

    Args:
        name: The testbed's name.
        state: The folder with the states of testbeds.

    Returns:
        The program and its argument, with a space between them.
    """
    return f"/bin/sh {state / name / 'agent'}"


def write_state(testbed: Testbed, groups: Cgroups, state: Path) -> None:
    """Keep a testbed that is up, and what the agent needs to enter its boards.

    Args:
        testbed: The boards as they were brought up.
        groups: The control groups of this machine.
        state: The folder with the states of testbeds.
    """
    folder = state / testbed.name
    folder.mkdir(parents=True, exist_ok=True)
    boards = {
        board.address: {
            "name": board.name,
            "namespace": str(NAMESPACES / namespace(testbed.name, board.name)),
            "groups": [str(group / "cgroup.procs") for group in groups.groups(testbed.name, board.name)],
        }
        for board in testbed.boards
    }
    words = shlex.join([sys.executable, "-I", "-S", str(AGENT), str(folder / "state.json")])
    write_text(folder / "agent", f'exec {words} "$@"\n')
    write_json(folder / "state.json", {"schema": SCHEMA, "testbed": testbed.to_dict(), "boards": boards})


def read_state(name: str, state: Path) -> Testbed | None:
    """Read a testbed as it was last brought up.

    Args:
        name: The testbed's name.
        state: The folder with the states of testbeds.

    Returns:
        The testbed; None where it is not up, or was by another version.
    """
    try:
        values = json.loads((state / name / "state.json").read_text())
        return Testbed.from_dict(values["testbed"]) if values["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None


def remove_state(name: str, state: Path) -> None:
    """Forget a testbed.

    Args:
        name: The testbed's name; nothing is done where it has no state.
        state: The folder with the states of testbeds.
    """
    (state / name / "state.json").unlink(missing_ok=True)
    shutil.rmtree(state / name, ignore_errors=True)


def all_up(state: Path) -> list[Testbed]:
    """The testbeds that are up on this machine.

    Args:
        state: The folder with the states of testbeds.

    Returns:
        The testbeds in the order of their names.
    """
    names = sorted(path.parent.name for path in state.glob("*/state.json"))
    return [testbed for testbed in (read_state(name, state) for name in names) if testbed is not None]


def check_network(testbed: Testbed, others: Sequence[Testbed], of_machine: Sequence[tuple[str, str]]) -> None:
    """Raise UserError where another testbed or this machine has the boards' addresses.

    Args:
        testbed: The boards.
        others: The testbeds that are up, or that are to be.
        of_machine: Name and ``address/length`` of each interface of this machine.
    """
    network = ipaddress.IPv4Network(testbed.network)
    for other in others:
        if other.name != testbed.name and network.overlaps(ipaddress.IPv4Network(other.network)):
            raise UserError(
                f"testbed {other.name} is up on {other.network}, which {testbed.name} wants too; take it down with "
                f"python -m bench.testbed down cluster={other.name}, or give the inventory another emulated.network"
            )
    for device, address in of_machine:
        if network.overlaps(ipaddress.IPv4Interface(address).network):
            raise UserError(
                f"this machine is already in {network} ({device} has {address}); give the inventory of {testbed.name} another "
                "emulated.network"
            )


@dataclass
class Lock:
    """The right to change a testbed, of one process at a time: ``with Lock(name): ...``. UserError where another has it."""

    name: str
    state: Path = STATE
    _file: IO[str] | None = None

    def __enter__(self) -> Lock:
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            file = (self.state / f"{self.name}.lock").open("a+")
        except OSError as error:
            raise UserError(f"{self.state} cannot be written ({error.strerror}); emulated boards need root") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise UserError(f"testbed {self.name} is in use by {owner}; wait for its end, or end it") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} ({shlex.join(sys.orig_argv[1:])[:80]})")
        file.flush()
        self._file = file
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None
