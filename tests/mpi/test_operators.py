"""T1: each communication operator and its adjoint satisfy <F x, y> = <x, F* y>, and the ledger counts its bytes."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from mpi4py import MPI

from strategies.comm.all_reduce_algorithms import ALL_REDUCE
from strategies.comm.all_reduce_trial import AllReduceTrial
from strategies.comm.collectives import (
    copy_in,
    exchange,
    gather_tokens,
    reduce_out,
    scatter_tokens,
    share,
    split_cross_entropy,
)
from strategies.comm.comm_options import ALL_REDUCES, CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.comm.mpi_buffers import as_mpi
from strategies.comm.progress_thread import CommThread, Pump
from strategies.comm.waiting import Waiting
from strategies.plan.partition import Span, even, spans
from strategies.plan.shapes import MeshShape
from strategies.plan.traffic import volume

# fp64: sums of a few hundred products, each rounded to 1e-16.
TOLERANCE = 1e-12
WAITS = pytest.mark.parametrize("wait", ["spin", "poll"])


CUT = pytest.mark.parametrize("cut", [0, 24], ids=["whole", "cut"])
"""Bytes of the pieces into which messages between nodes are cut: of three double numbers here."""


def make_mesh(comm: MPI.Comm, wait: str = "spin", algorithm: str = "mpi", cut: int = 0) -> Mesh:
    options = CommOptions(wait=wait, all_reduce=algorithm)  # type: ignore[arg-type]
    mesh = Mesh(comm, MeshShape(tensor=comm.Get_size()), Ledger(), options)
    mesh.groups["tensor"].options = replace(mesh.groups["tensor"].options, segment_bytes=cut)
    return mesh


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@WAITS
def test_copy_in_is_adjoint_to_the_sum(comm: MPI.Comm, wait: str) -> None:
    """x replicated, outputs differ by rank: the inner product on the output side is the sum over ranks."""
    group = make_mesh(comm, wait).groups["tensor"]
    x = drawn(1, 5, 7).requires_grad_()
    y = drawn(10 + comm.Get_rank(), 5, 7)
    out = copy_in(x, group)
    out.backward(y)
    left = comm.allreduce(float((out.detach() * y).sum()))
    right = float((x.detach() * x.grad).sum())
    assert left == pytest.approx(right, rel=TOLERANCE)
    assert group.ledger.payload_bytes(-1) == {"tensor.all_reduce.setup": 5 * 7 * 8}


@WAITS
def test_reduce_out_is_adjoint_to_the_copy(comm: MPI.Comm, wait: str) -> None:
    """x partial, the output replicated with a replicated cotangent, which counts once."""
    group = make_mesh(comm, wait).groups["tensor"]
    x = drawn(20 + comm.Get_rank(), 4, 3).requires_grad_()
    y = drawn(2, 4, 3)
    out = reduce_out(x, group)
    out.backward(y)
    left = float((out.detach() * y).sum())
    right = comm.allreduce(float((x.detach() * x.grad).sum()))
    assert left == pytest.approx(right, rel=TOLERANCE)
    assert group.ledger.payload_bytes(-1) == {"tensor.all_reduce.setup": 4 * 3 * 8}


def summed(comm: MPI.Comm, left: torch.Tensor, right: torch.Tensor) -> float:
    """The inner product of tensors that differ between the ranks."""
    return comm.allreduce(float((left.detach() * right).sum()))


def parts_of(kind: str, ranks: int) -> list[Span]:
    """Spans of the ranks: uneven, the larger ones first as ``even`` cuts them; or only some ranks have anything."""
    if kind == "uneven":
        return even(7, ranks)
    if kind == "weighted":
        return spans([5, *[1 + rank for rank in range(1, ranks)]])
    return even(ranks - 1, ranks)


PARTS = pytest.mark.parametrize("kind", ["uneven", "weighted", "some empty"])


@WAITS
@PARTS
def test_gather_tokens_is_adjoint_to_the_scattered_sum(comm: MPI.Comm, wait: str, kind: str) -> None:
    """x split, the outputs used differently by every rank. Protects the order of the tokens and the uneven parts."""
    group = make_mesh(comm, wait).groups["tensor"]
    parts = parts_of(kind, group.size)
    whole, (begin, end) = drawn(4, 3, parts[-1][1], 5), parts[group.rank]
    x = whole[:, begin:end].clone().requires_grad_()
    y = drawn(30 + group.rank, *whole.shape)
    out = gather_tokens(x, parts, group)
    assert torch.equal(out, whole)
    out.backward(y)
    assert summed(comm, out, y) == pytest.approx(summed(comm, x, x.grad), rel=TOLERANCE)
    payload = {"tensor.all_gather.setup": x.numel() * 8, "tensor.reduce_scatter.setup": whole.numel() * 8}
    assert group.ledger.payload_bytes(-1) == {key: size for key, size in payload.items() if size}


@WAITS
@PARTS
def test_scatter_tokens_is_adjoint_to_the_gather(comm: MPI.Comm, wait: str, kind: str) -> None:
    """x partial, the outputs split. Protects the sum, and that every rank gets its own tokens of it."""
    group = make_mesh(comm, wait).groups["tensor"]
    parts = parts_of(kind, group.size)
    begin, end = parts[group.rank]
    x = drawn(40 + group.rank, 3, parts[-1][1], 5).requires_grad_()
    y = drawn(50 + group.rank, 3, end - begin, 5)
    out = scatter_tokens(x, parts, group)
    total = torch.stack([drawn(40 + rank, *x.shape) for rank in range(group.size)]).sum(0)
    torch.testing.assert_close(out.detach(), total[:, begin:end], rtol=TOLERANCE, atol=TOLERANCE)
    out.backward(y)
    assert summed(comm, out, y) == pytest.approx(summed(comm, x, x.grad), rel=TOLERANCE)
    payload = {"tensor.reduce_scatter.setup": x.numel() * 8, "tensor.all_gather.setup": y.numel() * 8}
    assert group.ledger.payload_bytes(-1) == {key: size for key, size in payload.items() if size}


def part_shape(sender: int, receiver: int) -> tuple[int, int, int]:
    """Different for every pair, in both directions."""
    return 2, sender + 1, 2 * receiver + 1


@WAITS
def test_exchange_is_adjoint_to_the_way_back(comm: MPI.Comm, wait: str) -> None:
    """Parts of different shapes for every pair of ranks. Protects who gets what, and the shapes of the way back."""
    group = make_mesh(comm, wait).groups["tensor"]
    rank, ranks = group.rank, range(group.size)
    parts = [drawn(60 + 10 * rank + to, *part_shape(rank, to)).requires_grad_() for to in ranks]
    shapes = [part_shape(source, rank) for source in ranks]
    cotangents = [drawn(200 + 10 * rank + source, *shapes[source]) for source in ranks]
    out = exchange(parts, shapes, group)
    for source, part in enumerate(out):
        assert torch.equal(part, drawn(60 + 10 * source + rank, *shapes[source]))
    torch.autograd.backward(out, cotangents)
    left = sum(float((o.detach() * y).sum()) for o, y in zip(out, cotangents, strict=True))
    right = sum(float((p.detach() * p.grad).sum()) for p in parts)
    assert comm.allreduce(left) == pytest.approx(comm.allreduce(right), rel=TOLERANCE)
    both = sum(part.numel() for part in parts) + sum(part.numel() for part in out)
    assert group.ledger.payload_bytes(-1) == {"tensor.all_to_all.setup": both * 8}


def test_exchange_of_transposed_parts_that_are_used_in_part(comm: MPI.Comm) -> None:
    """Protects views with foreign strides, as attention's heads are, and outputs without a gradient of their own."""
    group = make_mesh(comm).groups["tensor"]
    x = drawn(70 + group.rank, group.size, 4, 3).transpose(1, 2).requires_grad_()
    out = exchange(x.unbind(0), [(3, 4)] * group.size, group)
    for source, part in enumerate(out):
        assert torch.equal(part, drawn(70 + source, group.size, 4, 3)[group.rank].t())
    out[0].sum().backward()  # the gradient is expanded from one number, and only rank 0's part gets one
    expected = torch.zeros(group.size, 3, 4, dtype=torch.float64)
    expected[:] = 1.0 if group.rank == 0 else 0.0
    assert torch.equal(x.grad, expected)


def test_share_is_adjoint_to_counting_once(comm: MPI.Comm) -> None:
    """w and its cotangent replicated, so <w, y> counts once: the ranks' gradients add up to that, without a message."""
    group = make_mesh(comm).groups["tensor"]
    w, y = drawn(5, 6, 2).requires_grad_(), drawn(6, 6, 2)
    out = share(w, group.size)
    out.backward(y)
    assert float((out.detach() * y).sum()) == pytest.approx(summed(comm, w, w.grad), rel=TOLERANCE)
    assert group.ledger.payload_bytes(-1) == {}


@WAITS
@CUT
@PARTS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_all_gather_fills_in_the_other_parts(comm: MPI.Comm, wait: str, cut: int, kind: str, dtype: torch.dtype) -> None:
    """Protects the counts and offsets of uneven parts, and that 16-bit floats arrive as they left."""
    group = make_mesh(comm, wait, cut=cut).groups["tensor"]
    parts = parts_of(kind, group.size)
    whole, (begin, end) = drawn(7, parts[-1][1]).to(dtype), parts[group.rank]
    flat = torch.full_like(whole, -1.0)
    flat[begin:end] = whole[begin:end]
    group.all_gather_(flat, parts)
    assert torch.equal(flat, whole)
    payload = (end - begin) * whole.element_size()
    assert group.ledger.payload_bytes(-1) == ({"tensor.all_gather.setup": payload} if payload else {})


@WAITS
@CUT
@PARTS
def test_reduce_scatter_leaves_own_part_of_the_sum(comm: MPI.Comm, wait: str, cut: int, kind: str) -> None:
    """Whole numbers, so the sum is exact: rank r adds (r+1) i to element i. Protects both forms; the one that returns
    its part leaves the input alone, the other puts it where it belongs."""
    group = make_mesh(comm, wait, cut=cut).groups["tensor"]
    parts = parts_of(kind, group.size)
    number = torch.arange(parts[-1][1], dtype=torch.float64)
    flat, (begin, end) = (group.rank + 1) * number, parts[group.rank]
    total = number * (group.size * (group.size + 1) // 2)
    assert torch.equal(group.reduce_scatter(flat, parts), total[begin:end])
    assert torch.equal(flat, (group.rank + 1) * number)
    group.reduce_scatter_(flat, parts)
    assert torch.equal(flat[begin:end], total[begin:end])
    assert group.ledger.payload_bytes(-1) == {"tensor.reduce_scatter.setup": 2 * flat.numel() * 8}


@WAITS
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_all_to_all_delivers_uneven_parts(comm: MPI.Comm, wait: str, dtype: torch.dtype) -> None:
    """Every element says who sent it to whom. Protects counts and offsets on both sides."""
    group = make_mesh(comm, wait).groups["tensor"]
    rank, ranks = group.rank, range(group.size)
    parts = [torch.full(part_shape(rank, to), 10.0 * rank + to, dtype=dtype) for to in ranks]
    found = group.all_to_all(parts, [part_shape(source, rank) for source in ranks])
    for source, part in enumerate(found):
        assert torch.equal(part, torch.full(part_shape(source, rank), 10.0 * source + rank, dtype=dtype))
    payload = sum(part.numel() for part in parts) * parts[0].element_size()
    assert group.ledger.payload_bytes(-1) == {"tensor.all_to_all.setup": payload}


@WAITS
@CUT
@pytest.mark.parametrize("algorithm", sorted(ALL_REDUCE))
@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (10, 100)], ids=str)
def test_own_all_reduces_equal_that_of_mpi(comm: MPI.Comm, algorithm: str, wait: str, cut: int, shape: tuple[int, ...]) -> None:
    """Protects buffers smaller than the number of ranks, ranks beyond a power of two, and replicas from drifting apart:
    the sums are the same to the last bit everywhere."""
    group, plain = (make_mesh(comm, wait, name, cut).groups["tensor"] for name in (algorithm, "mpi"))
    tensor = drawn(80 + group.rank, *shape)
    expected = plain.all_reduce(tensor)
    found = group.all_reduce(tensor)
    assert torch.equal(tensor, drawn(80 + group.rank, *shape))
    group.all_reduce_(tensor)
    assert torch.equal(tensor, found)
    # Sums of four numbers in another order: at most three roundings of 1e-16 of their absolute values.
    size = torch.stack([drawn(80 + rank, *shape).abs() for rank in range(group.size)]).sum(0)
    assert bool(((found - expected).abs() <= 1e-15 * size).all())
    assert len(set(comm.allgather(found.numpy().tobytes()))) == 1
    assert group.ledger.payload_bytes(-1) == {"tensor.all_reduce.setup": 2 * found.numel() * 8}


def test_split_cross_entropy_equals_torch(comm: MPI.Comm) -> None:
    """The value and the gradient of the local logits, with targets that do not count and an odd vocabulary."""
    group, classes = make_mesh(comm).groups["tensor"], 11
    logits, targets = drawn(3, 6, classes), torch.tensor([0, 10, 5, -100, 3, 10])
    whole = logits.clone().requires_grad_()
    expected = torch.nn.functional.cross_entropy(whole, targets, reduction="sum")
    (expected * 3).backward()
    begin, end = even(classes, group.size)[group.rank]
    local = logits[:, begin:end].clone().requires_grad_()
    found = split_cross_entropy(local, targets, begin, group)
    (found * 3).backward()
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=TOLERANCE)
    torch.testing.assert_close(local.grad, whole.grad[:, begin:end], rtol=TOLERANCE, atol=TOLERANCE)


def test_large_logits_do_not_overflow(comm: MPI.Comm) -> None:
    group = make_mesh(comm).groups["tensor"]
    local = torch.full((2, 3), 1e4, dtype=torch.float64) + group.rank
    found = split_cross_entropy(local, torch.tensor([0, 1]), 3 * group.rank, group)
    top = 1e4 + group.size - 1
    norm = top + float(torch.tensor([3.0 * torch.e ** (r - group.size + 1.0) for r in range(group.size)]).sum().log())
    assert float(found) == pytest.approx(2 * (norm - 1e4), rel=1e-6)


def test_mesh_groups_differ_along_one_axis(comm: MPI.Comm) -> None:
    """Every rank of a pipeline x tensor mesh meets the ranks that the coordinates say, in order."""
    size = comm.Get_size()
    shape = MeshShape(pipeline=size) if size % 2 else MeshShape(pipeline=2, tensor=size // 2)
    mesh = Mesh(comm, shape, Ledger())
    for axis, group in mesh.groups.items():
        assert group.comm.allgather(mesh.rank) == list(group.members)
        assert [shape.coordinates(rank)[axis] for rank in group.members] == list(range(group.size))
    assert sorted(mesh.world.comm.allgather(mesh.rank)) == list(range(size))


def test_groups_among_some_ranks(comm: MPI.Comm) -> None:
    """Groups in any order of their ranks, that share ranks, and that other ranks know nothing of. Protects the sums of
    stages and of tied tables, whose ranks lie across the mesh's axes."""
    mesh = make_mesh(comm)
    everyone = tuple(range(comm.Get_size()))
    own = [ranks for ranks in (everyone[::-1], everyone[1:], everyone[:2]) if mesh.rank in ranks]
    for ranks in own:
        group = mesh.among(ranks, "gradients")
        assert (group.members, group.rank, group.size) == (ranks, ranks.index(mesh.rank), len(ranks))
        assert group.all_gather(torch.tensor([mesh.rank])).flatten().tolist() == list(ranks)
        total = torch.tensor([float(mesh.rank)])
        group.all_reduce_(total)
        assert float(total) == sum(ranks)
    talking = sum(len(ranks) > 1 for ranks in own)  # a group of one has nobody to talk to
    sent = {"gradients.all_gather.setup": 8 * talking, "gradients.all_reduce.setup": 4 * talking}
    assert mesh.ledger.payload_bytes(-1) == sent


def test_threads_of_communication_carry_work_in_order(comm: MPI.Comm) -> None:
    group = make_mesh(comm).groups["tensor"].for_thread()
    thread, tensors = CommThread(), [torch.full((1000,), float(i + group.rank)) for i in range(5)]
    futures = [thread.submit(lambda t=t: group.all_reduce_(t)) for t in tensors]
    for future in futures:
        future.result(timeout=60)
    thread.close()
    base = sum(range(group.size))
    assert [float(t[0]) for t in tensors] == [group.size * i + base for i in range(5)]


def test_an_error_on_the_thread_reaches_the_waiter(comm: MPI.Comm) -> None:
    thread = CommThread()
    future = thread.submit(lambda: as_mpi(torch.zeros(2, dtype=torch.bfloat16)) and None)
    with pytest.raises(TypeError, match="bfloat16"):
        future.result(timeout=60)
    thread.close()


def test_a_message_moves_while_its_sender_computes(comm: MPI.Comm) -> None:
    """With the pump, a message too large to be buffered reaches a receiver whose sender never waits for it."""
    group, big = make_mesh(comm).groups["tensor"], torch.zeros(2**20)
    pump = Pump(group)
    with pump:
        if group.rank == 0:
            message = group.send(big + 7, 1, tag=3)
            done = group.comm.recv(source=1, tag=4)
            message.finish()
            assert done == 7.0
        elif group.rank == 1:
            group.comm.send(float(group.receive(big, 0, tag=3).finish()[-1]), dest=0, tag=4)
    pump.close()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.bool])
def test_dtypes_that_mpi_cannot_add_are_refused(dtype: torch.dtype, comm: MPI.Comm) -> None:
    """mpi4py itself would take a bfloat16 tensor and sum its bytes."""
    with pytest.raises(TypeError, match="cast"):
        as_mpi(torch.zeros(4, dtype=dtype))


def test_a_transposed_tensor_is_refused(comm: MPI.Comm) -> None:
    with pytest.raises(ValueError, match="contiguous"):
        as_mpi(torch.zeros(3, 4).t())


def test_processor_time_of_messages_is_counted_by_step_and_thread(comm: MPI.Comm) -> None:
    """Each operation once, on the clock of the thread that ran it: never more than the process took meanwhile."""
    begin_ns = time.process_time_ns()
    mesh = make_mesh(comm)
    group, ledger = mesh.groups["tensor"], mesh.ledger
    beside, thread, pump = group.for_thread(), CommThread(), Pump(group)
    ledger.step = 7
    with pump:
        for _ in range(20):
            group.all_reduce_(torch.ones(50_000))
            thread.submit(lambda: beside.all_reduce_(torch.ones(50_000))).result(timeout=60)
        time.sleep(0.05)  # for the pump to run
        right, left = (group.rank + 1) % group.size, (group.rank - 1) % group.size
        arriving, leaving = group.receive(torch.ones(9), left, 1), group.send(torch.ones(9), right, 1)
        arriving.finish(), leaving.finish()
    thread.close()
    pump.close()
    spent_ns = time.process_time_ns() - begin_ns
    assert {key for key in ledger.spent_ns if key[0] == 7} == {(7, "main"), (7, "comm"), (7, "pump")}
    assert all(spent > 0 for spent in ledger.spent_ns.values())
    assert sum(ledger.spent_ns.values()) <= spent_ns


@pytest.mark.parametrize("budget_s", [0.0, 10.0])
def test_trials_of_all_reduces_are_agreed_and_in_no_ledger(comm: MPI.Comm, budget_s: float) -> None:
    """All ranks have the same numbers and so the same table; without any time left one small size is still tried."""
    world = comm.Dup()
    sizes = [8_192, 1_000_000]
    trials = AllReduceTrial(world, world, Waiting("spin"), budget_s).run(sizes)
    assert comm.allgather(trials) == [trials] * comm.Get_size()
    assert [trial.payload_bytes for trial in trials] == (sizes if budget_s else [4_096])
    assert all(set(trial.seconds) == set(ALL_REDUCES) and min(trial.seconds.values()) > 0 for trial in trials)
    world.Free()
    step = [volume("tensor", "all_reduce", "forward", 3, 100_000, comm.Get_size())]
    mesh = Mesh(comm, MeshShape(tensor=comm.Get_size()), Ledger(), CommOptions(), volumes=step)
    assert mesh.ledger.entries == []
    assert not mesh.ledger.spent_ns
    chosen = {choice.option: choice for choice in mesh.choices}
    assert [trial.payload_bytes for trial in chosen["all_reduce"].measured] == [100_000]
    assert chosen["all_reduce"].value == str(mesh.groups["tensor"].options.all_reduce)
    assert comm.allgather(mesh.choices) == [mesh.choices] * comm.Get_size()
