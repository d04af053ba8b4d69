"""T1: each communication operator and its adjoint satisfy <F x, y> = <x, F* y>, and the ledger counts its bytes."""

from __future__ import annotations

import pytest
import torch
from mpi4py import MPI

from strategies.comm.buffers import as_mpi
from strategies.comm.collectives import copy_in, reduce_out, split_cross_entropy
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.comm.progress import CommThread, Pump
from strategies.partition import even
from strategies.plan import MeshShape

# fp64: sums of a few hundred products, each rounded to 1e-16.
TOLERANCE = 1e-12


def make_mesh(comm: MPI.Comm, wait: str = "spin") -> Mesh:
    return Mesh(comm, MeshShape(tensor=comm.Get_size()), Ledger(), wait)  # type: ignore[arg-type]


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("wait", ["spin", "poll"])
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


@pytest.mark.parametrize("wait", ["spin", "poll"])
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
