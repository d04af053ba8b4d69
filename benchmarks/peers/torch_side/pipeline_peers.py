"""Pipelines of ``torch.distributed.pipelining``: GPipe, 1F1B, interleaved 1F1B, and the zero bubbles.

    pipeline-gpipe         ScheduleGPipe
    pipeline-1f1b          Schedule1F1B
    pipeline-interleaved   ScheduleInterleaved1F1B, two stages on each rank
    pipeline-zb1p          ScheduleInterleavedZeroBubble with one stage on each rank (ZB1P of arXiv 2401.10241)
    pipeline-zbv           ScheduleZBVZeroBubble: two stages on each rank, in the form of a V

All have as many layers in each stage as ours.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import pipelining
from torch.distributed.pipelining import schedules

from benchmarks.peers.torch_side.torch_peer import PeerRefused, TorchPeer
from benchmarks.peers.torch_side.twin_model import Twin, loss_part


class Gpipe(TorchPeer):
    """Stages of layers; the token table of a tied head is on two ranks, which add up its gradients."""

    name: ClassVar[str] = "pipeline-gpipe"
    schedule: ClassVar[str] = "ScheduleGPipe"
    several: ClassVar[bool] = False
    """Whether the schedule takes a list of stages."""

    def held(self, rank: int, ranks: int) -> list[int]:
        """The virtual stages of a rank, in a loop.

        Args:
            rank: The rank.
            ranks: How many there are.

        Returns:
            Their numbers in the order of the model.
        """
        return list(range(rank, len(self.work.stages), ranks))

    def build(self) -> nn.Module:
        work, rank, ranks = self.work, dist.get_rank(), dist.get_world_size()
        if work.batch % work.micro_batches:
            raise PeerRefused(
                f"torch's pipelines need a batch in multiples of {work.micro_batches} micro-batches, found {work.batch}"
            )
        make = getattr(schedules, self.schedule, None)
        if make is None:
            raise PeerRefused(f"torch {torch.__version__} has no {self.schedule}")
        numbers, count = self.held(rank, ranks), len(work.stages)
        parts = [Twin(work.spec, work.stages[number]) for number in numbers]
        self.first, self.last = numbers[0] == 0, count - 1 in numbers
        stages = [self.stage(part, number) for part, number in zip(parts, numbers, strict=True)]
        # Gradients are those of the sum of the micro-batches' losses, each of which is divided by the global count.
        keywords: dict[str, Any] = {"loss_fn": loss_part, "scale_grads": False}
        self.pipeline = make(stages if self.several else stages[0], work.micro_batches, **keywords)
        self.share_table(parts, next(each for each in range(ranks) if count - 1 in self.held(each, ranks)))
        return nn.ModuleList(parts)

    def stage(self, part: Twin, number: int) -> Any:
        """A stage of torch's with the shapes that it gets and gives, so that nothing is tried out first.

        Args:
            part: The layers.
            number: Of the stage, in the order of the model.

        Returns:
            The stage.
        """
        work = self.work
        micro = (work.batch // work.micro_batches, work.seq)
        with torch.device("meta"):
            ids, hidden = torch.empty(micro, dtype=torch.int64), torch.empty(*micro, work.spec.hidden, requires_grad=True)
            classes = (micro[0], work.spec.labels) if part.pool else (*micro, work.spec.vocab)
            logits = torch.empty(classes, requires_grad=True)
        taken, made = hidden if part.embed is None else ids, hidden if part.head is None else logits
        return pipelining.PipelineStage(part, number, len(work.stages), torch.device("cpu"), taken, made)

    def share_table(self, parts: list[Twin], last_rank: int) -> None:
        """Of a tied head: its table and that of the tokens are one, or copies on two ranks whose gradients are added up.

        Args:
            parts: The layers of this rank's stages.
            last_rank: The rank with the head.
        """
        tied = self.work.spec.tied and len(self.work.stages) > 1
        self.ends = dist.new_group([0, last_rank]) if tied and last_rank else None
        tables = [part.embed.tokens for part in parts if part.embed] + [part.head for part in parts if part.head]
        if tied and not last_rank and len(tables) == 2:
            tables[1].weight = tables[0].weight
        self.shared = [table.weight for table in tables] if self.ends is not None and (self.first or self.last) else []

    def train(self, ids: Tensor, mask: Tensor, targets: Tensor, count: int) -> float | None:
        losses = list[Tensor]()
        extra = {"target": targets, "losses": losses} if self.last else {}
        keywords: dict[str, Any] = {"loss_kwargs": {"count": count}, **extra}
        self.pipeline.step(*((ids,) if self.first else ()), mask=mask, return_outputs=False, **keywords)
        for weight in self.shared:
            dist.all_reduce(weight.grad, group=self.ends)
        return sum(loss.item() for loss in losses) if self.last else None

    def gradients(self) -> dict[str, Tensor]:
        named = [named for part in self.model for named in part.named_parameters()]
        return {name: parameter.grad for name, parameter in named if parameter.grad is not None}


class OneForwardOneBackward(Gpipe):
    """Needs as many micro-batches as stages."""

    name: ClassVar[str] = "pipeline-1f1b"
    schedule: ClassVar[str] = "Schedule1F1B"


class Interleaved(Gpipe):
    """1F1B over two stages on each rank."""

    name: ClassVar[str] = "pipeline-interleaved"
    schedule: ClassVar[str] = "ScheduleInterleaved1F1B"
    several: ClassVar[bool] = True


class ZeroBubble(Gpipe):
    """Backward in two parts, of which the second fills the bubbles."""

    name: ClassVar[str] = "pipeline-zb1p"
    schedule: ClassVar[str] = "ScheduleInterleavedZeroBubble"
    several: ClassVar[bool] = True


class ZeroBubbleV(Gpipe):
    """As that, with two stages on each rank: the first rank has the first and the last."""

    name: ClassVar[str] = "pipeline-zbv"
    schedule: ClassVar[str] = "ScheduleZBVZeroBubble"
    several: ClassVar[bool] = True

    def held(self, rank: int, ranks: int) -> list[int]:
        return [rank, 2 * ranks - 1 - rank]
