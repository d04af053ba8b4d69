"""One Transformer for the BERT, GPT-2 and Llama families, of which a rank builds only its part.

The forward is a plain loop over the blocks that are here; embedding and head are optional ends. So the same module
is the whole model, a pipeline stage (or several virtual ones), a tensor shard, or a shard of a stage. Blocks keep their
global numbers, and parameters their canonical names (``spec.parameters``), wherever they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from strategies.base import IGNORED, Batch
from strategies.models.layers import (
    Block,
    Context,
    Norm,
    SequenceAttention,
    TensorParallelLayers,
    TokenRowLookup,
    UnsplitModel,
    turns,
)
from strategies.plan.model_spec import ModelSpec
from strategies.plan.rank_placement import RankPlacement


@dataclass(frozen=True)
class MicroBatch:
    """One micro-batch as this rank sees it: b of its samples, with the s tokens of each that it holds.

    ``ids``, ``mask`` [b, s]; ``targets`` [b] or [b, s]; ``positions`` int64 [s] in the whole sample. ``keys`` bool [b, S]
    is the mask of all S tokens, ``lengths`` [b] the real tokens of each whole sample.
    """

    ids: Tensor
    mask: Tensor
    targets: Tensor
    positions: Tensor
    keys: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return self.ids.shape[0]

    def valid(self) -> int:
        """Targets here that count."""
        return int((self.targets != IGNORED).sum())

    def span(self, begin: int, end: int) -> MicroBatch:
        """Some of the samples, with the same memory.

        Args:
            begin: The first sample.
            end: The one behind the last.

        Returns:
            A micro-batch of ``end - begin`` samples.
        """
        ids, mask, targets, keys, lengths = (
            tensor[begin:end] for tensor in (self.ids, self.mask, self.targets, self.keys, self.lengths)
        )
        return MicroBatch(ids, mask, targets, self.positions, keys, lengths)

    @classmethod
    def of(cls, batch: Batch, placement: RankPlacement) -> MicroBatch:
        """The tokens of some samples that one rank holds.

        Args:
            batch: The samples with all their tokens, [b, seq].
            placement: The rank's.

        Returns:
            Its part, [b, s].
        """
        lengths, positions = batch.mask.sum(1), local_positions(placement).to(batch.ids.device)
        if placement.local_tokens == batch.ids.shape[1]:
            return cls(batch.ids, batch.mask, batch.targets, positions, batch.mask, lengths)
        targets = batch.targets if batch.targets.ndim == 1 else batch.targets[:, positions]
        return cls(batch.ids[:, positions], batch.mask[:, positions], targets, positions, batch.mask, lengths)


def local_positions(placement: RankPlacement) -> Tensor:
    """Positions of a rank's tokens in each whole sample.

    Args:
        placement: The rank's.

    Returns:
        int64 [s], in the order in which it holds them.
    """
    return torch.cat([torch.arange(*span) for span in placement.tokens])


class Table(nn.Module):
    """Rows looked up by number; ``weight`` is [rows, hidden]."""

    def __init__(self, rows: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, hidden))


class Embedding(nn.Module):
    """Token, position and type vectors added up, then the embedding norm where the family has one."""

    rows: TokenRowLookup | None = None

    def __init__(self, spec: ModelSpec, rows: int, tensor_layers: TensorParallelLayers) -> None:
        super().__init__()
        self.tensor_layers = tensor_layers
        self.tokens = Table(rows, spec.hidden)
        self.positions = Table(spec.max_positions, spec.hidden) if spec.positions == "learned" else None
        self.types = Table(spec.token_types, spec.hidden) if spec.token_types else None
        self.norm = Norm(spec) if spec.norm_place == "post" else None

    def forward(self, micro: MicroBatch) -> Tensor:
        """The vectors that the first block gets.

        Args:
            micro: Its ``ids`` are [b, s].

        Returns:
            [b, stream, H].
        """
        if self.rows is not None and torch.is_grad_enabled():
            x = self.rows.look_up(micro.ids)
        else:
            x = self.tensor_layers.embed(micro.ids, self.tokens.weight)
        if self.positions is not None:
            x = x + F.embedding(self.tensor_layers.stream_part(micro.positions), self.positions.weight)
        if self.types is not None:
            x = x + self.types.weight[0]  # one sequence per sample: every token is of the first type
        return x if self.norm is None else self.norm(x)


class Head(nn.Module):
    """Logits: of classes from the mean token vector, or of the next token for every token."""

    def __init__(self, spec: ModelSpec, rows: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, spec.hidden))
        self.bias = nn.Parameter(torch.empty(rows)) if spec.head == "classifier" else None


class Transformer(nn.Module):
    """The part of a model that one rank holds.

    ``forward`` maps the tokens of a micro-batch (first stage) or hidden states [b, stream, H] to hidden states;
    ``loss_sum`` and ``logits`` belong to the last stage. ``tensor_layers`` and ``sequence_attention``
    communicate with the ranks that hold its other parts.
    """

    def __init__(
        self,
        spec: ModelSpec,
        placement: RankPlacement,
        tensor_layers: TensorParallelLayers | None = None,
        sequence_attention: SequenceAttention | None = None,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.spec, self.placement, self.recompute = spec, placement, recompute
        self.tensor_layers = tensor_layers or UnsplitModel()
        self.sequence_attention = sequence_attention or UnsplitModel()
        units, rows = dict(placement.units), placement.count("vocab")
        self.embed = Embedding(spec, rows, self.tensor_layers) if placement.first else None
        numbers = [layer for span in placement.layers for layer in range(*span)]
        self.blocks = nn.ModuleDict({str(i): Block(spec, units, self.tensor_layers, self.sequence_attention) for i in numbers})
        self.norm = Norm(spec) if placement.last and spec.norm_place == "pre" else None
        self.head = None
        if placement.last and not (spec.head == "lm" and spec.tied):
            self.head = Head(spec, spec.labels if spec.head == "classifier" else rows)
        elif placement.last and not placement.first:
            # A tied head on another stage than the embedding holds a copy of the token table.
            self.embed = nn.Module()  # type: ignore[assignment]
            self.embed.tokens = Table(rows, spec.hidden)  # type: ignore[union-attr]
        kv = placement.kv_of_heads(spec)
        self._kv = None if kv == list(range(len(kv))) else kv

    def forward(self, x: Tensor | None, micro: MicroBatch, chunk: int = 0) -> Tensor:
        """Hidden states behind the layers of this rank.

        Padding stands on the right, so a causal model needs no mask: a real token never looks to its right.

        Args:
            x: Hidden states of the stage before, [b, stream, H]; None on the first.
            micro: The micro-batch.
            chunk: The virtual stage of this rank.

        Returns:
            [b, stream, H].
        """
        if x is None:
            x = self.embed(micro)  # type: ignore[misc]
        context = self._context(micro, x.dtype)
        for layer in range(*self.placement.layers[chunk]):
            block = self.blocks[str(layer)]
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, context, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(x, context)
        ends = self.norm is not None and chunk == len(self.placement.layers) - 1
        return self.norm(x) if ends else x  # type: ignore[misc, return-value]

    def micro_batch(self, batch: Batch) -> MicroBatch:
        """This rank's part of a micro-batch.

        Args:
            batch: Whole samples, on this rank's device.

        Returns:
            The tokens that it holds.
        """
        return MicroBatch.of(batch, self.placement)

    def _context(self, micro: MicroBatch, dtype: torch.dtype) -> Context:
        spec = self.spec
        angles = turns(micro.positions, spec.head_dim, spec.rope_theta, dtype) if spec.positions == "rotary" else None
        return Context(spec.causal, None if spec.causal else micro.keys, angles, self._kv)

    def logits(self, x: Tensor, micro: MicroBatch) -> Tensor:
        """Scores of the classes or of the next token.

        Args:
            x: Hidden states behind the last layer, [b, stream, H].
            micro: The micro-batch.

        Returns:
            [b, labels] for a classifier; [b, s, local vocabulary] for a language model.
        """
        if self.spec.head == "classifier":
            assert self.head is not None
            assert self.head.bias is not None
            attention, real = self.sequence_attention, self.tensor_layers.stream_part(micro.mask)
            total = attention.pool(self.tensor_layers.pool((x * real.unsqueeze(-1)).sum(1)))
            mean = total / micro.lengths.clamp(min=1).unsqueeze(-1)
            return F.linear(mean, attention.count_once(self.head.weight), attention.count_once(self.head.bias))
        weight = self.embed.tokens.weight if self.head is None else self.head.weight  # type: ignore[union-attr]
        return F.linear(self.tensor_layers.copy_in(x), weight)

    def loss_sum(self, x: Tensor, micro: MicroBatch) -> Tensor:
        """Cross entropy summed over the valid targets here (divide by the global number of them).

        Args:
            x: Hidden states behind the last layer, [b, stream, H].
            micro: The micro-batch.

        Returns:
            A scalar.
        """
        logits = self.logits(x, micro)
        if self.spec.head == "classifier":
            return F.cross_entropy(logits, micro.targets, reduction="sum", ignore_index=IGNORED)
        return self.tensor_layers.cross_entropy(logits.flatten(0, 1), micro.targets.flatten())

    @torch.no_grad()
    def scores(self, x: Tensor, micro: MicroBatch) -> tuple[Tensor, Tensor]:
        """The sums of an evaluation.

        Args:
            x: Hidden states behind the last layer, [b, stream, H].
            micro: The micro-batch.

        Returns:
            (summed loss, right answers), scalars; the second is 0 for a language model.
        """
        if self.spec.head == "lm":
            return self.loss_sum(x, micro), torch.zeros((), dtype=torch.int64)
        logits = self.logits(x, micro)
        loss = F.cross_entropy(logits, micro.targets, reduction="sum", ignore_index=IGNORED)
        return loss, (logits.argmax(-1) == micro.targets).sum()
