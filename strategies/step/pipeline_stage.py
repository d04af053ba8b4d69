"""One stage of a pipeline: interprets the actions of a schedule on this rank's micro-batches.

Messages are received one ahead of need and never block their sender. A stage may be held by several ranks that share the
samples of each micro-batch; a message then goes to every rank of the next stage that has some of the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from strategies.base import Scores
from strategies.comm.group import Group, Message
from strategies.models.layers import Linear, Postponed
from strategies.models.transformer import Micro, Transformer
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import Span
from strategies.plan.placement import Placement
from strategies.plan.shapes import StepShape, Volume
from strategies.schedules import (
    Action,
    Backward,
    BackwardInput,
    BackwardWeight,
    Forward,
    ReceiveActivation,
    ReceiveGradient,
    SendActivation,
    SendGradient,
    actions,
    forward_actions,
)
from strategies.step.local_runner import total_scores

AXIS = "pipeline"
OPTIONS: Mapping[str, Any] = {
    "stages": None,
    "schedule": "1f1b",
    "virtual_stages": 2,
    "groups": None,
    "group_shares": None,
}


class Route(NamedTuple):
    """Samples ``begin`` to ``end`` of a local micro-batch go to, or come from, world rank ``rank``."""

    rank: int
    begin: int
    end: int


def neighbours(at: Placement, placement: Sequence[Placement], step: int) -> list[Placement]:
    """The ranks of the next (``step`` 1) or previous (-1) stage that work on the same replica and shard; stages go round."""
    stage = (at.stage[0] + step) % at.stage[1]
    same = {axis: at.coordinates[axis] for axis in ("data", "sequence", "tensor")}
    return [other for other in placement if other.stage[0] == stage and same.items() <= other.coordinates.items()]


def routes(own: Span, others: Sequence[tuple[int, Span]]) -> list[Route]:
    """Which of our samples ``own`` each of the ``others`` (rank, its samples) has too."""
    common = [(rank, max(own[0], begin), min(own[1], end)) for rank, (begin, end) in others]
    return [Route(rank, begin - own[0], end - own[0]) for rank, begin, end in common if begin < end]


def volumes(spec: ModelSpec, shape: StepShape, placement: Sequence[Placement]) -> Iterator[Volume]:
    """A message each way for each micro-batch, boundary and pair of ranks that share samples."""
    for at in placement:
        if at.stage[1] == 1:
            continue
        sample = at.stream_tokens * spec.hidden * shape.element_bytes
        virtual = len(at.layers)
        for step, phase, ends in ((1, "forward", at.last), (-1, "backward", at.first)):
            boundaries = virtual - ends
            for micro, own in enumerate(at.micros):
                for route in routes(own, [(o.rank, o.micros[micro]) for o in neighbours(at, placement, step)]):
                    payload = boundaries * (route.end - route.begin) * sample
                    yield Volume(AXIS, "send", phase, boundaries, payload, float(payload))


class StageRunner:
    """Runs the schedule of ``options`` on one stage. ``group`` must reach every rank of the pipeline by world rank."""

    def __init__(
        self,
        module: Transformer,
        group: Group,
        at: Placement,
        placement: Sequence[Placement],
        options: Mapping[str, Any],
    ) -> None:
        self.module, self.group, self.at = module, group, at
        self.schedule, self.virtual = options["schedule"], len(at.layers)
        self.ledger = group.ledger
        self.near = {step: neighbours(at, placement, step) for step in (1, -1)}
        self.like = next(module.parameters())
        self.postponed = Postponed() if self.schedule == "zero_bubble" else None
        for layer in module.modules():
            if isinstance(layer, Linear):
                layer.postponed = self.postponed

    def train(self, micros: Sequence[Micro], count: int) -> Tensor:
        step = _Step(self, micros, count, lambda other: other.micros)
        todo = list(actions(self.schedule, *self.at.stage, len(micros), self.virtual))
        step.expect(todo)
        for action in todo:
            step.do(action)
        step.end()
        return step.loss.cpu()

    @torch.no_grad()
    def evaluate(self, micros: Sequence[Micro], samples: int) -> Scores:
        """``micros`` are this rank's parts of an evaluation batch of ``samples``; some may be empty."""
        step = _Step(self, micros, 1, lambda other: other.spans(samples, len(micros)))
        todo, found = list(forward_actions(*self.at.stage, len(micros), self.virtual)), []
        step.expect(todo)
        for action in todo:
            if isinstance(action, Forward) and step.last(action) and len(micros[action.micro]):
                x = self.module(step.inputs.get(action), micros[action.micro], action.chunk)
                found.append(self.module.scores(x, micros[action.micro]))
            else:
                step.do(action)
        step.end()
        return total_scores(found, micros) if self.at.last else Scores(0.0, 0, 0)


class _Step:
    """The state of one step on one stage: what has arrived, what was computed, what is under way.

    Inputs, outputs and gradients are kept by the forward that they belong to.
    """

    def __init__(
        self, runner: StageRunner, micros: Sequence[Micro], count: int, spans: Callable[[Placement], Sequence[Span]]
    ) -> None:
        self.runner, self.micros, self.count = runner, micros, count
        self.module, self.group, self.ledger = runner.module, runner.group, runner.ledger
        self.routes = {step: self._routes(spans, step) for step in (1, -1)}
        self.inputs: dict[Forward, Tensor] = {}
        self.outputs: dict[Forward, Tensor] = {}
        self.gradients: dict[Forward, Tensor] = {}
        self.weights: dict[Forward, list[tuple[Tensor, Tensor, Tensor]]] = {}
        self.expected: dict[type[Action], list[Action]] = {}
        self.under_way: dict[Action, tuple[Tensor, list[Message]]] = {}
        self.sent: list[Message] = []
        self.loss = torch.zeros((), dtype=torch.float64, device=runner.like.device)

    def _routes(self, spans: Callable[[Placement], Sequence[Span]], step: int) -> list[list[Route]]:
        others = [(other.rank, spans(other)) for other in self.runner.near[step]]
        return [
            routes(own, [(rank, theirs[micro]) for rank, theirs in others]) for micro, own in enumerate(spans(self.runner.at))
        ]

    def last(self, action: Action) -> bool:
        """Whether the loss follows this action's stage."""
        return self.runner.at.last and action.chunk == self.runner.virtual - 1

    def expect(self, todo: Sequence[Action]) -> None:
        """Post the first receive of each kind; ``_receive`` posts the next one before it waits."""
        for kind in (ReceiveActivation, ReceiveGradient):
            self.expected[kind] = [action for action in todo if isinstance(action, kind)]
            self._post(kind)

    def do(self, action: Action) -> None:
        place = Forward(action.micro, action.chunk)
        forward = isinstance(action, (Forward, SendActivation, ReceiveActivation))
        phase = "forward" if forward else "backward"
        if isinstance(action, (Forward, Backward, BackwardInput, BackwardWeight)):
            with self.ledger.during(phase, action.micro, action.chunk, str(action)):
                self._compute(action, place)
        else:
            outer, self.ledger.phase = self.ledger.phase, phase
            self._communicate(action, place)
            self.ledger.phase = outer

    def end(self) -> None:
        outer, self.ledger.phase = self.ledger.phase, "backward"
        for message in self.sent:
            message.finish()
        self.ledger.phase = outer

    def _compute(self, action: Action, place: Forward) -> None:
        micro = self.micros[action.micro]
        if not len(micro):
            return
        if isinstance(action, Forward):
            y = self.module(self.inputs.get(place), micro, action.chunk)
            if self.last(action):
                y = self.module.loss_sum(y, micro) / self.count
                self.loss += y.detach()
            self.outputs[place] = y
        elif isinstance(action, BackwardWeight):
            Postponed.compute(self.weights.pop(place))
        else:
            # The last stage's output is its loss, a scalar that needs no gradient from elsewhere.
            torch.autograd.backward(self.outputs.pop(place), self.gradients.pop(place, None))
            if self.runner.postponed is not None:
                self.weights[place] = self.runner.postponed.take()

    def _communicate(self, action: Action, place: Forward) -> None:
        if isinstance(action, SendActivation):
            self._send(action, self.outputs[place].detach())
        elif isinstance(action, SendGradient):
            gradient = self.inputs.pop(place).grad
            assert gradient is not None
            self._send(action, gradient)
        elif isinstance(action, ReceiveActivation):
            self.inputs[place] = self._receive(action).requires_grad_(torch.is_grad_enabled())
        else:
            self.gradients[place] = self._receive(action)

    def _send(self, action: Action, tensor: Tensor) -> None:
        for route in self.routes[1 if isinstance(action, SendActivation) else -1][action.micro]:
            part = tensor[route.begin : route.end].contiguous()
            self.sent.append(self.group.send(part, route.rank, self._tag(action)))

    def _receive(self, action: Action) -> Tensor:
        tensor, messages = self.under_way.pop(action)
        self._post(type(action))
        for message in messages:
            message.finish()
        return tensor

    def _post(self, kind: type[Action]) -> None:
        if not self.expected[kind]:
            return
        action = self.expected[kind].pop(0)
        shape = (len(self.micros[action.micro]), self.runner.at.stream_tokens, self.module.spec.hidden)
        tensor = self.runner.like.new_empty(shape)
        messages = [
            self.group.receive(tensor[route.begin : route.end], route.rank, self._tag(action))
            for route in self.routes[-1 if kind is ReceiveActivation else 1][action.micro]
        ]
        self.under_way[action] = (tensor, messages)

    def _tag(self, action: Action) -> int:
        """The same number on both ends of a message: by boundary between virtual stages, micro-batch and direction."""
        stage, stages = self.runner.at.stage
        below = isinstance(action, (ReceiveActivation, SendGradient))
        boundary = action.chunk * stages + stage - below
        gradient = isinstance(action, (SendGradient, ReceiveGradient))
        return 2 * (boundary * len(self.micros) + action.micro) + gradient
