"""T2: ring and Ulysses attention are attention over the whole sequence: values, gradients, and the bytes of one call.

The whole models (test_equality.py) see the sum of everything; this names the part, and has what they lack: ranks whose
keys are all padding, heads that the ranks do not divide, and the plain mathematics that a GPU runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import BERT, GPT2
from mpi4py import MPI

from strategies.comm.comm_options import CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.models.layers import Context
from strategies.plan import sequence_volumes
from strategies.plan.model_spec import ModelSpec
from strategies.plan.placement import place
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import MeshShape, StepShape
from strategies.plan.step_options import ATTENTIONS, StepOptions
from strategies.plan.traffic import merge
from strategies.step import ring_attention, sequence_attention

BATCH, WIDTH = 4, 3
# fp64: sums over 13 keys and three elements of numbers of order 1, in another order than one process sums them.
TOLERANCE = 1e-12
RANKS = MPI.COMM_WORLD.Get_size()
UNEVEN = (3, *[1] * (RANKS - 2), 2)
HEADS = {"equal": (6, 6), "indivisible": (5, 5), "grouped": (6, 2), "one kv": (6, 1)}


@dataclass(frozen=True)
class Call:
    """Attention of ``heads`` heads over ``seq`` tokens, spread as ``attention`` says; ``padded`` where keys are masked."""

    attention: str
    causal: bool
    heads: int
    kv_heads: int
    shares: Sequence[int] | None = None
    padded: bool = False
    seq: int = 13

    def __str__(self) -> str:
        how = ("causal" if self.causal else "bidirectional") + ("-padded" if self.padded else "")
        return f"{self.attention}-{how}-{self.heads}on{self.kv_heads}-{'uneven' if self.shares else 'even'}"

    @property
    def spec(self) -> ModelSpec:
        like = GPT2 if self.causal else BERT
        sizes: dict[str, Any] = {"heads": self.heads, "kv_heads": self.kv_heads, "hidden": self.heads * WIDTH}
        return replace(like, layers=1, max_positions=self.seq, **sizes)

    @property
    def shape(self) -> StepShape:
        return StepShape(BATCH, self.seq, dtype="float64")

    @property
    def options(self) -> StepOptions:
        return StepOptions(attention=self.attention, sequence_shares=self.shares)  # type: ignore[arg-type]

    def placement(self, ranks: int) -> tuple[RankPlacement, ...]:
        return place(self.spec, self.shape, MeshShape(sequence=ranks), self.options)

    def context(self, at: RankPlacement) -> Context:
        keys = padding(self.seq) if self.padded else None
        return Context(self.causal, keys, None, None if self.heads == self.kv_heads else at.kv_of_heads(self.spec))


def padding(seq: int) -> torch.Tensor:
    """[B, S]: a full sample, one where all but the first rank have only padding, one where all but the last have, and
    one with holes."""
    keys = torch.zeros(BATCH, seq, dtype=torch.bool)
    keys[0] = True
    keys[1, 0] = True
    keys[2, -1] = True
    keys[3, ::3] = True
    return keys


def calls() -> list[Call]:
    found = []
    for heads, kv_heads in HEADS.values():
        for shares in (None, UNEVEN):
            for attention in ATTENTIONS:
                found.append(Call(attention, True, heads, kv_heads, shares))
                found += [Call(attention, False, heads, kv_heads, shares, padded) for padded in (False, True)]
    return found


def drawn(seed: int, heads: int, seq: int) -> torch.Tensor:
    """[B, heads, S, D] with the strides of a projection's output, where the heads of a token lie side by side."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(BATCH, seq, heads, WIDTH, generator=generator, dtype=torch.float64).transpose(1, 2)


def inputs(call: Call) -> tuple[torch.Tensor, ...]:
    """The whole q, k, v and the gradient of the output, the same on every rank."""
    heads = (call.heads, call.kv_heads, call.kv_heads, call.heads)
    return tuple(drawn(seed, count, call.seq) for seed, count in enumerate(heads))


def whole(call: Call) -> list[torch.Tensor]:
    """What torch's own attention gives on one process: the output, and the gradients of q, k and v."""
    *qkv, gradient = (x.clone() for x in inputs(call))
    q, k, v = (x.requires_grad_() for x in qkv)
    pairs = [head * call.kv_heads // call.heads for head in range(call.heads)]
    mask = padding(call.seq)[:, None, None, :] if call.padded else None
    out = F.scaled_dot_product_attention(q, k[:, pairs], v[:, pairs], attn_mask=mask, is_causal=call.causal)
    out.backward(gradient)
    return [out.detach(), *(x.grad for x in (q, k, v) if x.grad is not None)]


def positions(call: Call, ranks: int, rank: int) -> torch.Tensor:
    return torch.cat([torch.arange(*span) for span in call.placement(ranks)[rank].tokens])


def spread_out(call: Call, comm: MPI.Intracomm, wait: str = "spin") -> tuple[list[torch.Tensor], Ledger]:
    """The same four of this rank's tokens, from the strategy's own parts; and what was sent."""
    ledger, placement = Ledger(), call.placement(comm.Get_size())
    mesh = Mesh(comm, MeshShape(sequence=comm.Get_size()), ledger, CommOptions(wait=wait))  # type: ignore[arg-type]
    own = positions(call, comm.Get_size(), comm.Get_rank())
    *qkv, gradient = (x.transpose(1, 2)[:, own].transpose(1, 2) for x in inputs(call))
    q, k, v = (x.requires_grad_() for x in qkv)
    attention = sequence_attention.sequence_attention_of(placement, mesh, call.options)
    with ledger.during("forward"):
        out = attention.attend(q, k, v, call.context(placement[comm.Get_rank()]))
    with ledger.during("backward"):
        out.backward(gradient)
    return [out.detach(), *(x.grad for x in (q, k, v) if x.grad is not None)], ledger


def assert_equal(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], own: torch.Tensor) -> None:
    """``found`` are the tokens ``own`` of ``expected``, within rounding of its largest element."""
    assert len(found) == len(expected) == 4
    for name, part, full in zip(("output", "dq", "dk", "dv"), found, expected, strict=True):
        assert part.shape == full[:, :, own].shape, name
        assert float((part - full[:, :, own]).abs().max()) <= TOLERANCE * float(full.abs().max()), name


@pytest.mark.parametrize("call", calls(), ids=str)
def test_equals_attention_over_the_whole_sequence(call: Call, comm: MPI.Intracomm) -> None:
    """Protects the merging of blocks, the balanced causal pieces, the way home of gradients, heads shared by ranks, and
    the planned bytes, of which the same call must send exactly as many."""
    found, ledger = spread_out(call, comm)
    assert_equal(found, whole(call), positions(call, comm.Get_size(), comm.Get_rank()))
    planned = merge(sequence_volumes.volumes(call.spec, call.shape, call.placement(comm.Get_size()), call.options))
    attention = {v.key: v.payload_bytes for v in planned if v.op != "all_reduce"}  # that is the pooling of a classifier
    assert len(attention) == 2
    assert dict(comm.allreduce(ledger.payload_bytes(-1), op=MPI.SUM)) == attention


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_polling_rank_computes_the_same(attention: str, comm: MPI.Intracomm) -> None:
    """Protects the buffers of messages under way, which a rank that sleeps between tests holds longer."""
    call = Call(attention, True, 6, 2, UNEVEN)
    spinning, polling = (spread_out(call, comm, wait)[0] for wait in ("spin", "poll"))
    assert all(torch.equal(s, p) for s, p in zip(spinning, polling, strict=True))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_foreign_strides_do_not_matter(attention: str, comm: MPI.Intracomm) -> None:
    """Heads whose elements do not lie side by side, and a gradient that is one number for all: what the kernel for the
    CPU would read past."""
    call = Call(attention, False, 5, 5)
    placement, own = call.placement(comm.Get_size()), positions(call, comm.Get_size(), comm.Get_rank())
    mesh = Mesh(comm, MeshShape(sequence=comm.Get_size()), Ledger())
    q, k, v = (x[:, :, own].mT.contiguous().mT.requires_grad_() for x in inputs(call)[:3])
    assert q.stride(-1) != 1
    out = sequence_attention.sequence_attention_of(placement, mesh, call.options).attend(
        q, k, v, call.context(placement[comm.Get_rank()])
    )
    out.sum().backward()
    whole_q, whole_k, whole_v = (x.clone().requires_grad_() for x in inputs(call)[:3])
    expected = F.scaled_dot_product_attention(whole_q, whole_k, whole_v)
    expected.sum().backward()
    gradients = [x.grad for x in (whole_q, whole_k, whole_v)]
    assert_equal([out.detach(), q.grad, k.grad, v.grad], [expected.detach(), *gradients], own)


def test_bytes_of_one_call_are_the_published_formulas(comm: MPI.Intracomm) -> None:
    """Per rank, with g = key/value heads / heads: ring 2 g B s h (n-1)/n e, twice that backward (arXiv 2310.01889);
    Ulysses (2+2g) B s h (n-1)/n^2 e on the wire, each way (arXiv 2309.14509). Even tokens and heads."""
    n, heads, seq = comm.Get_size(), 12, 24  # what two, three and four divide
    for kv_heads in (heads, n):
        bsh, g = BATCH * seq * heads * WIDTH * 8, kv_heads / heads
        for causal in (True, False):
            _, ledger = spread_out(Call("ring", causal, heads, kv_heads, seq=seq), comm)
            once = 2 * g * bsh * (n - 1) / n
            sent = {"sequence.send.forward": once, "sequence.send.backward": 2 * once}
            assert dict(ledger.wire_bytes(-1)) == pytest.approx(sent)
            _, ledger = spread_out(Call("ulysses", causal, heads, kv_heads, seq=seq), comm)
            each = (2 + 2 * g) * bsh * (n - 1) / n**2
            sent = {"sequence.all_to_all.forward": each, "sequence.all_to_all.backward": each}
            assert dict(ledger.wire_bytes(-1)) == pytest.approx(sent)


def test_a_causal_ring_computes_no_masked_block(comm: MPI.Intracomm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step but the first is two of the four pairs of blocks, without a mask: all ranks have the same work."""
    done, real = [], ring_attention.block_forward

    def counted(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: Any, causal: bool) -> Any:
        done.append((q.shape[2] * k.shape[2], causal))
        return real(q, k, v, mask, causal)

    monkeypatch.setattr(ring_attention, "block_forward", counted)
    spread_out(Call("ring", True, 6, 6, seq=24), comm)
    own = 24 // comm.Get_size()
    assert done == [(own * own, True), *[(own * own // 2, False)] * (comm.Get_size() - 1)]


class Elsewhere(torch.Tensor):
    """A tensor on the CPU that says it is on a GPU, so that the branch for GPUs computes with it."""

    device = property(lambda self: SimpleNamespace(type="cuda"))


def on_a_gpu(patch: pytest.MonkeyPatch) -> list[str]:
    """The ring's blocks go the way of GPUs from here on. Returns the list of those that did, as it grows."""
    forward, backward, scores, went = (
        ring_attention.block_forward,
        ring_attention.block_backward,
        ring_attention._scores,
        list[str](),
    )

    def plain(found: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return tuple(x.as_subclass(torch.Tensor) for x in found)

    def block_forward(q: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, ...]:
        return plain(forward(q.as_subclass(Elsewhere), *rest))

    def block_backward(gradient: torch.Tensor, q: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, ...]:
        return plain(backward(gradient, q.as_subclass(Elsewhere), *rest))

    def counted(*given: Any) -> torch.Tensor:
        went.append("scores")
        return scores(*given)

    patch.setattr(ring_attention, "block_forward", block_forward)
    patch.setattr(ring_attention, "block_backward", block_backward)
    patch.setattr(ring_attention, "_scores", counted)
    return went


@pytest.mark.parametrize("call", [call for call in calls() if call.attention == "ring"], ids=str)
def test_the_mathematics_of_gpus_gives_the_same_ring(call: Call, comm: MPI.Intracomm, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPUs have no kernel with log-sum-exps in torch's public interface; what stands in for it must be attention too."""
    went = on_a_gpu(monkeypatch)
    found, _ = spread_out(call, comm)
    assert len(went) == 2 * comm.Get_size()  # each block forward and backward
    assert_equal(found, whole(call), positions(call, comm.Get_size(), comm.Get_rank()))


@pytest.mark.parametrize("how", ["all keys", "causal", "padded"])
def test_one_block_by_mathematics_equals_the_kernel(how: str, comm: MPI.Intracomm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the log-sum-exp, by which blocks are merged; and backward where this block has only a part of the weight."""
    keys = 5 if how == "causal" else 7
    q, gradient, out = (drawn(seed, 2, 5) for seed in (1, 2, 3))
    k, v = drawn(4, 2, keys), drawn(5, 2, keys)
    mask = torch.where(padding(keys), 0.0, ring_attention.NOWHERE).double()[:, None, None, :] if how == "padded" else None
    expected_out, lse = ring_attention.block_forward(q, k, v, mask, how == "causal")
    of_all = torch.logaddexp(lse, drawn(6, 2, 5)[..., 0])  # as if other blocks had weight as well
    expected = [expected_out, lse, *ring_attention.block_backward(gradient, q, k, v, out, of_all, mask, how == "causal")]
    went = on_a_gpu(monkeypatch)
    found = [*ring_attention.block_forward(q, k, v, mask, how == "causal")]
    found += ring_attention.block_backward(gradient, q, k, v, out, of_all, mask, how == "causal")
    assert len(went) == 2
    for part, full in zip(found, expected, strict=True):
        assert part.shape == full.shape
        assert float((part - full).abs().max()) <= TOLERANCE * float(full.abs().max())


def test_a_block_of_padding_has_no_weight(comm: MPI.Intracomm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects against 0/0 in float32, which trainings use: neither the kernel nor the mathematics may give NaN, and
    once merged with a real block, before or after it, nothing is left of the padding."""
    q, k, v = (drawn(seed, 2, 4).float() for seed in (1, 2, 3))
    nothing = torch.full((BATCH, 1, 1, 4), ring_attention.NOWHERE)
    for kind in ("kernel", "mathematics"):
        if kind == "mathematics":
            on_a_gpu(monkeypatch)
        real, real_lse = ring_attention.block_forward(q, k, v, None, False)
        empty, empty_lse = ring_attention.block_forward(q, -k, -v, nothing, False)
        assert bool(empty.isfinite().all()), kind
        for first, second in (((real, real_lse), (empty, empty_lse)), ((empty, empty_lse), (real, real_lse))):
            merged, lse = (x.clone() for x in first)
            ring_attention._merge(merged, lse, *second)
            assert torch.equal(merged, real), kind
            assert torch.equal(lse, real_lse), kind
        gradients = ring_attention.block_backward(torch.ones_like(q), q, -k, -v, real, real_lse, nothing, False)
        assert all(not x.any() for x in gradients), kind
