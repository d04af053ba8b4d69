"""Going on without a rank: what the ranks do when one of them is killed, and how long each part of it takes.

    copies   steps as before, with a copy of the state every few of them; the last ones will be lost
    notice   the rank is killed as a step begins; every other one gets an error from MPI, or from a partner that left
    shrink   a communicator of those that are left (ULFM: revoke, shrink)
    rebuild  their plan, their mesh, and their parts of the last copy, from whoever has them
    redo     the lost steps again
    after    steps with one rank less, for as long as the window before

The rank that will be killed hands over what it has recorded right before; nothing of a dead process can be read. A copy of
the state is no file: nothing is written, and nothing but memory of other ranks is needed (compare Ye et al., Asteroid,
MobiCom 2024, arXiv 2408.08015, who call it replication to the next stage).
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, cast

import torch

from bench.errors import UserError
from bench.faults.copies import Copies, restore
from bench.faults.settings import hosts_of, plan_after
from bench.placing import weights_hash
from bench.training import Trainer, make_optimizer, take_step
from strategies.base import Strategy, get
from strategies.checkpoints import load_states
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.plan import Plan

if TYPE_CHECKING:
    from mpi4py import MPI

LEAST_STEPS = 3
FT_VARIABLE = "OMPI_MCA_mpi_ft_enable"


@dataclass(frozen=True)
class Span:
    """Something that this rank did, on its clock. ``part`` is copies, notice, shrink, rebuild, redo or after; ``what`` step
    or copy, or again the part where that is all of it. ``loss`` is this rank's contribution to that of a step."""

    part: str
    what: str
    begin_ns: int
    end_ns: int
    step: int | None = None
    loss: float | None = None


@dataclass
class Lived:
    """What one rank saw of the failure. Ranks have their numbers of before."""

    rank: int
    spans: list[Span] = field(default_factory=list)
    copied_bytes: int = 0
    copy_memory_bytes: int = 0
    restored_bytes: int = 0
    weights_hash: str | None = None
    """Of its weights at the end; None of the rank that failed."""


@dataclass(frozen=True)
class Survived:
    """What is left: the communicator of the survivors, their plan, their strategy, what this rank saw, and, on rank 0, what
    the rank that failed had handed over."""

    comm: MPI.Intracomm
    plan: Plan
    strategy: Strategy
    lived: Lived
    handed: Any


def check_survives() -> None:
    """Raise UserError where this job ends with the first rank that dies."""
    if os.environ.get(FT_VARIABLE, "0").lower() not in ("1", "true"):
        raise UserError("fault.rank: this job does not outlive a rank; start mpirun --with-ft ulfm --mca coll ^han")


class Failure:
    """One failure on this rank, from the copies before it to the steps after it. ``run`` is collective.

    ``hand_over`` is called on the rank that will be killed: what it returns is given to rank 0.
    """

    def __init__(
        self, config: Mapping[str, Any], comm: MPI.Intracomm, trainer: Trainer, hand_over: Callable[[Lived], object]
    ) -> None:
        self.config, self.comm, self.task, self.hand_over = config, comm, trainer.task, hand_over
        self.strategy, self.optimizer, self.ledger = trainer.strategy, trainer.optimizer, trainer.ledger
        self.first = trainer.history.steps
        self.fault = config["fault"]
        self.rank = comm.Get_rank()
        self.lived = Lived(self.rank)
        self.copies = Copies(comm, self.strategy, self.optimizer, hosts_of(config))

    def run(self) -> Survived:
        """Let it happen. Returns on every rank but the one that is killed."""
        for number in range(self.first, self.first + self.fault["after_steps"]):
            if (number - self.first) % self.fault["snapshot_every"] == 0:
                self._copy(number)
            self._step("copies", number)
        lived = self.lived
        lived.copied_bytes, lived.copy_memory_bytes = self.copies.payload_bytes, self.copies.memory_bytes
        handed = self._handed()
        self.comm.Barrier()
        alive = self._notice()
        plan, restored_step = self._rebuild(alive)
        end = self.first + self.fault["after_steps"]
        for number in range(restored_step, end):
            self._step("redo", number)
        self._after(alive, end)
        lived.weights_hash = weights_hash(self.strategy.module)
        return Survived(alive, plan, self.strategy, lived, handed)

    def _copy(self, step: int) -> None:
        begin = time.monotonic_ns()
        self.copies.take(step)
        self._saw("copies", "copy", begin, step)

    def _step(self, part: str, number: int) -> None:
        begin = time.monotonic_ns()
        loss = take_step(self.strategy, self.optimizer, self.task, self.ledger, number)
        self._saw(part, "step", begin, number, float(loss))

    def _saw(self, part: str, what: str, begin_ns: int, step: int | None = None, loss: float | None = None) -> None:
        self.lived.spans.append(Span(part, what, begin_ns, time.monotonic_ns(), step, loss))

    def _handed(self) -> Any:
        """What the rank that will be killed gives to rank 0."""
        self.comm.Barrier()  # its readings must reach over the last step of all
        mine = self.hand_over(self.lived) if self.rank == self.fault["rank"] else None
        if self.rank == self.fault["rank"]:
            self.comm.send(mine, dest=0)
        return self.comm.recv(source=self.fault["rank"]) if self.rank == 0 else None

    def _notice(self) -> MPI.Intracomm:
        """One more step, as which the rank is killed; a communicator of the others."""
        from mpi4py import MPI

        begin = time.monotonic_ns()
        if self.rank == self.fault["rank"]:
            _die()
        try:
            take_step(self.strategy, self.optimizer, self.task, self.ledger, self.first + self.fault["after_steps"])
            self.comm.Barrier()
        except MPI.Exception as error:
            if error.Get_error_class() not in (MPI.ERR_PROC_FAILED, MPI.ERR_REVOKED):
                raise
        else:
            raise RuntimeError(f"rank {self.fault['rank']} was killed, and no operation failed")
        self._saw("notice", "notice", begin)
        begin = time.monotonic_ns()
        self.strategy.mesh.revoke()  # partners that wait for this rank must know
        self.comm.Revoke()
        alive = cast("MPI.Intracomm", self.comm.Shrink())
        if alive.Get_size() != self.config["ranks"] - 1:
            raise UserError(f"{self.config['ranks'] - alive.Get_size()} ranks are gone, and one was to be killed")
        self._saw("shrink", "shrink", begin)
        return alive

    def _rebuild(self, alive: MPI.Intracomm) -> tuple[Plan, int]:
        """The plan of those that are left, and the step that their state is of."""
        begin = time.monotonic_ns()
        self.strategy.close()
        device, dtype = _device_of(self.strategy), getattr(torch, self.config["train"]["dtype"])
        plan, how = plan_after(self.config), self.config["comm"]
        restored = restore(self.copies.kept, plan, alive)
        self.ledger = Ledger()
        mesh = Mesh(alive, plan.mesh, self.ledger, how["wait"], how["progress"], how["all_reduce"], how["cuda"])
        self.strategy = get(plan.strategy)(plan, mesh)
        self.strategy.build(restored, dtype, device)
        self.optimizer = make_optimizer(self.strategy.trainable(), self.config["train"])
        load_states(self.strategy, self.optimizer, restored.states, restored.step)
        self.lived.restored_bytes = restored.received_bytes
        alive.Barrier()
        self._saw("rebuild", "rebuild", begin)
        return plan, restored.step

    def _after(self, alive: MPI.Intracomm, number: int) -> None:
        """As many steps as the window takes, by the first ones; rank 0 judges."""
        begin = time.monotonic_ns()
        for step in range(number, number + LEAST_STEPS):
            self._step("after", step)
        step_s = (time.monotonic_ns() - begin) / 1e9 / LEAST_STEPS
        more = alive.bcast(max(0, math.ceil(self.config["window_s"] / step_s) - LEAST_STEPS))
        for step in range(number + LEAST_STEPS, number + LEAST_STEPS + more):
            self._step("after", step)
        alive.Barrier()


def leave(config: Mapping[str, Any], code: int) -> int:
    """End this process with ``code`` where a rank was killed; otherwise return ``code``.

    MPI_Finalize waits for the dead rank now and then (seen with Open MPI 5.0.8 to 5.0.11), and there is nothing left to wait
    for: the ranks that are left have agreed that the record is written.
    """
    if "fault" not in config:
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _die() -> NoReturn:
    """As a process dies that the kernel ends: nothing is cleaned up, nobody is told."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def _device_of(strategy: Strategy) -> str:
    return str(next(strategy.module.parameters()).device)
