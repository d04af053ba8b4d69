"""Peers whose ranks hold the whole model: DistributedDataParallel, with the bf16 hook, and with ZeroRedundancyOptimizer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

from benchmarks.peers.torch_side.torch_peer import TorchPeer
from strategies.plan.partition import even


class Data(TorchPeer):
    """Gradients are averaged, so the loss is scaled up by the number of ranks for their sum."""

    name: ClassVar[str] = "data"

    def build(self) -> nn.Module:
        self.begin, self.end = even(self.work.batch, dist.get_world_size())[dist.get_rank()]
        self.scale = float(dist.get_world_size())
        return DistributedDataParallel(super().build(), gradient_as_bucket_view=True)

    def during(self, last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if last else self.model.no_sync()


def to_bfloat16(group: Any, bucket: Any) -> torch.futures.Future[torch.Tensor]:
    """Torch's own hook under another name: by its name DistributedDataParallel refuses it where there is no GPU.

    Args:
        group: Of the ranks; None: all.
        bucket: Gradients.

    Returns:
        Their mean over the ranks, later.
    """
    return bf16_compress_hook(group, bucket)


to_bfloat16.__annotations__ = dict(bf16_compress_hook.__annotations__)  # which DistributedDataParallel looks at


class DataBfloat16(Data):
    """Gradients travel, and are added up, as bfloat16."""

    name: ClassVar[str] = "data-bf16"

    def build(self) -> nn.Module:
        model: Any = super().build()
        model.register_comm_hook(None, to_bfloat16)
        return model  # type: ignore[no-any-return]


class Zero(Data):
    """Each parameter is updated on one rank and broadcast, in one message a rank (``parameters_as_bucket_view``)."""

    name: ClassVar[str] = "zero"

    def make_optimizer(self, lr: float) -> torch.optim.Optimizer:
        return ZeroRedundancyOptimizer(
            self.groups(), optimizer_class=torch.optim.AdamW, parameters_as_bucket_view=True, lr=lr, fused=True
        )
