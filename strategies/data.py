"""Data parallelism: every rank holds the whole model and a share of the batch; gradients are summed.

    rank 0: samples 0..15  -> forward -> backward -+
                                                    +- all-reduce (sum), bucket by bucket -> the same step everywhere
    rank 1: samples 16..31 -> forward -> backward -+

Payload per rank and step: P e bytes (P parameters of e bytes), once per step however many micro-batches; a ring
sends 2 (n-1)/n of it (Li et al., PyTorch Distributed, arXiv 2006.15704). Buckets are filled from the last layer to
the first and go out on the communication thread while backward still computes.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from strategies.base import register
from strategies.comm.group import Group
from strategies.comm.progress import CommThread, Progress
from strategies.composed import Composed, Sync
from strategies.models.spec import ModelSpec, parameters
from strategies.plan import MeshShape, Placement, StepShape, Volume, all_reduce_wire, place

BUCKET_BYTES = 4 * 2**20


def buckets(sizes_bytes: Sequence[int], bucket_bytes: int) -> list[list[int]]:
    """Indices of consecutive tensors, cut so that a bucket closes once it holds ``bucket_bytes`` or more."""
    found: list[list[int]] = [[]]
    held = 0
    for index, size in enumerate(sizes_bytes):
        if held >= bucket_bytes:
            found.append([])
            held = 0
        found[-1].append(index)
        held += size
    return found


def volumes(
    spec: ModelSpec, shape: StepShape, mesh: MeshShape, placement: Sequence[Placement], bucket_bytes: int
) -> list[Volume]:
    """One all-reduce for each bucket of each rank."""
    if mesh.data == 1:
        return []
    found = []
    for at in placement:
        sizes = [at.local_size(p, spec) * shape.element_bytes for p in parameters(spec) if at.holds(p, spec)]
        wire = all_reduce_wire(sum(sizes), mesh.data)
        calls = len(buckets(sizes[::-1], bucket_bytes))
        found.append(Volume("data", "all_reduce", "backward", calls, sum(sizes), wire))
    return found


class Bucket:
    """Gradients of some parameters in one flat buffer: ``.grad`` of each is a view of it, so nothing is copied."""

    def __init__(self, members: Sequence[nn.Parameter]) -> None:
        self.flat = torch.zeros(sum(p.numel() for p in members), dtype=members[0].dtype)
        self.members, self.missing, at = list(members), len(members), 0
        for parameter in members:
            parameter.grad = self.flat[at : at + parameter.numel()].view_as(parameter)
            at += parameter.numel()

    def reset(self) -> None:
        self.flat.zero_()
        self.missing = len(self.members)


class GradientSync:
    """Sums gradients over a group, bucket by bucket, always in the same order on every rank.

    ``progress=thread`` sends a bucket as soon as its last gradient is final, while backward goes on; ``inline`` sends
    all of them after backward. Raises RuntimeError when a parameter got no gradient: other ranks would wait for ever.
    """

    def __init__(self, module: nn.Module, group: Group, bucket_bytes: int, progress: Progress) -> None:
        own = list(module.parameters())[::-1]
        sizes = [p.numel() * p.element_size() for p in own]
        self.buckets = [Bucket([own[i] for i in indices]) for indices in buckets(sizes, bucket_bytes)]
        self.ledger = group.ledger
        self.thread = CommThread() if progress == "thread" else None
        self.group = group.for_thread() if self.thread else group
        self.armed, self.sent, self.futures = False, 0, list[Future[None]]()
        for bucket in self.buckets:
            for parameter in bucket.members:
                parameter.register_post_accumulate_grad_hook(self._ready(bucket))

    def begin(self) -> None:
        self.armed, self.sent, self.futures = False, 0, []
        for bucket in self.buckets:
            bucket.reset()

    def arm(self) -> None:
        self.armed = True

    def finish(self) -> None:
        late = sum(bucket.missing for bucket in self.buckets)
        if late:
            raise RuntimeError(f"{late} parameters got no gradient in this step; their all-reduce would never end")
        if self.thread is None:
            for bucket in self.buckets:
                self.group.all_reduce_(bucket.flat, "backward")
            return
        t0 = time.monotonic_ns()
        for future in self.futures:
            future.result()
        self.ledger.add("data", "drain", 0, 0.0, t0, (), kind="wait")

    def close(self) -> None:
        if self.thread is not None:
            self.thread.close()

    def _ready(self, bucket: Bucket) -> Any:
        def hook(_: Tensor) -> None:
            if not self.armed:
                return
            bucket.missing -= 1
            if self.thread is None:
                return
            while self.sent < len(self.buckets) and not self.buckets[self.sent].missing:
                flat = self.buckets[self.sent].flat
                self.futures.append(self.thread.submit(functools.partial(self.group.all_reduce_, flat, "backward")))
                self.sent += 1

        return hook


@register
class Data(Composed):
    name: ClassVar[str] = "data"
    axes: ClassVar[tuple[str, ...]] = ("data",)
    options: ClassVar[Mapping[str, Any]] = {"shares": None, "bucket_bytes": BUCKET_BYTES}

    @classmethod
    def volumes(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any]) -> list[Volume]:
        placement = place(model, shape, mesh, None, options["shares"])
        return volumes(model, shape, mesh, placement, options["bucket_bytes"])

    def make_sync(self) -> Sync:
        return gradient_sync(self)


def gradient_sync(strategy: Composed) -> Sync:
    """The sync of ``strategy``'s replicas. Collective."""
    mesh = strategy.mesh
    return GradientSync(strategy.module, mesh.groups["data"], strategy.made_by.options["bucket_bytes"], mesh.progress)
