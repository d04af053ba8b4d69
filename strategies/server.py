"""A parameter server: data parallelism over a star. Workers send their gradients to rank 0, which adds and returns them.

    rank 1: samples 8..15  -> gradients --\\            /--> sum
    rank 2: samples 16..23 -> gradients ---> rank 0 ---> sum    rank 0 computes too: samples 0..7
    rank 3: samples 24..31 -> gradients --/            \\--> sum

Payload: (n-1) P e bytes to rank 0 and the same back, all of it through one link (Li et al., OSDI 2014). A ring sends as much
in all, but spreads it over the links: this is the baseline that shows why. The example of ``docs/reference/strategies.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch

from strategies.base import Batch, register
from strategies.comm.group import Group
from strategies.models.transformer import Transformer
from strategies.plan.model_spec import ModelSpec, parameter_count
from strategies.plan.placement import Placement
from strategies.plan.shapes import StepShape, Volume
from strategies.step.composition import DATA_OPTIONS, Composed
from strategies.step.gradient_sync import GradientSync


class StarSync(GradientSync):
    """Adds gradients up on the first rank of ``group``; no buckets, nothing beside the computation."""

    def __init__(self, module: Transformer, group: Group) -> None:
        super().__init__(module, [], [], None, "inline")
        self.group = group

    def finish(self, batch: Batch) -> None:
        gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        workers = range(1, self.group.size)
        if self.group.rank == 0:
            arriving = [self.group.receive(torch.empty_like(flat), rank, tag=0) for rank in workers]
            for message in arriving:
                flat += message.finish()
            for message in [self.group.send(flat, rank, tag=1) for rank in workers]:
                message.finish()
        else:
            self.group.send(flat, 0, tag=0).finish()
            self.group.receive(flat, 0, tag=1).finish()
        for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))


@register
class Server(Composed):
    name: ClassVar[str] = "server"
    axes: ClassVar[tuple[str, ...]] = ("data",)
    options: ClassVar[Mapping[str, Any]] = DATA_OPTIONS

    @classmethod
    def volumes(
        cls, spec: ModelSpec, shape: StepShape, placement: tuple[Placement, ...], options: Mapping[str, Any]
    ) -> Iterator[Volume]:
        workers = len(placement) - 1
        sent = 2 * workers * parameter_count(spec) * shape.element_bytes
        yield Volume("data", "send", "backward", 2 * workers, sent, float(sent))

    def make_gradients(self) -> GradientSync:
        return StarSync(self.module, self.mesh.groups["data"])
