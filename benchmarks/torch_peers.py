"""The other side of a side-by-side benchmark: PyTorch's own ways to train a Transformer in parallel, on CPU over gloo.

    data              DistributedDataParallel
    zero              DistributedDataParallel and ZeroRedundancyOptimizer (optimizer states are cut)
    fsdp              fully_shard (FSDP2): parameters, gradients and optimizer states are cut
    pipeline-gpipe    torch.distributed.pipelining with ScheduleGPipe
    pipeline-1f1b     ... with Schedule1F1B
    tensor            parallelize_module: column- and row-wise matrices, cut vocabulary, cut cross entropy

All train ``Twin``, the model of ``strategies.models.transformer`` written in plain torch modules, from the same initial
weights, in fp32, with the same optimizer and the same loss: the sum over the valid targets of the global batch divided
by their number. ``python -m mpi4py -m benchmarks.torch_peers`` under mpirun checks all of that.

There is no sequence-parallel peer: the ring attention of torch.distributed.tensor.experimental.context_parallel knows
the attention kernels of GPUs only. On CPU (torch 2.13) it raises "NotImplementedError: Operator
aten._scaled_dot_product_flash_attention_for_cpu.default does not have a sharding strategy registered." in the forward
of a causal attention, and the same of ``..._for_cpu_backward.default`` in the backward of another. A padding mask is
"RuntimeError: Attempting to broadcast a dimension of length ...". With SDPBackend.MATH forced, causal attention is
"RuntimeError: aten.add.Tensor got mixed torch.Tensor and DTensor"; the rest gathers all keys and values, without a ring.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.distributed as dist
import torch.distributed.tensor.parallel as tp
import torch.nn.functional as F
from mpi4py import MPI
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.nn.parallel import DistributedDataParallel

from strategies.models.pretrained_weights import draw
from strategies.plan.model_spec import ModelSpec, parameters
from strategies.plan.partition import even

SEED, WEIGHT_DECAY = 1, 0.01
IGNORED = -100  # as in the project, and what torch itself ignores


class Embedding(nn.Module):
    """Token, position and type vectors added up; BERT has a norm after them."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.tokens = nn.Embedding(spec.vocab, spec.hidden)
        self.positions = nn.Embedding(spec.max_positions, spec.hidden)
        self.types = nn.Embedding(spec.token_types, spec.hidden) if spec.token_types else None
        self.norm = nn.LayerNorm(spec.hidden, spec.norm_eps) if spec.norm_place == "post" else nn.Identity()

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        return self.norm(x if self.types is None else x + self.types.weight[0])


class Attention(nn.Module):
    """Multi-head attention; the number of heads follows from the widths, so that a cut one needs no other code."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.causal, self.head_dim = spec.causal, spec.head_dim
        self.q, self.k, self.v = (nn.Linear(spec.hidden, spec.hidden, spec.qkv_bias) for _ in range(3))
        self.o = nn.Linear(spec.hidden, spec.hidden, spec.out_bias)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (linear(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for linear in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        return self.o(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and MLP with residual connections; the norms before (GPT-2) or after them (BERT)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.pre = spec.norm_place == "pre"
        self.attn_norm, self.mlp_norm = (nn.LayerNorm(spec.hidden, spec.norm_eps) for _ in range(2))
        self.attn = Attention(spec)
        up, down = nn.Linear(spec.hidden, spec.ffn, spec.mlp_bias), nn.Linear(spec.ffn, spec.hidden, spec.mlp_bias)
        gelu = nn.GELU("tanh" if spec.mlp == "gelu_tanh" else "none")
        self.mlp = nn.Sequential(OrderedDict(up=up, gelu=gelu, down=down))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.pre:
            x = x + self.attn(self.attn_norm(x), mask)
            return x + self.mlp(self.mlp_norm(x))
        x = self.attn_norm(x + self.attn(x, mask))
        return self.mlp_norm(x + self.mlp(x))


class Twin(nn.Module):
    """The whole model, or the stage ``stage`` of ``stages`` of it, with the initial weights drawn from ``SEED``.

    Parameters have the canonical names. Only the last stage of several has a ``head.weight`` of its own where the head
    is tied to the token table: a copy of it.
    """

    def __init__(self, spec: ModelSpec, stage: int = 0, stages: int = 1) -> None:
        super().__init__()
        self.causal, self.pool = spec.causal, spec.head == "classifier"
        first, last = stage == 0, stage == stages - 1
        self.embed = Embedding(spec) if first else None
        self.blocks = nn.ModuleDict({str(i): Block(spec) for i in range(*even(spec.layers, stages)[stage])})
        self.norm = nn.LayerNorm(spec.hidden, spec.norm_eps) if last and spec.norm_place == "pre" else None
        self.head = nn.Linear(spec.hidden, spec.labels if self.pool else spec.vocab, bias=self.pool) if last else None
        if self.embed is not None and self.head is not None and spec.tied:
            self.head.weight = self.embed.tokens.weight
        described = {parameter.name: parameter for parameter in parameters(spec)}
        described.setdefault("head.weight", described["embed.tokens.weight"])
        for name, parameter in self.named_parameters():
            parameter.data.copy_(draw(described[name], SEED))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Token ids [B, S] or hidden states to hidden states or logits; mask bool [B, S], True for a real token."""
        attend = None if self.causal else mask[:, None, None, :]
        if self.embed is not None:
            x = self.embed(x)
        for block in self.blocks.values():
            x = block(x, attend)
        if self.norm is not None:
            x = self.norm(x)
        if self.head is None:
            return x
        if self.pool:
            real = mask.unsqueeze(-1).to(x.dtype)
            x = (x * real).sum(1) / real.sum(1).clamp(min=1)
        return self.head(x)


def loss_part(logits: Tensor, targets: Tensor, count: int) -> Tensor:
    """What these samples add to a loss over ``count`` valid targets."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="sum", ignore_index=IGNORED) / count


class Single:
    """One process; the peers differ from it in how the model is wrapped.

    ``step`` is a whole step with the optimizer's. It returns what this rank adds to the loss, or None where that is not
    known: the sum over ranks is the loss, and no peer communicates it, as the project's strategies do not either.
    """

    name: ClassVar[str] = "single"

    def __init__(self, spec: ModelSpec, batch_size: int, seq: int, micro_batches: int, lr: float) -> None:
        self.spec, self.batch_size, self.seq, self.micro_batches = spec, batch_size, seq, micro_batches
        self.begin, self.end = 0, batch_size
        self.scale = 1.0
        self.model: Any = self.build()
        self.optimizer = self.make_optimizer(lr)

    def build(self) -> nn.Module:
        return Twin(self.spec)

    def groups(self) -> list[dict[str, Any]]:
        """Weight decay spares biases and norms. A fused kernel does not mix distributed and plain tensors."""
        groups = []
        for matrix, distributed in itertools.product((True, False), repeat=2):
            kind = (matrix, distributed)
            members = [p for p in self.model.parameters() if (p.ndim > 1, isinstance(p, DTensor)) == kind]
            if members:
                groups.append({"params": members, "weight_decay": WEIGHT_DECAY if matrix else 0.0})
        return groups

    def make_optimizer(self, lr: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.groups(), lr=lr, fused=True)

    def step(self, ids: Tensor, mask: Tensor, targets: Tensor) -> float | None:
        """ids int64 [B, S], mask bool [B, S], targets int64 [B] or [B, S] of the global batch, on every rank."""
        self.optimizer.zero_grad()
        loss = self.train(ids, mask, targets, int((targets != IGNORED).sum()))
        self.optimizer.step()
        return loss

    def train(self, ids: Tensor, mask: Tensor, targets: Tensor, count: int) -> float | None:
        """Forward, backward and synchronisation of this rank's samples, micro-batch by micro-batch."""
        total = 0.0
        for number, (begin, end) in enumerate(even(self.end - self.begin, self.micro_batches)):
            mine = slice(self.begin + begin, self.begin + end)
            with self.during(last=number == self.micro_batches - 1):
                loss = loss_part(self.model(ids[mine], mask[mine]), targets[mine], count)
                (loss * self.scale).backward()
            total += loss.item()
        return total

    def during(self, last: bool) -> AbstractContextManager[Any]:
        """Around forward and backward of a micro-batch; gradients are synchronised in the last one only."""
        return nullcontext()


class Data(Single):
    """Gradients are averaged, so the loss is scaled up by the number of ranks for their sum."""

    name: ClassVar[str] = "data"

    def build(self) -> nn.Module:
        self.begin, self.end = even(self.batch_size, dist.get_world_size())[dist.get_rank()]
        self.scale = float(dist.get_world_size())
        return DistributedDataParallel(super().build(), gradient_as_bucket_view=True)

    def during(self, last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if last else self.model.no_sync()


class Zero(Data):
    """Each parameter is updated on one rank and broadcast, in one message a rank (``parameters_as_bucket_view``)."""

    name: ClassVar[str] = "zero"

    def make_optimizer(self, lr: float) -> torch.optim.Optimizer:
        return ZeroRedundancyOptimizer(
            self.groups(), optimizer_class=torch.optim.AdamW, parameters_as_bucket_view=True, lr=lr, fused=True
        )


class Fsdp(Single):
    """Parameters are gathered once a step, in forward, and kept for backward. Gradients are summed: gloo cannot average."""

    name: ClassVar[str] = "fsdp"

    def build(self) -> nn.Module:
        self.begin, self.end = even(self.batch_size, dist.get_world_size())[dist.get_rank()]
        model: Any = super().build()
        mesh = init_device_mesh("cpu", (dist.get_world_size(),))
        for part in (*model.blocks.values(), model):
            fully_shard(part, mesh=mesh, reshard_after_forward=False)
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
        return model

    def during(self, last: bool) -> AbstractContextManager[Any]:
        model: FSDPModule = self.model
        model.set_requires_gradient_sync(last)
        model.set_reshard_after_backward(last)
        model.set_is_last_backward(last)
        return nullcontext()


class Gpipe(Single):
    """A stage a rank. The token table of a tied head is on two of them, which add up its gradients."""

    name: ClassVar[str] = "pipeline-gpipe"
    schedule: ClassVar[type[ScheduleGPipe] | type[Schedule1F1B]] = ScheduleGPipe

    def build(self) -> nn.Module:
        rank, stages = dist.get_rank(), dist.get_world_size()
        if self.batch_size % self.micro_batches:
            raise ValueError(f"batch_size={self.batch_size} is not a multiple of micro_batches={self.micro_batches}")
        model: Any = Twin(self.spec, rank, stages)
        first, last = rank == 0, rank == stages - 1
        micro = (self.batch_size // self.micro_batches, self.seq)
        with torch.device("meta"):
            ids, hidden = torch.empty(micro, dtype=torch.int64), torch.empty(*micro, self.spec.hidden, requires_grad=True)
            classes = (micro[0], self.spec.labels) if model.pool else (*micro, self.spec.vocab)
            given, made = ids if first else hidden, torch.empty(classes, requires_grad=True) if last else hidden
        stage = PipelineStage(model, rank, stages, torch.device("cpu"), given, made)
        # Gradients are those of the sum of the micro-batches' losses, each of which is divided by the global count.
        self.pipeline = self.schedule(stage, self.micro_batches, loss_fn=loss_part, scale_grads=False)
        tied = self.spec.tied and stages > 1
        self.ends = dist.new_group([0, stages - 1]) if tied else None
        tables = ([model.embed.tokens] if first else []) + ([model.head] if last else [])
        self.shared = [table.weight for table in tables if tied]
        return model

    def train(self, ids: Tensor, mask: Tensor, targets: Tensor, count: int) -> float | None:
        first, last, losses = self.model.embed is not None, self.model.head is not None, list[Tensor]()
        given = (ids,) if first else ()
        extra = {"target": targets, "losses": losses} if last else {}
        keywords: dict[str, Any] = {"loss_kwargs": {"count": count}, **extra}
        self.pipeline.step(*given, mask=mask, return_outputs=False, **keywords)
        for weight in self.shared:
            dist.all_reduce(weight.grad, group=self.ends)
        return sum(loss.item() for loss in losses) if last else None


class OneForwardOneBackward(Gpipe):
    """Needs as many micro-batches as stages."""

    name: ClassVar[str] = "pipeline-1f1b"
    schedule: ClassVar[type[ScheduleGPipe] | type[Schedule1F1B]] = Schedule1F1B


class Tensors(Single):
    """Heads, MLP columns and the vocabulary are cut; norms, positions and a classifier's head are on every rank."""

    name: ClassVar[str] = "tensor"

    def build(self) -> nn.Module:
        model, lm = Twin(self.spec), self.spec.head == "lm"
        plan: dict[str, tp.ParallelStyle] = {"embed.tokens": tp.RowwiseParallel(input_layouts=Replicate())}
        for i in model.blocks:
            # Distributed before it goes to q, k and v, so that backward adds their gradients up before one all-reduce.
            whole = (Replicate(), None)
            plan[f"blocks.{i}.attn"] = tp.PrepareModuleInput(input_layouts=whole, desired_input_layouts=whole)
            plan |= {f"blocks.{i}.{part}": tp.ColwiseParallel() for part in ("attn.q", "attn.k", "attn.v", "mlp.up")}
            plan |= {f"blocks.{i}.{part}": tp.RowwiseParallel() for part in ("attn.o", "mlp.down")}
        if lm:
            plan["head"] = tp.ColwiseParallel(output_layouts=Shard(-1), use_local_output=False)
        tp.parallelize_module(model, init_device_mesh("cpu", (dist.get_world_size(),)), plan)
        if self.spec.tied:
            # Both are cut by rows, but were cut one by one.
            model.head.weight = model.embed.tokens.weight  # type: ignore[union-attr]
        return model

    def train(self, ids: Tensor, mask: Tensor, targets: Tensor, count: int) -> float | None:
        loss = super().train(ids, mask, targets, count)
        return loss if dist.get_rank() == 0 else None

    def during(self, last: bool) -> AbstractContextManager[Any]:
        return tp.loss_parallel()


def init(rank: int, size: int, store_path: str) -> None:
    """Start gloo from ranks that something else numbered. ``store_path`` is a new file that all ranks see."""
    store: Any = dist.FileStore(store_path, size)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)


def peers(world_size: int, spec: ModelSpec) -> list[type[Single]]:
    """The peers that can train this model on so many ranks: none for a model that ``Twin`` is not (Llama)."""
    if (spec.norm, spec.positions) != ("layer", "learned") or spec.mlp == "silu_gated" or spec.kv_heads != spec.heads:
        return []
    found: list[type[Single]] = [Data, Zero, Fsdp]
    if spec.layers >= world_size:
        found += [Gpipe, OneForwardOneBackward]
    if spec.heads % world_size == 0:
        found.append(Tensors)
    return found


CHECKED = (
    ModelSpec("bert-check", "bert", 37, 24, 4, 12, 12, 36, 16, False, "layer", "post", "learned", "gelu", "classifier",
              labels=3, token_types=2),
    ModelSpec("gpt2-check", "gpt2", 37, 24, 4, 12, 12, 36, 16, True, "layer", "pre", "learned", "gelu_tanh", "lm",
              norm_eps=1e-5, tied=True),
)  # fmt: skip
BATCH, SEQ, MICRO_BATCHES, STEPS, LEARNING_RATE, TOLERANCE = 20, 8, 4, 3, 0.01, 1e-4


def make_batch(spec: ModelSpec, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Samples padded on the right, with targets that do not count."""
    generator = torch.Generator().manual_seed(step)
    mask = torch.arange(SEQ) < torch.randint(2, SEQ + 1, (BATCH, 1), generator=generator)
    ids = torch.randint(1, spec.vocab, (BATCH, SEQ), generator=generator) * mask
    if spec.head == "classifier":
        return ids, mask, torch.randint(0, spec.labels, (BATCH,), generator=generator)
    return ids, mask, F.pad(torch.where(mask[:, 1:], ids[:, 1:], IGNORED), (0, 1), value=IGNORED)


def gradients(trained: Single) -> dict[str, Tensor]:
    """Whole gradients of the last step, of the parameters that this rank holds, by name."""
    named = ((name.removeprefix("module."), p.grad) for name, p in trained.model.named_parameters())
    return {name: grad.full_tensor() if isinstance(grad, DTensor) else grad for name, grad in named}


def check() -> bool:
    """Whether every peer gives the losses of the twin on one process; prints a line for each.

    Gradients are compared too: Adam, and so the losses, would not see that all of them are a number of times too large.
    """
    comm, right = MPI.COMM_WORLD, True
    for spec in CHECKED:
        batches = [make_batch(spec, step) for step in range(STEPS)]
        alone = Single(spec, BATCH, SEQ, MICRO_BATCHES, LEARNING_RATE)
        expected, whole = [alone.step(*batch) or 0.0 for batch in batches], gradients(alone)
        whole.setdefault("head.weight", whole["embed.tokens.weight"])
        for peer in peers(comm.size, spec):
            trained = peer(spec, BATCH, SEQ, MICRO_BATCHES, LEARNING_RATE)
            found = [comm.allreduce(trained.step(*batch) or 0.0) for batch in batches]
            same = all(abs(a - b) < TOLERANCE for a, b in zip(found, expected, strict=True))
            same &= all(float((g - whole[name]).abs().max()) < TOLERANCE for name, g in gradients(trained).items())
            same = comm.allreduce(same, op=MPI.LAND)
            right &= same
            if comm.rank == 0:
                losses = " ".join(f"{loss:.6f}" for loss in found)
                print(f"{spec.name:10} {peer.name:14} {losses} {'ok' if same else 'WRONG'}", flush=True)
    return right


def main() -> int:
    comm = MPI.COMM_WORLD
    with tempfile.TemporaryDirectory() as folder:
        init(comm.rank, comm.size, comm.bcast(str(Path(folder) / "store")))
        right = check()
        dist.destroy_process_group()
        comm.Barrier()
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
