"""One Transformer for the BERT, GPT-2 and Llama families, of which a rank builds only its part.

The forward is a plain loop over the blocks that are here; embedding and head are optional ends. So the same module
is the whole model, a pipeline stage, a tensor shard, or a shard of a stage. Blocks keep their global numbers, and
parameters their canonical names (``spec.parameters``), wherever they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from strategies.base import IGNORED, Batch
from strategies.models.layers import Block, Cut, Norm, Whole
from strategies.models.spec import ModelSpec
from strategies.partition import even
from strategies.plan import Placement


class Table(nn.Module):
    """Rows looked up by number; ``weight`` is [rows, hidden]."""

    def __init__(self, rows: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, hidden))


class Embedding(nn.Module):
    """Token, position and type vectors added up, then the embedding norm where the family has one."""

    def __init__(self, spec: ModelSpec, rows: int, cut: Cut) -> None:
        super().__init__()
        self.cut = cut
        self.tokens = Table(rows, spec.hidden)
        self.positions = Table(spec.max_positions, spec.hidden) if spec.positions == "learned" else None
        self.types = Table(spec.token_types, spec.hidden) if spec.token_types else None
        self.norm = Norm(spec) if spec.norm_place == "post" else None

    def forward(self, ids: Tensor) -> Tensor:
        x = self.cut.embed(ids, self.tokens.weight)
        if self.positions is not None:
            x = x + self.positions.weight[: ids.shape[1]]
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

    ``forward`` maps token ids [B, S] (first stage) or hidden states [B, S, H] to hidden states; ``loss_sum`` and
    ``logits`` belong to the last stage.
    """

    def __init__(self, spec: ModelSpec, at: Placement, cut: Cut | None = None) -> None:
        super().__init__()
        self.spec, self.cut = spec, cut or Whole()
        parts = at.tensor[1]
        begin, end = even(spec.vocab, parts)[at.tensor[0]]
        self.embed = Embedding(spec, end - begin, self.cut) if at.first else None
        self.blocks = nn.ModuleDict({str(i): Block(spec, parts, self.cut) for i in range(*at.layers)})
        self.norm = Norm(spec) if at.last and spec.norm_place == "pre" else None
        self.head = None
        if at.last and not (spec.head == "lm" and spec.tied):
            self.head = Head(spec, spec.labels if spec.head == "classifier" else end - begin)
        elif at.last and not at.first:
            # A tied head on another stage than the embedding holds a copy of the token table.
            self.embed = nn.Module()  # type: ignore[assignment]
            self.embed.tokens = Table(end - begin, spec.hidden)  # type: ignore[union-attr]
        self.first = at.first

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: ids int64 [B, S] on the first stage, else [B, S, H]; mask bool [B, S]. Padding stands on the right.

        A causal model needs no mask: a real token never looks to its right, where the padding is.
        """
        attend = None if self.spec.causal else mask[:, None, None, :]
        if self.first:
            x = self.embed(x)  # type: ignore[misc]
        for block in self.blocks.values():
            x = block(x, attend)
        return x if self.norm is None else self.norm(x)

    def logits(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, labels] for a classifier; [B, S, local vocabulary] for a language model."""
        if self.spec.head == "classifier":
            real = mask.unsqueeze(-1).to(x.dtype)
            mean = (x * real).sum(1) / real.sum(1).clamp(min=1)
            return F.linear(mean, self.head.weight, self.head.bias)  # type: ignore[union-attr]
        weight = self.embed.tokens.weight if self.head is None else self.head.weight  # type: ignore[union-attr]
        return F.linear(self.cut.copy_in(x), weight)

    def loss_sum(self, x: Tensor, batch: Batch) -> Tensor:
        """Cross entropy summed over the valid targets of ``batch`` (divide by the global number of them)."""
        logits = self.logits(x, batch.mask)
        if self.spec.head == "classifier":
            return F.cross_entropy(logits, batch.targets, reduction="sum", ignore_index=IGNORED)
        return self.cut.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())

    @torch.no_grad()
    def scores(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Summed loss and number of right answers; of a language model only the loss (right answers 0)."""
        if self.spec.head == "lm":
            return self.loss_sum(x, batch), torch.zeros((), dtype=torch.int64)
        logits = self.logits(x, batch.mask)
        loss = F.cross_entropy(logits, batch.targets, reduction="sum", ignore_index=IGNORED)
        return loss, (logits.argmax(-1) == batch.targets).sum()
