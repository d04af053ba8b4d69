"""One stage of a pipeline: interprets the actions of a schedule on this rank's micro-batches.

Messages are received one ahead of need and never block their sender. A stage may be held by several ranks that share the
samples of each micro-batch; a message then goes to every rank of the next stage that has some of the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from strategies.base import Scores
from strategies.comm.group import Group, Message
from strategies.models.layers import Linear, PostponedGradients
from strategies.models.transformer import MicroBatch, Transformer
from strategies.plan.partition import Span
from strategies.plan.pipeline_messages import Route, neighbours, routes
from strategies.plan.rank_placement import RankPlacement
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
    get,
)
from strategies.step.runner import Runner, total_scores


class StageRunner(Runner):
    """Runs a schedule on one stage.

    Args:
        module: The layers of this stage.
        group: Reaches every rank of the pipeline by world rank.
        placement: This rank's.
        placements: Those of all ranks.
        schedule: The name of one of ``strategies/schedules``.
    """

    def __init__(
        self,
        module: Transformer,
        group: Group,
        placement: RankPlacement,
        placements: Sequence[RankPlacement],
        schedule: str,
    ) -> None:
        self.module, self.group, self.placement = module, group, placement
        self.schedule, self.virtual = schedule, len(placement.layers)
        self.ledger = group.ledger
        self.near = {step: neighbours(placement, placements, step) for step in (1, -1)}
        self.like = next(module.parameters())
        self.postponed = PostponedGradients() if get(schedule).postpones_weights else None
        for layer in module.modules():
            if isinstance(layer, Linear):
                layer.postponed = self.postponed

    def train(self, micros: Sequence[MicroBatch], count: int) -> Tensor:
        """Play the schedule's actions."""
        step = _Step(self, micros, count, lambda other: other.micros)
        todo = list(actions(self.schedule, *self.placement.stage, len(micros), self.virtual))
        step.expect(todo)
        for action in todo:
            step.do(action)
        step.end()
        return step.loss.cpu()

    @torch.no_grad()
    def evaluate(self, micros: Sequence[MicroBatch], samples: int) -> Scores:
        """Send every micro-batch through all stages once; the last one has the scores."""
        step = _Step(self, micros, 1, lambda other: other.spans(samples, len(micros)))
        todo, scores = list(forward_actions(*self.placement.stage, len(micros), self.virtual)), []
        step.expect(todo)
        for action in todo:
            if isinstance(action, Forward) and step.last(action) and len(micros[action.micro]):
                x = self.module(step.inputs.get(action), micros[action.micro], action.chunk)
                scores.append(self.module.scores(x, micros[action.micro]))
            else:
                step.do(action)
        step.end()
        return total_scores(scores, micros) if self.placement.last else Scores(0.0, 0, 0)


class _Step:
    """The state of one step on one stage: what has arrived, what was computed, what is under way.

    Inputs, outputs and gradients are kept by the forward that they belong to.
    """

    def __init__(
        self, runner: StageRunner, micros: Sequence[MicroBatch], count: int, spans: Callable[[RankPlacement], Sequence[Span]]
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

    def _routes(self, spans: Callable[[RankPlacement], Sequence[Span]], step: int) -> list[list[Route]]:
        others = [(other.rank, spans(other)) for other in self.runner.near[step]]
        return [
            routes(local, [(rank, theirs[micro]) for rank, theirs in others])
            for micro, local in enumerate(spans(self.runner.placement))
        ]

    def last(self, action: Action) -> bool:
        """Whether the loss follows this action's stage."""
        return self.runner.placement.last and action.chunk == self.runner.virtual - 1

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
            PostponedGradients.compute(self.weights.pop(place))
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
        shape = (len(self.micros[action.micro]), self.runner.placement.stream_tokens, self.module.spec.hidden)
        tensor = self.runner.like.new_empty(shape)
        messages = [
            self.group.receive(tensor[route.begin : route.end], route.rank, self._tag(action))
            for route in self.routes[-1 if kind is ReceiveActivation else 1][action.micro]
        ]
        self.under_way[action] = (tensor, messages)

    def _tag(self, action: Action) -> int:
        """The same number on both ends of a message: by boundary between virtual stages, micro-batch and direction."""
        stage, stages = self.runner.placement.stage
        below = isinstance(action, (ReceiveActivation, SendGradient))
        boundary = action.chunk * stages + stage - below
        gradient = isinstance(action, (SendGradient, ReceiveGradient))
        return 2 * (boundary * len(self.micros) + action.micro) + gradient
