"""The agent of one host: reads its sensors while its wrappers run, hands in its part, makes the record when all are there.

``python -m bench.monitor.host_agent LISTENING_DESCRIPTOR MEETING_FOLDER``, started by the first wrapper, with the order on
stdin. It ends when its wrappers have ended, however they did, and removes the folder in which they met.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench.common.user_error import UserError
from bench.conditions.environment import collect_code, collect_host
from bench.conditions.host_state import collect
from bench.energy.sampling.energy_session import meters_of, root_of
from bench.energy.sampling.host_identity import HostIdentity
from bench.energy.sampling.sampler import Sampler
from bench.joules.channel import Trace
from bench.joules.host_limits import HostLimit
from bench.monitor.host_clock import HostClock, host_clock
from bench.monitor.host_part import HostPart, RankEnd, part_folder, write_part
from bench.monitor.monitor_order import MonitorOrder, board_of
from bench.record.host_state_record import HostStateRecord
from bench.record.monitored_record import MONITORED_FILE
from bench.record.record_file import Json
from bench.record.study_folder import open_study

GATHER_S, GRACE_S, SETTLE_S = 10.0, 3.0, 0.2
"""How long to wait for the other ranks of this host before idle is measured, and for ranks that never came at the end."""
OPEN_TRIES = 5
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass
class Wrapper:
    """One wrapper's connection, and what it has told."""

    connection: socket.socket
    rank: int = -1
    pid: int = 0
    own_group: bool = False
    started_ns: int = 0
    ended_ns: int = 0
    code: int | None = None
    told: bytes = b""
    gone: bool = False

    def say(self, message: Json) -> None:
        """Send a line; a wrapper that is gone is seen when it is read from.

        Args:
            message: What JSON has.
        """
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(message).encode() + b"\n")


class HostAgent:
    """All of one host's run.

    Args:
        order: What to do.
        listening: The socket on which wrappers connect.
        meeting: The folder in which it lies; regions are in it.
    """

    def __init__(self, order: MonitorOrder, listening: socket.socket, meeting: Path) -> None:
        self.order, self.listening, self.meeting = order, listening, meeting
        self.wrappers: list[Wrapper] = []
        self.refusal: str | None = None
        self.unmetered: str | None = None
        self.open = False
        self.idle_ns: tuple[int, int] | None = None
        self.sampler: Sampler | None = None
        self.board = board_of(order.board["name"])
        self.selector = selectors.DefaultSelector()
        self.selector.register(listening, selectors.EVENT_READ)
        self.boot_id = BOOT_ID.read_text().strip() if BOOT_ID.exists() else "unknown"

    def run(self) -> None:
        """From the first wrapper to the record."""
        try:
            self.prepare()
            self.go()
            self.serve(lambda: not self.done())
            if self.started():
                self.finish()
        finally:
            if self.sampler is not None:
                self.sampler.kill()

    def prepare(self) -> None:
        """Start the sampler and look at the host; what cannot be is what every wrapper will be told."""
        import numpy as np  # noqa: F401 -- now, and not while the program is measured

        order, settings = self.order, self.order.settings
        self.refusal = self.why_no_folder()
        if self.refusal is None and settings.source != "none":
            try:
                self.sampler = self.make_sampler()
                self.sampler.start()
            except UserError as problem:
                self.sampler = None
                if order.unmetered:
                    self.unmetered = str(problem)
                else:
                    self.refusal = f"{problem}; --unmetered runs the command all the same"
                    with contextlib.suppress(OSError):  # another host may have put its part there
                        Path(order.folder).rmdir()
        root = Path(root_of(settings.root, order.label))
        self.root = root
        self.clock, self.before = host_clock(), collect(root)
        self.host = collect_host(order.label, self.board.name, root)

    def why_no_folder(self) -> str | None:
        """Make the run's folder in its study.

        Returns:
            Why that cannot be; None where it is there, and empty of this host.
        """
        folder = Path(self.order.folder)
        if (folder / MONITORED_FILE).exists() or part_folder(folder, self.order.label).exists():
            return f"{folder} has a run of {self.order.label} already; choose another --name"
        why = None
        for _ in range(OPEN_TRIES):
            try:
                open_study(folder.parent, folder.parent.name, None)
                folder.mkdir(exist_ok=True)
                return None
            except UserError as problem:
                why = f"{str(problem).split('; choose')[0]}; choose another --out"
                time.sleep(0.1)  # another host may just be making it
            except OSError as error:
                return f"{folder} cannot be made ({error.strerror}); choose another --out"
        return why

    def make_sampler(self) -> Sampler:
        """The sampler of this host.

        Returns:
            It, not yet started.

        Raises:
            UserError: ``source=meters``, and no meter has this host.
        """
        settings, label, hosts = self.order.settings, self.order.label, list(self.order.hosts) or [self.order.label]
        if settings.source == "meters" and label not in settings.metered:
            raise UserError(f"source=meters, but no meter has {label}; describe one under meters:, or use source=auto")
        return Sampler(
            settings.own_sources,
            self.board,
            root_of(settings.root, label),
            settings.period_s,
            meters_of(label, hosts, settings.meters),
            label in settings.metered,
        )

    def go(self) -> None:
        """Let the wrappers start, after idle power where that is asked for."""
        if self.order.idle_s > 0 and self.refusal is None and self.sampler is not None:
            expected, deadline_s = self.order.expected or 1, time.monotonic() + GATHER_S
            self.serve(lambda: sum(one.rank >= 0 for one in self.wrappers) < expected and time.monotonic() < deadline_s)
            time.sleep(SETTLE_S)
            begin_ns = time.monotonic_ns()
            time.sleep(self.order.idle_s)
            self.idle_ns = (begin_ns, time.monotonic_ns())
        self.open = True
        for wrapper in self.wrappers:
            if wrapper.rank >= 0:
                self.admit(wrapper)

    def admit(self, wrapper: Wrapper) -> None:
        """Tell a wrapper that it may start, or why not.

        Args:
            wrapper: One that has said hello.
        """
        wrapper.say({"go": True, "unmetered": self.unmetered} if self.refusal is None else {"refused": self.refusal})

    def serve(self, wanted: Callable[[], bool]) -> None:
        """Hear what wrappers tell.

        Args:
            wanted: Whether to go on; asked about twice a second and after every message.
        """
        while wanted():
            for key, _ in self.selector.select(0.5):
                if key.fileobj is self.listening:
                    connection, _ = self.listening.accept()
                    self.wrappers.append(Wrapper(connection))
                    self.selector.register(connection, selectors.EVENT_READ, self.wrappers[-1])
                else:
                    self.hear(key.data)

    def hear(self, wrapper: Wrapper) -> None:
        """Take what one wrapper sent.

        Args:
            wrapper: One whose connection can be read.
        """
        try:
            data = wrapper.connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.lose(wrapper)
            return
        *lines, wrapper.told = (wrapper.told + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "hello" in message:
                wrapper.rank = message["hello"]
                if self.open:
                    self.admit(wrapper)
            elif "started" in message:
                wrapper.started_ns, wrapper.pid, wrapper.own_group = message["started"], message["pid"], message["own_group"]
            elif "ended" in message:
                wrapper.ended_ns, wrapper.code = message["ended"], message["code"]
                if not self.last():
                    wrapper.say({"done": None})

    def lose(self, wrapper: Wrapper) -> None:
        """A connection has closed. One that had not told its end was killed: its command must not go on by itself.

        Args:
            wrapper: The one that closed.
        """
        wrapper.gone = True
        self.selector.unregister(wrapper.connection)
        wrapper.connection.close()
        if wrapper.started_ns and not wrapper.ended_ns:
            wrapper.ended_ns = time.monotonic_ns()
            if wrapper.own_group:
                with contextlib.suppress(OSError):
                    os.killpg(wrapper.pid, signal.SIGKILL)
        self.lost_s = time.monotonic()

    lost_s = 0.0

    def started(self) -> list[Wrapper]:
        """The wrappers whose command was started."""
        return [one for one in self.wrappers if one.started_ns]

    def last(self) -> bool:
        """Whether every rank of this host that was expected has ended."""
        started = self.started()
        return len(started) >= (self.order.expected or 1) and all(one.ended_ns for one in self.wrappers if not one.gone)

    def done(self) -> bool:
        """Whether nothing more can come: all have ended, or those that are missing have not come for a while."""
        if self.last():
            return True
        if any(not one.gone and not one.ended_ns for one in self.wrappers):
            return False
        waited_s = time.monotonic() - max(self.lost_s, max((one.ended_ns for one in self.wrappers), default=0) / 1e9)
        return bool(self.wrappers) and waited_s > GRACE_S

    def finish(self) -> None:
        """Hand in this host's part, and make the record where it is the last one."""
        from bench.monitor.monitored_run import try_merge

        traces: list[Trace] = []
        if self.sampler is not None:
            settings = self.order.settings
            home = HostIdentity(self.order.label, self.boot_id, self.board.name, self.order.label)
            calibration = settings.calibration.get(self.order.label, {})
            traces = self.sampler.stop(home, settings.covers, calibration)
        folder = Path(self.order.folder)
        write_part(folder, self.part(traces, host_clock(), collect(self.root)))
        shutil.rmtree(self.meeting, ignore_errors=True)
        said = {"done": try_merge(folder)}
        for wrapper in self.wrappers:
            if not wrapper.gone:
                wrapper.say(said)

    def part(self, traces: list[Trace], clock: HostClock, after: HostStateRecord) -> HostPart:
        """This host's part.

        Args:
            traces: Its readings.
            clock: Its clock at the end.
            after: Its state at the end.

        Returns:
            The part.
        """
        from bench.monitor.region_log import read_regions

        order = self.order
        return HostPart(
            label=order.label,
            boot_id=self.boot_id,
            command=order.command,
            launcher=order.launcher,
            size=order.size,
            hosts=order.hosts,
            energy=order.energy,
            ranks=[RankEnd(one.rank, one.pid, one.started_ns, one.ended_ns, one.code) for one in self.started()],
            clocks=(self.clock, clock),
            idle_ns=self.idle_ns,
            host=replace(self.host, before=self.before, after=after),
            environment=collect_code(),
            traces=traces,
            lanes=read_regions(self.meeting / "regions"),
            unmetered=self.unmetered,
            limit=None if self.board.max_W is None else HostLimit(float(self.board.max_W.value), self.board.name, True),
        )


def main() -> None:
    """The process. Signals of a terminal, of mpirun and of SLURM are for the command: the readings are still wanted."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the sampler inherits it, and ends when its pipe closes
    with contextlib.suppress(OSError):  # mpirun binds a rank to a core; this is not a rank
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    listening, meeting = socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])
    order = MonitorOrder.from_json(sys.stdin.readline())
    try:
        HostAgent(order, listening, meeting).run()
    finally:
        shutil.rmtree(meeting, ignore_errors=True)
        meeting.with_suffix(".lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
