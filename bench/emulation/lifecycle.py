"""Bringing a testbed up, changing it, taking it down, and what stands of it. All can be repeated."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from bench.common.user_error import UserError
from bench.config.testbed_config import Testbed
from bench.emulation import PREFIX, kernel_network, network_commands
from bench.emulation.cgroups import ROOT, Cgroups, find_cgroups
from bench.emulation.state_files import STATE, all_up, check_network, read_state, remove_state, write_state
from bench.launch.supervised_process import RUN_ID, sweep

WAIT_S = 10.0


@dataclass(frozen=True)
class Row:
    """A board as the kernel has it now. Rate in bit/s, quota in cores, memory in bytes (None: no limit)."""

    board: str
    kind: str
    address: str
    link: str
    rate_bit_s: float | None
    quota_cores: float | None
    memory_bytes: int | None
    processes: int


def up(testbed: Testbed, state: Path = STATE, cgroup_root: Path = ROOT) -> bool:
    """Bring a testbed up, or what is up to these rates and limits.

    Hold its Lock. What a crash left of it is removed first.

    Args:
        testbed: The boards and their links.
        state: The folder with the states of testbeds.
        cgroup_root: The folder that control groups are mounted at.

    Returns:
        True where it had to be made, false where it was up.

    Raises:
        UserError: This machine cannot.
    """
    kernel_network.check_machine(testbed)
    groups = find_cgroups(cgroup_root)
    known = read_state(testbed.name, state)
    fresh = known is None or known.wiring != testbed.wiring or not kernel_network.is_whole(testbed)
    if fresh:
        down(testbed.name, state, cgroup_root)
        check_network(testbed, all_up(state), kernel_network.addresses())
        for command in network_commands.create(testbed):
            kernel_network.run(command)
    for shaper in network_commands.shapers(testbed):
        for command in network_commands.shape(shaper):
            kernel_network.run(command)
    for board in testbed.boards:
        groups.limit(testbed.name, board.name, network_commands.quota_us(board), board.memory_bytes)
    if fresh or known != testbed:
        write_state(testbed, groups, state)
    return fresh


def down(name: str, state: Path = STATE, cgroup_root: Path = ROOT) -> bool:
    """Remove everything of a testbed, with its processes. Hold its Lock.

    Args:
        name: The testbed's name.
        state: The folder with the states of testbeds.
        cgroup_root: The folder that control groups are mounted at.

    Returns:
        False where there was nothing.

    Raises:
        UserError: Processes or parts of it stay.
    """
    groups = find_cgroups(cgroup_root)
    launch, spaces = (
        network_commands.launch_device(name),
        [space for space in kernel_network.present() if network_commands.belongs(name, space)],
    )
    there_was_one = bool(spaces or kernel_network.has_device(launch) or groups.boards(name) or (state / name).exists())
    (state / name / "state.json").unlink(missing_ok=True)  # so that no agent enters a board that is going
    end_processes(name, groups)
    kernel_network.remove_device(launch)
    for space in spaces:
        kernel_network.run(["ip", "netns", "del", space])
    groups.remove(name)
    remove_state(name, state)
    return there_was_one


def leftovers(state: Path = STATE, cgroup_root: Path = ROOT) -> list[str]:
    """Names of the testbeds of which anything is there.

    Args:
        state: The folder with the states of testbeds.
        cgroup_root: The folder that control groups are mounted at.

    Returns:
        The names, sorted.
    """
    tops = [path for path in find_cgroups(cgroup_root).hierarchies.values() if path.is_dir()]
    groups = {folder.name for top in tops for folder in top.glob(f"{PREFIX}*") if folder.is_dir()}
    spaces = {space.split(".")[0] for space in kernel_network.present() if space.startswith(PREFIX)}
    folders = {folder.name for folder in state.glob("*/") if folder.is_dir()}
    return sorted(folders | {name.removeprefix(PREFIX) for name in groups | spaces})


def processes(name: str, groups: Cgroups) -> list[int]:
    """Everything that runs on the boards: in their groups, or in their networks by hand.

    Args:
        name: The testbed's name.
        groups: The control groups of this machine.

    Returns:
        The numbers of the processes, sorted, without this one.
    """
    pids = {pid for board in groups.boards(name) for pid in groups.processes(name, board)}
    pids |= {
        pid
        for space in kernel_network.present()
        if network_commands.belongs(name, space)
        for pid in kernel_network.pids_in(space)
    }
    return sorted(pids - {os.getpid()})


def run_ids(pids: list[int]) -> set[str]:
    """The runs of this project that the processes belong to: their mpirun is on no board and carries the same mark.

    Args:
        pids: Numbers of processes.

    Returns:
        The ids of runs in their environments.
    """
    ids = set()
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ids |= {word.split(b"=", 1)[1].decode() for word in words if word.startswith(f"{RUN_ID}=".encode())}
    return ids


def end_processes(name: str, groups: Cgroups) -> int:
    """Kill what runs on the boards and the mpirun that started it.

    Args:
        name: The testbed's name.
        groups: The control groups of this machine.

    Returns:
        How many processes there were on the boards.

    Raises:
        UserError: Some do not end.
    """
    deadline, first = time.monotonic() + WAIT_S, None
    while left := processes(name, groups):
        first = len(left) if first is None else first
        if time.monotonic() > deadline:
            raise UserError(f"processes {left} on the boards of {name} do not end; end them, then take it down again")
        for run_id in run_ids(left):
            sweep(run_id)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    return first or 0


def status(testbed: Testbed, cgroup_root: Path = ROOT) -> list[Row]:
    """The boards of a testbed that is up, by what the kernel says and not by what was asked for.

    Args:
        testbed: The boards as they were brought up.
        cgroup_root: The folder that control groups are mounted at.

    Returns:
        A row for each board.
    """
    groups, name = find_cgroups(cgroup_root), testbed.name
    return [
        Row(
            board.name,
            board.board,
            board.address,
            board.link.name,
            kernel_network.rate_bit_s(network_commands.namespace(name, board.name), "eth0"),
            groups.quota_cores(name, board.name),
            groups.memory_bytes(name, board.name),
            len(groups.processes(name, board.name)),
        )
        for board in testbed.boards
    ]


def oom_kills(testbed: Testbed, cgroup_root: Path = ROOT) -> dict[str, int]:
    """How many processes the kernel has killed for memory since the testbed is up.

    Args:
        testbed: The boards as they were brought up.
        cgroup_root: The folder that control groups are mounted at.

    Returns:
        The number for each board by its name.
    """
    groups = find_cgroups(cgroup_root)
    return {board.name: groups.oom_kills(testbed.name, board.name) for board in testbed.boards}
