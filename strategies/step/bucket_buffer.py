"""A bucket of gradients as one flat buffer, and its sum over the ranks: whole, sharded (ZeRO-1), or in 16 bits on the wire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from strategies.comm.group import Group
from strategies.plan.partition import Span, even, spans


@dataclass
class Bucket:
    """Gradients of some parameters in one flat buffer, of which each ``.grad`` is a view once backward has computed it.

    The first gradient of a step is copied in, and further micro-batches add to it: cheaper than to add to zeros.
    ``parts`` are the ranks' shares of the buffer; under ZeRO ``weights`` is the flat buffer that the parameters are views
    of, and ``shards`` what this rank's optimizer updates of it.
    """

    members: list[nn.Parameter]
    group: Group
    flat: Tensor
    parts: list[Span]
    missing: int = 0
    weights: Tensor | None = None
    shards: list[tuple[nn.Parameter, bool]] = field(default_factory=list)

    @classmethod
    def of(cls, members: list[nn.Parameter], group: Group, zero: bool) -> Bucket:
        """A bucket with an empty buffer.

        Args:
            members: Its parameters, in the order of their gradients.
            group: The ranks that sum it.
            zero: Whether their weights become views of one buffer, of which each rank updates its part.

        Returns:
            The bucket.
        """
        flat = torch.zeros(sum(p.numel() for p in members), dtype=members[0].dtype, device=members[0].device)
        bucket = cls(members, group, flat, even(flat.numel(), group.size))
        if zero:
            bucket._share_weights()
        return bucket

    def places(self) -> Iterator[tuple[nn.Parameter, Span]]:
        """Each member and its span of the flat buffer."""
        yield from zip(self.members, spans([p.numel() for p in self.members]), strict=True)

    def _share_weights(self) -> None:
        """Weights become views of one buffer; runs of matrices and of vectors in this rank's part become shards."""
        begin, end = self.parts[self.group.rank]
        self.weights = torch.cat([p.detach().reshape(-1) for p in self.members])
        runs: list[tuple[int, int, bool]] = []
        for parameter, (first, last) in self.places():
            parameter.data = self.weights[first:last].view_as(parameter)
            start, stop, matrix = max(first, begin), min(last, end), parameter.ndim > 1
            if start >= stop:
                continue
            if runs and runs[-1][1:] == (start, matrix):
                start = runs.pop()[0]
            runs.append((start, stop, matrix))
        for start, stop, matrix in runs:
            shard = nn.Parameter(self.weights[start:stop])
            shard.grad = self.flat[start:stop]
            self.shards.append((shard, matrix))

    def reduce(self, group: Group, wire: torch.dtype | None) -> None:
        """Add up the gradients over the ranks: all of them, or under ZeRO this rank's share. Collective.

        Args:
            group: The bucket's own, or one of the same ranks.
            wire: The 16-bit dtype that they travel in, or None for that of the weights.
        """
        if wire is not None:
            self._sum_in_16_bits(group, wire)
        elif self.weights is not None:
            group.reduce_scatter_(self.flat, self.parts, "backward")
        else:
            group.all_reduce_(self.flat, "backward")

    def _sum_in_16_bits(self, group: Group, wire: torch.dtype) -> None:
        """Each rank adds up its share, sent in 16 bits, in full precision; the sums come back in 16 bits."""
        begin, end = self.parts[group.rank]
        sent = self.flat.to(wire)
        arrived = group.all_to_all([sent[b:e] for b, e in self.parts], [(end - begin,)] * group.size, "backward")
        summed = torch.stack(arrived).to(self.flat.dtype).sum(0)
        if self.weights is not None:
            self.flat[begin:end] = summed
            return
        sent[begin:end] = summed.to(wire)
        group.all_gather_(sent, self.parts, "backward")
        self.flat.copy_(sent)

    def gathered(self, shards: Sequence[Tensor]) -> Tensor:
        """The values of the whole bucket from the shards of all ranks. Collective.

        Args:
            shards: This rank's, in the order and of the shapes of ``shards``.

        Returns:
            1-d, as long as the flat buffer.
        """
        whole = torch.zeros_like(self.flat)
        if shards:
            whole[slice(*self.parts[self.group.rank])] = torch.cat([shard.reshape(-1) for shard in shards])
        self.group.all_gather_(whole, self.parts)
        return whole

    def cut(self, members: Sequence[Tensor]) -> list[Tensor]:
        """The values of this rank's shards from those of whole members.

        Args:
            members: Of the local shapes, in the order of ``members``.

        Returns:
            One 1-d tensor for each of ``shards``, in memory of its own.
        """
        begin, end = self.parts[self.group.rank]
        shares = torch.cat([member.reshape(-1) for member in members])[begin:end]
        return [part.clone() for part in shares.split([shard.numel() for shard, _ in self.shards])]
