"""The state in the memory of the ranks: one of them is gone, and the others go on as if nothing had happened."""

from __future__ import annotations

import pytest
import torch
from cases import BATCH, DEVICE, MODELS, SEQ, Case
from mpi4py import MPI
from test_checkpoints import AFTER, BEFORE, EPSILON, TOLERANCE, TRAIN, Training, pairs, uninterrupted

from bench.common.user_error import UserError
from bench.faults.fault_settings import plan_after
from bench.faults.state_copies import Copies, restore
from bench.faults.state_pieces import copy_bytes
from bench.training.trainer import make_optimizer
from strategies.base import check_options, get
from strategies.comm.comm_options import CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.plan.model_spec import parameters
from strategies.plan.shapes import Plan
from strategies.step.training_checkpoint import load_states
from tests.points import make_point

# Options that the survivors' mesh may not allow, and what takes their place.
INSTEAD = {"virtual_stages": {"schedule": "gpipe", "virtual_stages": 1}, "overlap": {"overlap": "auto"}}


def cases() -> list[tuple[Case, str]]:
    """Every way of holding a model that has more than one rank; each of them with one model."""
    return [(first, family) for first, _, family in pairs() if first.mesh.size > 1]


def survivors_plan(case: Case, family: str, rank: int) -> Plan:
    """What is left of a hybrid becomes data parallel."""
    left, axes = case.mesh.size - 1, {"pipeline": None, "data": None, "sequence": None, "tensor": None}
    return plan_after(
        make_point(
            strategy={"name": case.strategy, **case.options},
            ranks=case.mesh.size,
            model={"spec": MODELS[family].to_dict()},
            train={"batch": BATCH, "seq": SEQ, "micro_batches": case.micro_batches, "dtype": "float64"},
            fault={
                "rank": rank,
                "snapshot_every": 1,
                "after_steps": 1,
                "mesh": {**axes, "data": left} if case.strategy == "hybrid" else axes,
                "options": {
                    key: value for option, values in INSTEAD.items() if option in case.options for key, value in values.items()
                },
            },
        )
    )


@pytest.mark.parametrize(("case", "family"), cases(), ids=str)
def test_goes_on_without_a_rank(case: Case, family: str, comm: MPI.Intracomm) -> None:
    """Two copies are made, and the last one is used. Protects who keeps what for whom, and that nothing of the state is left
    behind: AdamW's means too."""
    losses, expected = uninterrupted(family)
    lost = 1 + BEFORE % (comm.Get_size() - 1)
    training = Training(case, MODELS[family], comm)
    copies = Copies(comm, training.strategy, training.optimizer, [f"board-{rank}" for rank in range(comm.Get_size())])
    copies.take(0)
    training.steps(BEFORE)
    copies.take(BEFORE)
    training.steps(1)  # which will be lost: a copy must not change with what it is a copy of
    training.strategy.close()
    left = comm.Split(MPI.UNDEFINED if comm.Get_rank() == lost else 0, comm.Get_rank())
    if left == MPI.COMM_NULL:
        return
    plan = survivors_plan(case, family, lost)
    restored = restore(copies.kept, plan, left)
    assert restored.step == BEFORE
    training.comm, training.done = left, restored.step
    training.strategy = get(plan.strategy)(plan, Mesh(left, plan.mesh, Ledger(), CommOptions(progress="inline")))
    training.strategy.build(restored, torch.float64, DEVICE)
    training.optimizer = make_optimizer(training.strategy.trainable(), **TRAIN, optimizer="adamw")
    for group in training.optimizer.param_groups:
        group["eps"] = EPSILON
    load_states(training.strategy, training.optimizer, restored.states, restored.step)
    for group in training.optimizer.param_groups:
        assert group["eps"] == EPSILON
    assert training.steps(AFTER) == pytest.approx(losses[BEFORE:], rel=TOLERANCE)
    weights = training.weights()
    training.strategy.close()
    if left.Get_rank() == 0:
        worst = max(float((weights[name] - expected[name]).abs().max()) for name in expected)
        assert weights.keys() == expected.keys()
        assert worst < TOLERANCE


@pytest.mark.parametrize("strategy", ["data", "pipeline", "tensor"])
def test_what_is_sent(strategy: str, comm: MPI.Intracomm) -> None:
    """Replicas send nothing: each has all of the state. What one board alone holds goes to one other, with both of AdamW's
    states; a tied table is on two boards already."""
    spec, cls = MODELS["gpt2"], get(strategy)
    options = check_options(cls, {"tensor_shares": [1] * comm.Get_size()} if strategy == "tensor" else {})
    training = Training(Case(strategy, cls.mesh_for(comm.Get_size(), {}), options, 2), spec, comm)
    copies = Copies(comm, training.strategy, training.optimizer, [f"board-{rank}" for rank in range(comm.Get_size())])
    copies.take(0)
    plan, hosts = training.strategy.step_plan, [f"board-{rank}" for rank in range(comm.Get_size())]
    assert comm.allgather((copies.memory_bytes, copies.payload_bytes)) == copy_bytes(plan, hosts)
    placement, alone = plan.placements, 0
    for parameter in parameters(spec):
        sizes = [size for at in placement if (size := at.local_size(parameter, spec))]
        alone += sum(sizes) if len(sizes) == 1 or sum(sizes) == parameter.size else 0
    assert comm.allreduce(copies.payload_bytes) == 3 * 8 * alone
    assert (alone == 0) == (strategy == "data")
    training.strategy.close()


def test_two_boards_lost_at_once(comm: MPI.Intracomm) -> None:
    """A stage and the board that kept its copy: what is lost is named, on every rank that is left."""
    if comm.Get_size() < 4:
        return
    case = next(case for case, _ in cases() if case.strategy == "pipeline" and case.options["stages"] is None)
    training = Training(case, MODELS["llama"], comm)
    copies = Copies(comm, training.strategy, training.optimizer, [f"board-{rank}" for rank in range(comm.Get_size())])
    copies.take(0)
    training.strategy.close()
    left = comm.Split(MPI.UNDEFINED if comm.Get_rank() in (2, 3) else 0, comm.Get_rank())
    if left == MPI.COMM_NULL:
        return
    cls = get("pipeline")
    plan = cls.plan(MODELS["llama"], training.strategy.shape, cls.mesh_for(2, {}), cls.options)
    with pytest.raises(UserError, match=r"is lost: no rank that is left holds a copy"):
        restore(copies.kept, plan, left)
