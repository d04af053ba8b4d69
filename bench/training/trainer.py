"""The training loop of one point: warm-up, timed windows of whole steps, evaluations between them.

Every rank runs it in step with the others. Times are CLOCK_MONOTONIC nanoseconds of this rank's host; they are put on
a common axis when the run is over.
"""

from __future__ import annotations

import inspect
import itertools
import math
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.config.point_config import PointConfig
from bench.config.warmup_config import WarmupConfig
from bench.tasks.task_base.task import Task
from bench.timeline.training_history import Evaluation, History, Segment
from bench.training.process_memory import ActivationMeter
from bench.training.usable_cores import rank_cores
from strategies.base import Scores, Strategy, get
from strategies.comm.comm_options import CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.models.pretrained_weights import WeightLoader
from strategies.plan.shapes import Plan
from strategies.step.training_checkpoint import resume

if TYPE_CHECKING:
    from mpi4py import MPI

EVALUATION_BATCH = 64
STABLE_STEPS = 3
MARGIN = 1.01  # the common window begins when the last rank does, a little after rank 0's own


def make_optimizer(
    trainable: Sequence[tuple[torch.nn.Parameter, bool]], *, optimizer: str, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW or SGD over what the strategy trains here; weight decay spares biases and norms.

    Args:
        trainable: Parameters that are trained here, each with whether it is a matrix.
        optimizer: ``sgd`` or ``adamw``.
        lr: The learning rate.
        weight_decay: The decay of matrices, per step and learning rate.

    Returns:
        An optimizer without any state yet.
    """
    matrices = [parameter for parameter, matrix in trainable if matrix]
    vectors = [parameter for parameter, matrix in trainable if not matrix]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if optimizer == "sgd":
        return _eager(torch.optim.SGD)(groups, lr=lr)
    return _eager(torch.optim.AdamW)(groups, lr=lr, fused=True)


@cache
def _eager(kind: Any) -> Any:
    """An optimizer of torch without the decorators that would import its compiler, which no rank uses (0.6 to 1.2 s)."""
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad")}
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(inspect.unwrap(kind.step))})


def configured_optimizer(config: PointConfig, strategy: Strategy) -> torch.optim.Optimizer:
    """The optimizer that a point asks for, over what its strategy trains on this rank.

    Args:
        config: The point.
        strategy: The strategy of this rank, built.

    Returns:
        An optimizer without any state yet.
    """
    train = config.train
    return make_optimizer(strategy.trainable(), optimizer=train.optimizer, lr=train.lr, weight_decay=train.weight_decay)


def make_strategy(
    config: PointConfig, comm: MPI.Intracomm, plan: Plan, ledger: Ledger, load: WeightLoader, device: str
) -> Strategy:
    """This rank's part of a plan, its module filled. Collective.

    Args:
        config: The point.
        comm: The ranks of the plan.
        plan: Placement of the model on them.
        ledger: Takes the operations of this rank.
        load: Gives the weights of the module.
        device: ``cpu``, or the GPU of this rank.

    Returns:
        The strategy, ready to step.
    """
    delay_s = 0.0 if config.dilation is None else config.dilation.receive_delay_s
    asked, cores = CommOptions(**vars(config.comm), receive_delay_s=delay_s), rank_cores(config, comm)
    mesh = Mesh(comm, plan.mesh, ledger, asked, volumes=plan.volumes, cores=cores)
    strategy = get(plan.strategy)(plan, mesh)
    strategy.build(load, getattr(torch, config.train.dtype), device)
    return strategy


class Trainer:
    """Runs the steps of one point on this rank, from the beginning or from the checkpoint ``train.resume``."""

    def __init__(self, config: PointConfig, comm: MPI.Comm, strategy: Strategy, task: Task, ledger: Ledger) -> None:
        self.config, self.comm, self.strategy, self.task, self.ledger = config, comm, strategy, task, ledger
        self.optimizer = configured_optimizer(config, strategy)
        folder = config.train.resume
        self.history = History(first_step=resume(strategy, self.optimizer, Path(folder)) if folder else 0)

    @property
    def evaluates_between(self) -> bool:
        """Whether evaluations were asked for before the first step and between the windows."""
        return bool(self.config.train.eval_every)

    def train(self, window_s: float, step_s: float) -> None:
        """Train in timed windows: up to ``train.steps`` steps in all, or enough of them for ``window_s``.

        Evaluations between them end one window and begin the next.

        Args:
            window_s: The least length of all windows together where no number of steps is given, s.
            step_s: The time of one step, as the warm-up found it, s.
        """
        train = self.config.train
        enough = max(STABLE_STEPS, math.ceil(window_s / step_s))
        left = enough if train.steps is None else train.steps - self.history.steps
        every = train.eval_every or math.inf
        while left > 0:
            count = int(min(left, every - self.history.steps % every))
            segment = self._begin(timed=True)
            self._steps(segment, count)
            left -= count
            if train.steps is None and left == 0:
                self._extend(segment, window_s)
            if self.evaluates_between and left > 0:
                self.evaluate()

    def _extend(self, segment: Segment, window_s: float) -> None:
        """More steps in the same window where they turned out faster than the warm-up promised; rank 0 judges."""
        while True:
            timed = [window for window in self.history.segments if window.timed]
            spent_s = sum(window.ends_ns[-1] - window.start_ns for window in timed) / 1e9
            steps = sum(len(window.ends_ns) for window in timed)
            more = self.comm.bcast(math.ceil((MARGIN * window_s - spent_s) / (spent_s / steps)))
            if more <= 0:
                return
            self._steps(segment, more)

    def warm_up(self) -> float:
        """Steps until the last ones differ by less than ``warmup.tolerance``; the seconds of one step.

        The last three are looked at, with ``warmup.min_steps`` below three the last two. Rank 0 judges for all. Gives up
        after ``warmup.max_steps``, and the record says so.
        """
        warmup, steps = self.config.warmup, self.config.train.steps
        most = warmup.max_steps if steps is None else min(warmup.max_steps, max(1, steps - self.history.steps - 1))
        segment = self._begin(timed=False)
        stable = False
        while len(segment.ends_ns) < most and not stable:
            if segment.ends_ns:
                self._step(segment)
            else:
                with ActivationMeter(self.strategy.module) as meter:
                    self._step(segment)
                self.history.activations_bytes = meter.peak_bytes
            stable = self.comm.bcast(warmed_up(_durations_s(segment), warmup))
        self.history.warmup_stable = stable
        return self.comm.bcast(median(_durations_s(segment)[-STABLE_STEPS:]))  # type: ignore[no-any-return]

    def _steps(self, segment: Segment, count: int) -> None:
        for _ in range(count):
            self._step(segment)

    def evaluate(self) -> None:
        """Forward over the validation split, outside of every window."""
        self.ledger.step = -1
        limit = self.config.eval_samples
        total = Scores(0.0, 0, 0)
        for batch in self.task.validation(EVALUATION_BATCH, limit):
            part = self.strategy.evaluate(batch)
            total = Scores(total.loss_sum + part.loss_sum, total.correct + part.correct, total.count + part.count)
        self.history.evaluations.append(Evaluation(self.history.steps, total))

    def _begin(self, timed: bool) -> Segment:
        self.ledger.step = -1
        self.comm.Barrier()
        segment = Segment(timed, self.history.steps, time.monotonic_ns(), start_cpu_ns=time.process_time_ns())
        self.history.segments.append(segment)
        return segment

    def _step(self, segment: Segment) -> None:
        number = self.history.steps
        self.history.losses.append(self.take_step(number))
        segment.ends_ns.append(time.monotonic_ns())
        segment.end_cpu_ns = time.process_time_ns()

    def take_step(self, number: int) -> Tensor:
        """One step of the training, complete when this returns.

        Args:
            number: Steps before it, those of a resumed training included.

        Returns:
            This rank's contribution to the loss, a scalar.
        """
        self.ledger.step = number
        loss = self.strategy.step(self.task.batch(number))
        with self.ledger.during("optimizer"):
            self.optimizer.step()
            self.strategy.updated()
        if self.config.device == "cuda":
            torch.cuda.synchronize()
        return loss


def warmed_up(step_s: Sequence[float], warmup: WarmupConfig) -> bool:
    """Whether the last steps agree: three of them, or two where ``min_steps`` is below three.

    Args:
        step_s: Seconds of all warm-up steps so far.
        warmup: Least steps, and how far the last ones may be apart as a share of their median.

    Returns:
        True when the windows may begin.
    """
    looked_at = min(STABLE_STEPS, max(2, warmup.min_steps))
    last = step_s[-looked_at:]
    enough = len(step_s) >= max(looked_at, warmup.min_steps)
    return enough and max(last) - min(last) <= warmup.tolerance * median(last)


def _durations_s(segment: Segment) -> list[float]:
    edges = [segment.start_ns, *segment.ends_ns]
    return [(after - before) / 1e9 for before, after in itertools.pairwise(edges)]
