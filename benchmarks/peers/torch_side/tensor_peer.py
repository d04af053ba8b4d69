"""Tensor parallelism by ``parallelize_module``: column- and row-wise matrices, cut vocabulary, cut cross entropy."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch.distributed as dist
import torch.distributed.tensor.parallel as tp
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard

from benchmarks.peers.torch_side.torch_peer import PeerRefused, TorchPeer
from benchmarks.peers.torch_side.twin_model import Twin


class Tensors(TorchPeer):
    """Heads, MLP columns and the vocabulary are cut; norms, positions and a classifier's head are on every rank."""

    name: ClassVar[str] = "tensor"

    def build(self) -> nn.Module:
        spec, ranks = self.work.spec, dist.get_world_size()
        if spec.heads % ranks:
            raise PeerRefused(
                f"torch's tensor parallelism needs heads in multiples of {ranks} ranks, {spec.name} has {spec.heads}"
            )
        model = Twin(spec)
        plan: dict[str, tp.ParallelStyle] = {"embed.tokens": tp.RowwiseParallel(input_layouts=Replicate())}
        for i in model.blocks:
            # Distributed before it goes to q, k and v, so that backward adds their gradients up before one all-reduce.
            whole = (Replicate(), None)
            plan[f"blocks.{i}.attn"] = tp.PrepareModuleInput(input_layouts=whole, desired_input_layouts=whole)
            plan |= {f"blocks.{i}.{part}": tp.ColwiseParallel() for part in ("attn.q", "attn.k", "attn.v", "mlp.up")}
            plan |= {f"blocks.{i}.{part}": tp.RowwiseParallel() for part in ("attn.o", "mlp.down")}
        if spec.head == "lm":
            plan["head"] = tp.ColwiseParallel(output_layouts=Shard(-1), use_local_output=False)
        tp.parallelize_module(model, init_device_mesh("cpu", (ranks,)), plan)
        if spec.tied:
            # Both are cut by rows, but were cut one by one.
            model.head.weight = model.embed.tokens.weight  # type: ignore[union-attr]
        return model

    def train(self, ids: Tensor, mask: Tensor, targets: Tensor, count: int) -> float | None:
        loss = super().train(ids, mask, targets, count)
        return loss if dist.get_rank() == 0 else None

    def during(self, last: bool) -> AbstractContextManager[Any]:
        return tp.loss_parallel()
