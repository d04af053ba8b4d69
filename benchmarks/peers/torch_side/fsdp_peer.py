"""FSDP2 (``fully_shard``): parameters, gradients and optimizer states are cut."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from benchmarks.peers.torch_side.torch_peer import TorchPeer
from strategies.plan.partition import even


class Fsdp(TorchPeer):
    """Parameters are gathered once a step, in forward, and kept for backward. Gradients are summed: gloo cannot average."""

    name: ClassVar[str] = "fsdp"

    def build(self) -> nn.Module:
        self.begin, self.end = even(self.work.batch, dist.get_world_size())[dist.get_rank()]
        model: Any = super().build()
        mesh = init_device_mesh("cpu", (dist.get_world_size(),))
        for part in (*model.blocks.values(), model):
            fully_shard(part, mesh=mesh, reshard_after_forward=False)
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
        return model  # type: ignore[no-any-return]

    def during(self, last: bool) -> AbstractContextManager[Any]:
        model: FSDPModule = self.model
        model.set_requires_gradient_sync(last)
        model.set_reshard_after_backward(last)
        model.set_is_last_backward(last)
        return nullcontext()
