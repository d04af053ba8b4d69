"""In the place of ssh: ``agent.py STATE ADDRESS WORD...`` runs the words as a shell command on an emulated board.

mpirun calls it once for each board to start a daemon there, which starts the ranks. The command keeps this process's
environment and working folder, as far as it goes like ssh to a board with the same files. It joins the board's control
groups while it can see them, then its network, then takes its host name. Only the standard library: it starts in
isolation, from any folder.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys

NEW_NETWORK, NEW_HOST_NAME = 0x40000000, 0x04000000  # CLONE_NEWNET, CLONE_NEWUTS
SESSIONS, DAEMON_SESSIONS = "PRTE_MCA_prte_local_tmpdir_base", "PRTE_MCA_prte_remote_tmpdir_base"


def enter(board: dict[str, object]) -> None:
    """Move this process to a board: its control groups, its network, its host name.

    Args:
        board: ``name``, ``namespace`` (path) and ``groups`` (paths of ``cgroup.procs``) from the state file.

    Raises:
        OSError: The kernel refuses one of the steps.
    """
    for path in board["groups"]:  # type: ignore[attr-defined]
        with open(path, "w") as procs:
            procs.write("0")  # this process, whatever its number is here
    libc = ctypes.CDLL(None, use_errno=True)
    network = os.open(str(board["namespace"]), os.O_RDONLY | os.O_CLOEXEC)
    if libc.setns(network, NEW_NETWORK) or libc.unshare(NEW_HOST_NAME):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(board["namespace"]))
    os.close(network)
    socket.sethostname(str(board["name"]))


def main(argv: list[str]) -> int:
    """Does not return where it succeeds."""
    state, address, *words = argv
    try:
        with open(state) as file:
            boards = json.load(file)["boards"]
        if address not in boards:
            print(f"error: {address} is no board of {state}; bring the testbed up again", file=sys.stderr)
            return 2
        enter(boards[address])
    except (OSError, ValueError, KeyError) as error:
        print(f"error: cannot enter the emulated board {address}: {error}; bring the testbed up again", file=sys.stderr)
        return 2
    # Boards share this machine's /tmp and its PIDs: a daemon keeps its files where the mpirun that starts it does.
    if SESSIONS in os.environ:
        os.environ[DAEMON_SESSIONS] = os.environ[SESSIONS]
    os.execv("/bin/sh", ["sh", "-c", " ".join(words)])
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
