"""Going on without a rank: what the ranks do when one of them is killed, and how long each part of it takes.

    copies   steps as before, with a copy of the state every few of them; the last ones will be lost
    notice   the rank is killed as a step begins; every other one gets an error from MPI, or from a partner that left
    shrink   a communicator of those that are left (ULFM: revoke, shrink)
    rebuild  their plan, their mesh, and their parts of the last copy, from whoever has them
    redo     replayed steps: those since the last copy
    after    steps with one rank less, for as long as the window before

The rank that will be killed hands over what it has recorded right before; nothing of a dead process can be read. A copy of
the state is no file: nothing is written, and nothing but memory of other ranks is needed (compare Ye et al., Asteroid,
MobiCom 2024, arXiv 2408.08015, who call it replication to the next stage).
"""

from __future__ import annotations

import gc
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, cast

from bench.cluster.rank_hosts import hosts_of
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.faults.fault_settings import plan_after
from bench.faults.state_copies import Copies, Copy, restore
from bench.joules.channel import Trace
from bench.timeline.fault_spans import Lived, Span
from bench.timeline.rank_report import RankReport
from bench.training.rank_setup import weights_hash
from bench.training.trainer import Trainer, configured_optimizer, make_strategy
from strategies.comm.ledger import Ledger
from strategies.plan.shapes import Plan
from strategies.step.training_checkpoint import load_states

if TYPE_CHECKING:
    from mpi4py import MPI

LEAST_STEPS = 3
FT_VARIABLE = "OMPI_MCA_mpi_ft_enable"


@dataclass(frozen=True)
class Handed:
    """Given to rank 0 by the rank that will be killed: its report, and the readings of its host if it has them."""

    report: RankReport
    traces: list[Trace]


@dataclass(frozen=True)
class Survived:
    """The state after a failure.

    The communicator of the survivors, their plan, the failure as this rank saw it, and, on rank 0, what the rank that failed
    had handed over.
    """

    comm: MPI.Intracomm
    plan: Plan
    lived: Lived
    handed: Handed | None


def check_survives() -> None:
    """Raise UserError where this job ends with the first rank that dies."""
    if os.environ.get(FT_VARIABLE, "0").lower() not in ("1", "true"):
        raise UserError("fault.rank: this job does not outlive a rank; start mpirun --with-ft ulfm --mca coll ^han")


class Failure:
    """One failure on this rank, from the copies before it to the steps after it. ``run`` is collective.

    The strategy, optimizer and ledger of ``trainer`` become those of the survivors. ``hand_over`` is called on the rank that
    will be killed: what it returns is given to rank 0.
    """

    def __init__(
        self, config: PointConfig, comm: MPI.Intracomm, trainer: Trainer, hand_over: Callable[[Lived], Handed]
    ) -> None:
        self.config, self.comm, self.trainer, self.hand_over = config, comm, trainer, hand_over
        assert config.fault is not None
        self.fault, self.rank = config.fault, comm.Get_rank()
        self.first = trainer.history.steps
        self.failing = self.first + self.fault.after_steps
        self.lived = Lived(self.rank)

    def run(self) -> Survived:
        """Let it happen. Returns on every rank but the one that is killed."""
        kept = self._with_copies()
        handed = self._handed()
        self.comm.Barrier()
        alive = self._notice()
        plan, restored_step = self._rebuild(alive, kept)
        for number in range(restored_step, self.failing):
            self._step("redo", number)
        self._after(alive)
        self.lived.weights_hash = weights_hash(self.trainer.strategy.module)
        return Survived(alive, plan, self.lived, handed)

    def _with_copies(self) -> list[Copy]:
        """The steps before the failure, and the copies that were made between them."""
        copies = Copies(self.comm, self.trainer.strategy, self.trainer.optimizer, hosts_of(self.config))
        for number in range(self.first, self.failing):
            if (number - self.first) % self.fault.snapshot_every == 0:
                begin = time.monotonic_ns()
                copies.take(number)
                self._saw("copies", "copy", begin, number)
            self._step("copies", number)
        self.lived.copied_bytes, self.lived.copy_memory_bytes = copies.payload_bytes, copies.memory_bytes
        return copies.kept

    def _step(self, part: str, number: int) -> None:
        begin = time.monotonic_ns()
        loss = self.trainer.take_step(number)
        self._saw(part, "step", begin, number, float(loss))

    def _saw(self, part: str, what: str, begin_ns: int, step: int | None = None, loss: float | None = None) -> None:
        self.lived.spans.append(Span(part, what, begin_ns, time.monotonic_ns(), step, loss))

    def _handed(self) -> Handed | None:
        """The report of the rank that will be killed, on rank 0."""
        self.comm.Barrier()  # its readings must reach over the last step of all
        if self.rank == self.fault.rank:
            self.comm.send(self.hand_over(self.lived), dest=0)
        return self.comm.recv(source=self.fault.rank) if self.rank == 0 else None

    def _notice(self) -> MPI.Intracomm:
        """One more step, as which the rank is killed; a communicator of the others."""
        from mpi4py import MPI

        begin = time.monotonic_ns()
        if self.rank == self.fault.rank:
            _die()
        try:
            self.trainer.take_step(self.failing)
            self.comm.Barrier()
        except MPI.Exception as error:
            if error.Get_error_class() not in (MPI.ERR_PROC_FAILED, MPI.ERR_REVOKED):
                raise
        else:
            raise RuntimeError(f"rank {self.fault.rank} was killed, and no operation failed")
        self._saw("notice", "notice", begin)
        begin = time.monotonic_ns()
        self.trainer.strategy.mesh.revoke()  # partners that wait for this rank must know
        self.comm.Revoke()
        alive = cast("MPI.Intracomm", self.comm.Shrink())
        if alive.Get_size() != self.config.ranks - 1:
            raise UserError(f"{self.config.ranks - alive.Get_size()} ranks are gone, and one was to be killed")
        self._saw("shrink", "shrink", begin)
        return alive

    def _rebuild(self, alive: MPI.Intracomm, kept: list[Copy]) -> tuple[Plan, int]:
        """The plan of those that are left, and the step that their state is of."""
        begin = time.monotonic_ns()
        trainer = self.trainer
        device = str(next(trainer.strategy.module.parameters()).device)
        trainer.strategy.close()
        del trainer.strategy, trainer.optimizer
        gc.collect()  # there may be no room for both states; what was under way refers to itself
        plan = plan_after(self.config)
        restored = restore(kept, plan, alive)
        trainer.ledger = Ledger()
        trainer.strategy = make_strategy(self.config, alive, plan, trainer.ledger, restored, device)
        trainer.optimizer = configured_optimizer(self.config, trainer.strategy)
        load_states(trainer.strategy, trainer.optimizer, restored.states, restored.step)
        self.lived.restored_bytes = restored.received_bytes
        alive.Barrier()
        self._saw("rebuild", "rebuild", begin)
        return plan, restored.step

    def _after(self, alive: MPI.Intracomm) -> None:
        """As many steps as the window takes, by the first ones; rank 0 judges."""
        begin = time.monotonic_ns()
        for number in range(self.failing, self.failing + LEAST_STEPS):
            self._step("after", number)
        step_s = (time.monotonic_ns() - begin) / 1e9 / LEAST_STEPS
        window_steps = alive.bcast(math.ceil(self.config.window_s / step_s))
        for number in range(self.failing + LEAST_STEPS, self.failing + window_steps):
            self._step("after", number)
        alive.Barrier()


def leave(config: PointConfig, code: int) -> int:
    """End this process where a rank was killed; otherwise return to the caller.

    MPI_Finalize waits for the dead rank now and then (seen with Open MPI 5.0.11), and there is nothing left to wait
    for: the ranks that are left have agreed that the record is written.

    Args:
        config: The point that is over.
        code: The exit code of this process.

    Returns:
        ``code``, where no rank was killed.
    """
    if config.fault is None:
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _die() -> NoReturn:
    """As a process dies that the kernel ends: nothing is cleaned up, no error is raised."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")
