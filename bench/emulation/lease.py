"""Boards for a campaign: checked before its first point, up before each, and down at its end if it brought them up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from bench.common.user_error import UserError
from bench.config.dilation_config import PointDilation
from bench.config.point_cluster_config import PointCluster
from bench.emulation import lifecycle
from bench.emulation.cgroups import ROOT, find_cgroups
from bench.emulation.dilated_testbed import in_machine_time
from bench.emulation.kernel_network import addresses, check_machine
from bench.emulation.state_files import STATE, Lock, all_up, check_network, read_state
from bench.launch.mpirun import check_emulates, find_mpirun, launcher_for


class Lease:
    """The testbeds of all ``clusters``: ``with Lease(clusters) as lease: lease.ready(cluster)`` before each point.

    Entering raises UserError for what this machine cannot do and for boards that somebody works with. It ends what a
    campaign that was killed has left running on them, and changes nothing else.
    """

    def __init__(self, clusters: Sequence[PointCluster], state: Path = STATE, cgroup_root: Path = ROOT) -> None:
        self.clusters, self.state, self.cgroup_root = clusters, state, cgroup_root
        self._stack = ExitStack()
        self._brought_up: list[str] = []

    def __enter__(self) -> Lease:
        testbeds = [cluster.emulated for cluster in self.clusters if cluster.emulated is not None]
        unique = list({repr(testbed): testbed for testbed in testbeds}.values())
        for testbed in unique:
            check_machine(testbed)
            find_cgroups(self.cgroup_root)
            others = [other for other in (*all_up(self.state), *unique) if other.name != testbed.name]
            check_network(testbed, others, addresses())
        for program in {cluster.mpirun for cluster in self.clusters if cluster.emulated is not None}:
            check_emulates(launcher_for(find_mpirun(program)))
        with ExitStack() as stack:
            for name in sorted({testbed.name for testbed in unique}):
                stack.enter_context(Lock(name, self.state))
                self._end_leftovers(name)
            self._stack = stack.pop_all()
        return self

    def ready(self, cluster: PointCluster, dilation: PointDilation | None = None) -> None:
        """Bring the cluster's boards up, or to its rates and limits.

        Args:
            cluster: One of the clusters of the lease; real hosts need nothing.
            dilation: The dilation of the boards; None: their links have their rates in this machine's time.

        Raises:
            UserError: This machine cannot.
        """
        testbed = cluster.emulated
        if testbed is None:
            return
        if read_state(testbed.name, self.state) is None:
            self._brought_up.append(testbed.name)  # before it is up, so that half of one goes too
        lifecycle.up(in_machine_time(testbed, dilation), self.state, self.cgroup_root)

    def _end_leftovers(self, name: str) -> None:
        """Nobody else holds the lock: runs of this project on these boards are of a campaign that was killed."""
        groups = find_cgroups(self.cgroup_root)
        by_hand = [
            pid for pid in lifecycle.processes(name, groups) if not lifecycle.run_ids([pid]) and Path(f"/proc/{pid}").exists()
        ]
        if by_hand:
            raise UserError(
                f"somebody works on the boards of {name} (process {by_hand[0]}); wait for the end, or end it with "
                f"python -m bench.testbed down cluster={name}"
            )
        lifecycle.end_processes(name, groups)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._stack, _unhurried():
            for name in self._brought_up:
                lifecycle.down(name, self.state, self.cgroup_root)


@contextmanager
def _unhurried() -> Iterator[None]:
    """A second Ctrl-C does not stop the clean-up half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
