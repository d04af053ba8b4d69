"""Gradients of the ranks that hold the same weights are added up, bucket by bucket, while backward still computes.

Buckets of the replicas go out as they get ready, from the last layer to the first; those of other sets of ranks
(``plan/gradient_buckets.py``) follow in an order that all ranks agree on, so that no two ranks wait for each other.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

import torch
from torch import Tensor, nn

from strategies.base import Batch
from strategies.comm.comm_options import Progress
from strategies.comm.group import Group
from strategies.comm.mesh import Mesh
from strategies.comm.progress_thread import CommThread
from strategies.models.transformer import Transformer
from strategies.plan.gradient_buckets import AXIS, BucketPlan, Ranks, plan_buckets
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import StepShape
from strategies.plan.step_options import StepOptions
from strategies.plan.token_table import adds_rows, holders
from strategies.step.bucket_buffer import Bucket
from strategies.step.embedding_gradient import LocalTokenRows, TokenRows


class GradientSync:
    """Makes the gradients of a step whole; under ZeRO also the weights after the optimizer.

    ``progress=thread`` sends a bucket as soon as its last gradient is final, while backward goes on; ``inline`` sends
    all of them after backward. Raises RuntimeError when a parameter got no gradient: other ranks would wait for ever.
    """

    def __init__(
        self,
        module: nn.Module,
        buckets: Sequence[Bucket],
        late: Sequence[Bucket],
        wire: torch.dtype | None,
        progress: Progress,
        rows: LocalTokenRows | TokenRows | None = None,
    ) -> None:
        self.module, self.main, self.late = module, list(buckets), list(late)
        self.wire, self.rows = wire, rows
        self.buckets = [*self.main, *self.late]
        held = {id(p) for bucket in self.buckets for p in bucket.members}
        if rows is not None:
            held.add(id(rows.table))
        self.alone = [p for p in module.parameters() if id(p) not in held]
        self.thread = CommThread() if progress == "thread" and self.buckets else None
        self.groups: dict[Ranks, Group] = {}
        for bucket in self.buckets:
            ranks = bucket.group.members
            if ranks not in self.groups:
                self.groups[ranks] = bucket.group.for_thread() if self.thread else bucket.group
        self.sent, self.futures = 0, list[Future[None]]()
        for bucket in self.buckets:
            for parameter, (begin, end) in bucket.places():
                view = bucket.flat[begin:end].view_as(parameter)
                parameter.register_post_accumulate_grad_hook(self._ready(bucket, view))

    @classmethod
    def of(
        cls,
        module: Transformer,
        mesh: Mesh,
        shape: StepShape,
        placements: Sequence[RankPlacement],
        options: StepOptions,
    ) -> GradientSync:
        """The sync of a module as planned. Collective: all ranks make their groups in one order.

        Args:
            module: This rank's layers.
            mesh: Its groups.
            shape: The step.
            placements: Of all ranks.
            options: ``bucket_bytes``, ``zero``, ``wire`` and ``token_table``.

        Returns:
            The sync, with its hooks on the parameters.
        """
        spec, placement = module.spec, module.placement
        planned = plan_buckets(spec, shape, placement, placements, options)
        by_name, groups = dict(module.named_parameters()), dict[Ranks, Group]()
        needed = {bucket.ranks for buckets in planned for bucket in buckets}
        looking_up: Ranks = ()
        if placement.first and adds_rows(spec, shape, placements, options):
            looking_up = tuple(other.rank for other in holders(placements))
            needed |= {looking_up} if len(looking_up) > 1 else set()
        for ranks in sorted(needed):
            groups[ranks] = mesh.among(ranks, AXIS)
        _choose(mesh, groups, [bucket for buckets in planned for bucket in buckets], shape, options)
        zero, wire = bool(options.zero), getattr(torch, options.wire) if options.wire else None
        main, late = (
            [Bucket.of([by_name[name] for name in b.names], groups[b.ranks], zero) for b in buckets] for buckets in planned
        )
        rows: LocalTokenRows | TokenRows | None = None
        if looking_up and module.embed is not None:
            table, group = module.embed.tokens.weight, groups.get(looking_up)
            rows = LocalTokenRows(table) if group is None else TokenRows(table, group, placements, wire)
            module.embed.rows = rows
        return cls(module, main, late, wire, mesh.progress(AXIS), rows)

    def begin(self, passes: int) -> None:
        """To be called before the first forward of a step.

        Args:
            passes: Backward passes, each of which adds to every gradient once.
        """
        self.sent, self.futures = 0, []
        for bucket in self.buckets:
            bucket.missing = len(bucket.members) * passes
            for parameter in bucket.members:
                parameter.grad = None
        for parameter in self.alone:
            parameter.grad = None
        if self.rows is not None:
            self.rows.begin()

    def finish(self, batch: Batch) -> None:
        """To be called after the last backward: returns when all gradients are whole.

        Args:
            batch: The global one.

        Raises:
            RuntimeError: A gradient is missing, so that its sum over the ranks would never end.
        """
        late = sum(bucket.missing for bucket in self.buckets)
        if late:
            raise RuntimeError(f"{late} gradients are missing in this step; their sum over the ranks would never end")
        if self.thread is None:
            for bucket in self.buckets:
                bucket.reduce(bucket.group, self.wire)
        else:
            for bucket in self.late:
                self._send(bucket)
        if self.rows is not None:
            self.rows.finish(batch)
        if self.thread is None:
            return
        t0 = time.monotonic_ns()
        for future in self.futures:
            future.result()
        if self.buckets:
            self.buckets[0].group.ledger.add(AXIS, "drain", 0, 0.0, t0, (), kind="wait")

    def updated(self) -> None:
        """After the optimizer: under ZeRO every rank gets the weights that the others have updated."""
        for bucket in self.buckets:
            if bucket.weights is not None:
                bucket.group.all_gather_(bucket.weights, bucket.parts, "optimizer")

    def trainable(self) -> list[tuple[nn.Parameter, bool]]:
        """Each tensor that this rank's optimizer updates, and whether it is (of) a matrix."""
        sharded = {id(p) for bucket in self.buckets if bucket.weights is not None for p in bucket.members}
        whole = [(p, p.ndim > 1) for p in self.module.parameters() if id(p) not in sharded]
        return whole + [shard for bucket in self.buckets for shard in bucket.shards]

    def gradients(self) -> dict[nn.Parameter, Tensor]:
        """The gradients of what is ``trainable``."""
        return {p: p.grad for p, _ in self.trainable() if p.grad is not None}

    def whole(self, values: Mapping[nn.Parameter, Tensor]) -> dict[str, Tensor]:
        """Tensors as ``trainable`` has them to those of the local parameters. Collective under ZeRO.

        Args:
            values: By what is ``trainable``, in the shape of that.

        Returns:
            By the name of the local parameter, in its shape.
        """
        tensors = {name: values[p] for name, p in self.module.named_parameters() if p in values}
        names = {id(p): name for name, p in self.module.named_parameters()}
        for bucket in self.buckets:
            if bucket.weights is not None:
                whole = bucket.gathered([values[shard] for shard, _ in bucket.shards])
                tensors.update({names[id(p)]: whole[b:e].view_as(p) for p, (b, e) in bucket.places()})
        return tensors

    def sharded(self, values: Mapping[str, Tensor]) -> dict[nn.Parameter, Tensor]:
        """The inverse of ``whole``.

        Args:
            values: By the name of the local parameter, in its shape.

        Returns:
            By what is ``trainable``, in the shape of that.
        """
        shared = [bucket for bucket in self.buckets if bucket.weights is not None]
        names = {id(p): name for name, p in self.module.named_parameters()}
        elsewhere = {id(p) for bucket in shared for p in bucket.members}
        tensors = {p: values[name] for name, p in self.module.named_parameters() if id(p) not in elsewhere}
        for bucket in shared:
            parts = bucket.cut([values[names[id(p)]] for p in bucket.members])
            tensors.update(zip((shard for shard, _ in bucket.shards), parts, strict=True))
        return tensors

    def close(self) -> None:
        """End the communication thread."""
        if self.thread is not None:
            self.thread.close()

    def _send(self, bucket: Bucket) -> None:
        assert self.thread is not None
        group = self.groups[bucket.group.members]
        self.futures.append(self.thread.submit(functools.partial(bucket.reduce, group, self.wire)))

    def _ready(self, bucket: Bucket, view: Tensor) -> Callable[[nn.Parameter], None]:
        def hook(parameter: nn.Parameter) -> None:
            if parameter.grad is not view and parameter.grad is not None:
                view.copy_(parameter.grad)
                parameter.grad = view
            bucket.missing -= 1
            if self.thread is None:
                return
            while self.sent < len(self.main) and not self.main[self.sent].missing:
                self._send(self.main[self.sent])
                self.sent += 1

        return hook


def _choose(
    mesh: Mesh, groups: Mapping[Ranks, Group], buckets: Sequence[BucketPlan], shape: StepShape, options: StepOptions
) -> None:
    """Let the mesh decide how the groups of this rank's gradients communicate. Collective over all ranks."""
    payloads: dict[Ranks, list[int]] = {ranks: [] for ranks in groups}
    for bucket in buckets:
        payloads[bucket.ranks].append(sum(bucket.sizes) * shape.element_bytes)
    largest = max((size for sizes in payloads.values() for size in sizes), default=None)
    summed = not options.zero and options.wire is None  # else they are scattered, or exchanged in 16 bits
    mesh.choose(AXIS, [(groups[ranks], payloads[ranks] if summed else []) for ranks in sorted(groups)], largest)


class WholeGradientSync(GradientSync):
    """Sums all gradients at once after backward, with one function: no buckets, nothing beside the computation.

    Args:
        module: The replica.
        add_up: Replaces the flat gradients of this rank, a 1-d tensor, by their sum over the ranks. Collective.
    """

    def __init__(self, module: nn.Module, add_up: Callable[[Tensor], None]) -> None:
        super().__init__(module, [], [], None, "inline")
        self.add_up = add_up

    def finish(self, batch: Batch) -> None:
        """Sum all gradients as one flat tensor."""
        gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self.add_up(flat)
        for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))
