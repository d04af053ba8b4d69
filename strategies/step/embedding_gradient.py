"""The token table's gradient, sent as the rows that were looked up instead of as a table of zeros.

    dense   all-reduce of V h           a ring sends 2 (n-1)/n V h of it
    rows    all-gather of T h           T tokens of the step over all ranks: (n-1)/n T h

A step looks up T rows of a table of V; of MiniLM's gradients the table is half, and a step of 32 x 64 tokens touches at most
2048 of 30522 rows. Every rank knows the whole batch, so no indices travel. All ranks add the rows up in the same order:
replicas stay equal to the last bit. Not where the table's gradient is dense: a head tied to it, or ZeRO's reduce-scatter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from strategies.base import Batch
from strategies.comm.group import Group
from strategies.common.plan_error import PlanError
from strategies.models.transformer import own_positions
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import spans
from strategies.plan.placement import Placement
from strategies.plan.shapes import StepShape, Volume, volume

TABLE = "embed.tokens.weight"
CHOICES = ("auto", "dense", "rows")


def sends_rows(spec: ModelSpec, shape: StepShape, placement: Sequence[Placement], options: Mapping[str, Any]) -> bool:
    """Whether rows travel: as ``token_table`` says, with ``auto`` where they can and are fewer bytes.

    Raises PlanError where ``rows`` is asked for and cannot be.
    """
    choice = options["token_table"]
    if choice not in CHOICES:
        raise PlanError(f"strategy.token_table={choice} is unknown; use {', '.join(CHOICES[:-1])} or {CHOICES[-1]}")
    why_not = None
    if spec.head == "lm" and spec.tied:
        why_not = f"the head of {spec.name} is tied to the table, whose gradient is dense"
    elif placement[0].tensor[1] > 1:
        why_not = "tensor ranks cut the table"
    elif options["zero"]:
        why_not = "strategy.zero=1 shares the table's sum out"
    if choice == "rows" and why_not:
        raise PlanError(f"strategy.token_table=rows cannot be: {why_not}; use auto or dense")
    replicated = len(holders(placement)) > 1
    fewer = shape.batch * shape.seq < 2 * spec.vocab
    return choice != "dense" and not why_not and replicated and (fewer or choice == "rows")


def holders(placement: Sequence[Placement]) -> list[Placement]:
    """The ranks that look tokens up: those of the first stage."""
    return [at for at in placement if at.first]


def row_volumes(spec: ModelSpec, shape: StepShape, placement: Sequence[Placement], element: int) -> list[Volume]:
    """The all-gather of every rank that looks tokens up, in elements of ``element`` bytes."""
    found = holders(placement)
    return [volume("gradients", "all_gather", "backward", 1, _tokens(at) * spec.hidden * element, len(found)) for at in found]


def _tokens(at: Placement) -> int:
    return sum(at.micro_samples) * at.local_tokens


class TokenRows:
    """The rows that this rank looked up in a step, and their exchange over ``group``."""

    def __init__(self, table: nn.Parameter, group: Group, placement: Sequence[Placement], wire: torch.dtype | None) -> None:
        self.table, self.group, self.wire = table, group, wire
        self.holders = [placement[rank] for rank in group.members]
        self.parts = [(b * table.shape[1], e * table.shape[1]) for b, e in spans([_tokens(at) for at in self.holders])]
        self.found: list[Tensor] = []
        self.used: Tensor | None = None
        table.grad = torch.zeros_like(table)

    def look_up(self, ids: Tensor) -> Tensor:
        """Rows of the table [b, s, H]; their gradients come here, and not into the table's."""
        return _LookUp.apply(self.table, ids, self)  # type: ignore[no-any-return, no-untyped-call]

    def begin(self) -> None:
        """Before the first forward of a step. Only what the step before has touched is not zero."""
        self.found = []
        if self.table.grad is not None and self.used is not None:
            self.table.grad.index_fill_(0, self.used, 0.0)

    def finish(self, batch: Batch) -> None:
        """After the last backward of the global ``batch``: the whole gradient of the table on every rank."""
        assert self.table.grad is not None
        dtype = self.wire or self.table.dtype
        flat = torch.empty(self.parts[-1][1], dtype=dtype, device=self.table.device)
        flat[slice(*self.parts[self.group.rank])] = torch.cat([rows.reshape(-1) for rows in self.found])
        self.group.all_gather_(flat, self.parts, "backward")
        self.used = torch.cat([self._ids(batch, at) for at in self.holders]).to(self.table.device)
        rows = flat.view(-1, self.table.shape[1]).to(self.table.dtype)
        self.table.grad.index_add_(0, self.used, rows)

    @staticmethod
    def _ids(batch: Batch, at: Placement) -> Tensor:
        """The tokens of a rank in the order in which it looks them up."""
        positions = own_positions(at)
        return torch.cat([batch.ids[begin:end][:, positions].reshape(-1) for begin, end in at.micros])


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, rows: TokenRows) -> Tensor:
        ctx.rows = rows
        return F.embedding(ids, table)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:  # type: ignore[override]
        ctx.rows.found.append(gradient)
        return None, None, None
