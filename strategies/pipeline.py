"""Pipeline parallelism: consecutive layers on consecutive ranks; micro-batches flow through them.

    stage 0: [embed, blocks 0-2] --activations [b, s, h]--> stage 1: [blocks 3-5, head, loss]
                                 <--gradients  [b, s, h]--

Payload per boundary and step: B s h e bytes forward and the same backward, whatever the number of micro-batches
(Narayanan et al., arXiv 2104.04473). A token table that is tied to the head lives on both ends: its gradient is
summed over the two (V h e). Each stage interprets the actions of a schedule (``schedules/``); messages are received
one ahead of need, and never block their sender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from strategies.base import Batch, Scores, register
from strategies.comm.group import Group, Message
from strategies.comm.progress import Pump
from strategies.composed import Composed, NoSync, Sync
from strategies.errors import PlanError
from strategies.models.spec import ModelSpec, Parameter, parameters
from strategies.models.transformer import Transformer
from strategies.partition import either
from strategies.plan import MeshShape, Placement, StepShape, Volume, all_reduce_wire, place
from strategies.runner import Runner, total_scores
from strategies.schedules import (
    ORDERS,
    Action,
    Backward,
    Forward,
    ReceiveActivation,
    ReceiveGradient,
    SendActivation,
    SendGradient,
    actions,
    live_micro_batches,
)


def volumes(spec: ModelSpec, shape: StepShape, mesh: MeshShape, placement: Sequence[Placement]) -> list[Volume]:
    """A message each way for each micro-batch and boundary, and the all-reduce of a tied token table."""
    if mesh.pipeline == 1:
        return []
    found = []
    for at in placement:
        message = sum(at.micro_samples) * shape.seq * spec.hidden * shape.element_bytes
        calls = len(at.micro_samples)
        if not at.last:
            found.append(Volume("pipeline", "send", "forward", calls, message, float(message)))
        if not at.first:
            found.append(Volume("pipeline", "send", "backward", calls, message, float(message)))
        if spec.head == "lm" and spec.tied and (at.first or at.last):
            begin, end = at.shard(_token_table(spec), spec) or (0, spec.vocab)
            table = (end - begin) * spec.hidden * shape.element_bytes
            found.append(Volume("tied", "all_reduce", "backward", 1, table, all_reduce_wire(table, 2)))
    return found


def _token_table(spec: ModelSpec) -> Parameter:
    return next(p for p in parameters(spec) if p.name == "embed.tokens.weight")


class StageRunner:
    """Interprets a schedule on one stage."""

    def __init__(self, module: Transformer, group: Group, schedule: str, pump: Pump | None) -> None:
        self.module, self.group, self.schedule, self.pump = module, group, schedule, pump
        self.ledger = group.ledger
        self.stage, self.stages = group.rank, group.size
        self.dtype = next(module.parameters()).dtype

    def train(self, micros: Sequence[Batch], count: int, before_last: Callable[[], None]) -> Tensor:
        step = _Step(self, micros, count)
        todo = list(actions(self.schedule, self.stage, self.stages, len(micros)))
        last_backward = max(i for i, action in enumerate(todo) if isinstance(action, Backward))
        with self.pump or nullcontext():
            step.expect(todo)
            for number, action in enumerate(todo):
                if number == last_backward:
                    before_last()
                step.do(action)
            step.end()
        return step.loss

    @torch.no_grad()
    def evaluate(self, micros: Sequence[Batch]) -> Scores:
        step, found = _Step(self, micros, count=1), []
        todo = [a for a in actions("gpipe", self.stage, self.stages, len(micros)) if not _backward(a)]
        step.expect(todo)
        for action in todo:
            if isinstance(action, Forward) and self.stage == self.stages - 1:
                x = self.module(step.inputs[action.micro], micros[action.micro].mask)
                found.append(self.module.scores(x, micros[action.micro]))
            else:
                step.do(action)
        step.end()
        return total_scores(found, micros) if found else Scores(0.0, 0, 0)

    def close(self) -> None:
        if self.pump is not None:
            self.pump.close()


def _backward(action: Action) -> bool:
    return isinstance(action, (Backward, ReceiveGradient, SendGradient))


class _Step:
    """The state of one step on one stage: what has arrived, what was computed, what is under way."""

    def __init__(self, runner: StageRunner, micros: Sequence[Batch], count: int) -> None:
        self.runner, self.micros, self.count = runner, micros, count
        self.module, self.group, self.ledger = runner.module, runner.group, runner.ledger
        self.inputs: dict[int, Tensor] = {}
        self.outputs: dict[int, Tensor] = {}
        self.gradients: dict[int, Tensor] = {}
        self.expected: dict[type[Action], list[int]] = {}
        self.under_way: dict[Action, Message] = {}
        self.sent: list[Message] = []
        self.loss = torch.zeros((), dtype=torch.float64)

    def expect(self, todo: Sequence[Action]) -> None:
        """Post the first receive of each kind; ``_receive`` posts the next one before it waits."""
        for kind in (ReceiveActivation, ReceiveGradient):
            self.expected[kind] = [action.micro for action in todo if isinstance(action, kind)]
            self._post(kind)

    def do(self, action: Action) -> None:
        phase = "backward" if _backward(action) else "forward"
        if isinstance(action, Forward):
            with self.ledger.during(phase, action.micro):
                self._forward(action.micro)
        elif isinstance(action, Backward):
            with self.ledger.during(phase, action.micro):
                self._compute_backward(action.micro)
        else:
            outer, self.ledger.phase = self.ledger.phase, phase
            self._communicate(action)
            self.ledger.phase = outer

    def end(self) -> None:
        outer, self.ledger.phase = self.ledger.phase, "backward"
        for message in self.sent:
            message.finish()
        self.ledger.phase = outer

    def _forward(self, micro: int) -> None:
        batch = self.micros[micro]
        x = self.inputs.get(micro, batch.ids)
        y = self.module(x, batch.mask)
        if self.runner.stage == self.runner.stages - 1:
            y = self.module.loss_sum(y, batch) / self.count
            self.loss += y.detach()
        self.outputs[micro] = y

    def _compute_backward(self, micro: int) -> None:
        # The last stage's output is its loss, a scalar that needs no gradient from elsewhere.
        torch.autograd.backward(self.outputs.pop(micro), self.gradients.pop(micro, None))

    def _communicate(self, action: Action) -> None:
        micro, stage = action.micro, self.runner.stage
        if isinstance(action, SendActivation):
            self.sent.append(self.group.send(self.outputs[micro].detach().contiguous(), stage + 1, 2 * micro))
        elif isinstance(action, SendGradient):
            gradient = self.inputs.pop(micro).grad
            assert gradient is not None
            self.sent.append(self.group.send(gradient.contiguous(), stage - 1, 2 * micro + 1))
        elif isinstance(action, ReceiveActivation):
            self.inputs[micro] = self._receive(action).requires_grad_(torch.is_grad_enabled())
        elif isinstance(action, ReceiveGradient):
            self.gradients[micro] = self._receive(action)

    def _receive(self, action: Action) -> Tensor:
        message = self.under_way.pop(action)
        self._post(type(action))
        return message.finish()

    def _post(self, kind: type[Action]) -> None:
        if not self.expected[kind]:
            return
        micro = self.expected[kind].pop(0)
        samples, seq = self.micros[micro].ids.shape
        buffer = torch.empty(samples, seq, self.module.spec.hidden, dtype=self.runner.dtype)
        activation = kind is ReceiveActivation
        source = self.runner.stage + (-1 if activation else 1)
        self.under_way[kind(micro)] = self.group.receive(buffer, source, 2 * micro + (not activation))


class TiedSync:
    """Around another sync: sums the gradient of a token table that the first and the last stage share."""

    def __init__(self, inner: Sync, module: Transformer, ends: Group | None) -> None:
        self.inner, self.module, self.ends = inner, module, ends
        self.begin, self.arm, self.close = inner.begin, inner.arm, inner.close

    def finish(self) -> None:
        self.inner.finish()
        if self.ends is not None:
            self.ends.all_reduce_(self.module.embed.tokens.weight.grad, "backward")  # type: ignore[union-attr, arg-type]


def check_schedule(options: Mapping[str, Any]) -> None:
    if options["schedule"] not in ORDERS:
        known = either(list(ORDERS))  # type: ignore[arg-type]
        raise PlanError(f"strategy.schedule={options['schedule']} is unknown; use {known}")


def live(shape: StepShape, mesh: MeshShape, schedule: str) -> dict[int, int]:
    stages = range(mesh.pipeline)
    return {s: live_micro_batches(schedule, s, mesh.pipeline, shape.micro_batches) for s in stages}


@register
class Pipeline(Composed):
    name: ClassVar[str] = "pipeline"
    axes: ClassVar[tuple[str, ...]] = ("pipeline",)
    default_micro_batches: ClassVar[int | Literal["stages"]] = "stages"
    options: ClassVar[Mapping[str, Any]] = {"stages": None, "schedule": "1f1b"}

    @classmethod
    def volumes(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> list[Volume]:
        check_schedule(options)
        return volumes(model, shape, mesh, place(model, shape, mesh, options["stages"]))

    @classmethod
    def live(cls, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> dict[int, int]:
        check_schedule(options)
        return live(shape, mesh, options["schedule"])

    def make_runner(self) -> Runner:
        return stage_runner(self)

    def make_sync(self) -> Sync:
        return tied(self, NoSync(self.module))


def stage_runner(strategy: Composed) -> Runner:
    """The runner of ``strategy``'s stage, with a pump when its progress is on a thread. Collective."""
    group, options = strategy.mesh.groups["pipeline"], strategy.made_by.options
    pump = Pump(group) if strategy.mesh.progress == "thread" else None
    return StageRunner(strategy.module, group, options["schedule"], pump)


def tied(strategy: Composed, inner: Sync) -> Sync:
    """``inner``, and the sum over both ends of a tied token table where there is one. Collective."""
    spec = strategy.spec
    if strategy.mesh.shape.pipeline == 1 or not (spec.head == "lm" and spec.tied):
        return inner
    return TiedSync(inner, strategy.module, strategy.mesh.pair("pipeline", "tied"))
