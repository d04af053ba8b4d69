"""Starting the ranks: one mpirun measures line after line, and is started again behind a line that ended it."""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.common.paths import PROJECT
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.config.testbed_config import Testbed
from bench.emulation.state_files import agent_command
from bench.launch import supervised_process
from bench.launch.mpirun import Job, check_emulates, find_mpirun, launcher_for, own_environment
from benchmarks.peers.peer_pairs import PAIRS
from benchmarks.peers.starting.peer_order import Order
from benchmarks.peers.tables.peer_record import Cell

LOOK_S = 0.5
RANK = re.compile(r"^\[rank\d+\]: ?")
"""What torch puts before each line of a traceback."""
START_S = 300.0
"""Seconds for mpirun, imports and gloo, added to those of the lines."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM, after the ranks have been ended."""


@dataclass(frozen=True)
class Place:
    """Where ranks run: on this machine's shared memory, or one on each board (``testbed``)."""

    ranks: int
    testbed: Testbed | None = None
    hosts: Sequence[Host] = ()

    def job(self, hostfile: Path, order: Path) -> Job:
        """The job of an order.

        Args:
            hostfile: That mpirun reads.
            order: The file of the order.

        Returns:
            The job.
        """
        cores = os.cpu_count() or 1
        hosts = self.hosts or [Host("localhost", min(self.ranks, cores))]
        threads = str(max(1, cores // self.ranks))
        return Job(
            ranks=self.ranks,
            hosts=hosts,
            hostfile=hostfile,
            module="benchmarks.peers",
            arguments=["--worker", str(order)],
            environment={
                "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH")))),
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "GLOO_SOCKET_IFNAME": "lo" if self.testbed is None else "eth0",
            },
            interface=None if self.testbed is None else self.testbed.network,
            oversubscribe=self.testbed is None and self.ranks > cores,
            root=os.geteuid() == 0,
            agent=None if self.testbed is None else agent_command(self.testbed.name),
        )


def measure_all(place: Place, order: Order, run_id: str, show: Callable[[Cell], None]) -> None:
    """Measure all lines of an order, whatever becomes of single ones.

    Args:
        place: Where.
        order: The lines.
        run_id: Of this run, for the end of what it starts.
        show: Takes a cell for each line, in their order, as soon as it is there.

    Raises:
        Interrupted: The user ended it; cells that were measured have been shown.
        UserError: No line can be measured there.
    """
    left = list(order.lines)
    while left:
        with tempfile.TemporaryDirectory(prefix="edgejoule-peers-") as folder:
            events, outcome = run_ranks(place, replace(order, lines=tuple(left)), run_id, Path(folder), show)
        if outcome.status == "interrupted":
            raise Interrupted
        left = left[sum("cell" in event for event in events) :]
        refusal = next((event["network"] for event in events if "network" in event), None)
        if left and (refusal is not None or not any("begin" in event for event in events)):
            raise UserError(refusal or failure(outcome, order.hang_s))  # where no line could begin, none will
        for model, pair in left[:1]:
            reason = failure(outcome, order.hang_s)
            show(Cell(order.network, place.ranks, model, PAIRS[pair].ours, PAIRS[pair].peer, "failed", reason))
        left = left[1:]


def run_ranks(
    place: Place, order: Order, run_id: str, folder: Path, show: Callable[[Cell], None]
) -> tuple[list[dict[str, Any]], supervised_process.Outcome]:
    """One mpirun with an order.

    Args:
        place: Where.
        order: Its lines.
        run_id: Of this run.
        folder: A new one, for the files of it.
        show: Takes each cell as soon as it is there.

    Returns:
        What rank 0 handed in, and how it ended.

    Raises:
        UserError: There is no mpirun, or none that can start ranks on boards.
    """
    launcher = launcher_for(find_mpirun())
    if place.testbed is not None:
        check_emulates(launcher)
    path, hostfile = folder / "lines.order", folder / "hostfile"
    path.write_text(json.dumps(asdict(order)))
    job = place.job(hostfile, path)
    hostfile.write_text(launcher.hostfile(job.hosts))
    results, over = path.with_suffix(".results"), threading.Event()
    watcher = threading.Thread(target=watch, args=(results, over, show), daemon=True)
    watcher.start()
    try:
        environment = own_environment(**{supervised_process.RUN_ID: run_id})
        timeout_s = START_S + order.hang_s * len(order.lines)
        outcome = supervised_process.run(launcher.command(job), folder / "log", timeout_s, run_id, PROJECT, environment)
    finally:
        over.set()
        watcher.join()
    return events_of(results), outcome


def events_of(results: Path) -> list[dict[str, Any]]:
    """What rank 0 has handed in by now.

    Args:
        results: The file.

    Returns:
        The events; a last line without its end is left out.
    """
    text = results.read_text() if results.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def watch(results: Path, over: threading.Event, show: Callable[[Cell], None]) -> None:
    """Show cells as they come, until the ranks have ended.

    Args:
        results: The file that rank 0 writes.
        over: Set when the ranks have ended.
        show: Takes each cell.
    """
    seen = 0
    while True:
        last = over.is_set()
        cells = [event["cell"] for event in events_of(results) if "cell" in event]
        for cell in cells[seen:]:
            show(Cell.of(cell))
        seen = len(cells)
        if last:
            return
        over.wait(LOOK_S)


def failure(outcome: supervised_process.Outcome, hang_s: float) -> str:
    """Why ranks ended before their lines did.

    Args:
        outcome: Of mpirun.
        hang_s: After which a line is given up.

    Returns:
        One line.
    """
    lines = [RANK.sub("", line) for line in outcome.log_tail]
    if any(line.startswith("Timeout (") for line in lines):
        return f"no end within {hang_s:g} s; see --hang"
    return f"the ranks ended with {outcome.exit_code}: {supervised_process.telling_line(lines)}"


def new_run_id() -> str:
    """A name for this run that no other one has."""
    return f"peers-{os.getpid()}-{time.time_ns():x}"


def check_ranks(ranks: int) -> None:
    """Refuse a number of ranks that is none.

    Args:
        ranks: As of the command line.

    Raises:
        UserError: It is below 2.
    """
    if ranks < 2:
        raise UserError(f"--ranks {ranks} must be at least 2: there is nothing to compare with one")
