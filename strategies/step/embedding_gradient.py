"""Exchange of the token table's gradient as the rows that were looked up.

``plan/token_table.py`` says when, and what it sends.

Every rank knows the whole batch, so no indices travel. All ranks add the rows up in the same order: replicas stay equal to the
last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from strategies.base import Batch
from strategies.comm.group import Group
from strategies.models.layers import TokenRowLookup
from strategies.models.transformer import local_positions
from strategies.plan.partition import spans
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.token_table import looked_up


class LocalTokenRows(TokenRowLookup):
    """The rows of a rank that alone looks tokens up: each backward adds them to the table's gradient at once.

    Args:
        table: The token table, [rows, H].
    """

    def __init__(self, table: nn.Parameter) -> None:
        self.table = table
        self.used: list[Tensor] = []
        table.grad = torch.zeros_like(table)

    def look_up(self, ids: Tensor) -> Tensor:
        """Rows of the table [b, s, H]; their gradients are added to the table's without a whole table of them."""
        return _LookUp.apply(self.table, ids, self)  # type: ignore[no-any-return, no-untyped-call]

    def begin(self) -> None:
        """Before the first forward of a step. Only what the step before has touched is not zero."""
        assert self.table.grad is not None
        for ids in self.used:
            self.table.grad.index_fill_(0, ids, 0.0)
        self.used = []

    def add(self, ids: Tensor, gradient: Tensor) -> None:
        """Take the gradient of what was looked up.

        Args:
            ids: int64 [b, s].
            gradient: [b, s, H].
        """
        assert self.table.grad is not None
        self.used.append(ids.flatten())
        self.table.grad.index_add_(0, self.used[-1], gradient.flatten(0, 1))

    def finish(self, batch: Batch) -> None:
        """Nothing is left to do after the last backward.

        Args:
            batch: The global one.
        """


class TokenRows(TokenRowLookup):
    """The rows that this rank looked up in a step, and their exchange.

    Args:
        table: The token table, [rows, H].
        group: The ranks that look tokens up.
        placements: Those of all ranks.
        wire: The 16-bit dtype in which rows travel, or None for that of the table.
    """

    def __init__(
        self, table: nn.Parameter, group: Group, placements: Sequence[RankPlacement], wire: torch.dtype | None
    ) -> None:
        self.table, self.group, self.wire = table, group, wire
        self.holders = [placements[rank] for rank in group.members]
        counts = [looked_up(placement) for placement in self.holders]
        self.parts = [(begin * table.shape[1], end * table.shape[1]) for begin, end in spans(counts)]
        self.row_gradients: list[Tensor] = []
        self.used: Tensor | None = None
        table.grad = torch.zeros_like(table)

    def look_up(self, ids: Tensor) -> Tensor:
        """Rows of the table [b, s, H]; their gradients are kept here, and not added to the table's."""
        return _LookUp.apply(self.table, ids, self)  # type: ignore[no-any-return, no-untyped-call]

    def add(self, ids: Tensor, gradient: Tensor) -> None:
        """Take the gradient of what was looked up.

        Args:
            ids: int64 [b, s].
            gradient: [b, s, H].
        """
        self.row_gradients.append(gradient)

    def begin(self) -> None:
        """Before the first forward of a step. Only what the step before has touched is not zero."""
        self.row_gradients = []
        if self.table.grad is not None and self.used is not None:
            self.table.grad.index_fill_(0, self.used, 0.0)

    def finish(self, batch: Batch) -> None:
        """Make the table's gradient whole on every rank, after the last backward. Collective.

        Args:
            batch: The global one.
        """
        assert self.table.grad is not None
        dtype = self.wire or self.table.dtype
        flat = torch.empty(self.parts[-1][1], dtype=dtype, device=self.table.device)
        flat[slice(*self.parts[self.group.rank])] = torch.cat([rows.reshape(-1) for rows in self.row_gradients])
        self.group.all_gather_(flat, self.parts, "backward")
        self.used = torch.cat([self._ids(batch, placement) for placement in self.holders]).to(self.table.device)
        rows = flat.view(-1, self.table.shape[1]).to(self.table.dtype)
        self.table.grad.index_add_(0, self.used, rows)

    @staticmethod
    def _ids(batch: Batch, placement: RankPlacement) -> Tensor:
        """The tokens of a rank in the order in which it looks them up."""
        positions = local_positions(placement)
        return torch.cat([batch.ids[begin:end][:, positions].reshape(-1) for begin, end in placement.micros])


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, rows: LocalTokenRows | TokenRows) -> Tensor:
        ctx.rows, ctx.ids = rows, ids
        return F.embedding(ids, table)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:  # type: ignore[override]
        ctx.rows.add(ctx.ids, gradient)
        return None, None, None
