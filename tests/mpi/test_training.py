"""T5: fp32 with AdamW from a checkpoint, as people train: every strategy gives the loss curve of one process.

SGD in fp64 (test_equality.py) sees wrong gradients; this sees what only an optimizer of another kind does. It is here
because column slices once came with the strides of the whole matrix, which fused AdamW mixed up with the gradients'.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cases import BERT, Case, cases, make_batch
from mpi4py import MPI
from safetensors.torch import save_file

from bench.training.trainer import make_optimizer
from strategies.base import registered
from strategies.comm.comm_options import CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.models.families.bert import Bert
from strategies.models.pretrained_weights import WeightLoader, draw
from strategies.plan.model_spec import parameters
from strategies.plan.shapes import MeshShape, StepShape

TRAIN = {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.01}
STEPS = 8


def save_checkpoint(folder: Path) -> None:
    """The BERT test model as a Hugging Face checkpoint."""
    tensors = {}
    for parameter in parameters(BERT):
        stored = Bert.stored(parameter.name)
        if stored is not None:
            tensors[stored.name] = draw(parameter, 1).float()
    save_file(tensors, folder / "model.safetensors")


def losses(case: Case, comm: MPI.Intracomm, checkpoint: Path) -> list[float]:
    shape = StepShape(17, 8, case.micro_batches, recompute=case.recompute)
    cls = registered()[case.strategy]
    strategy = cls(
        cls.plan(BERT, shape, case.mesh, case.options), Mesh(comm, case.mesh, Ledger(), CommOptions(case.wait, case.progress))
    )  # type: ignore[arg-type]
    with WeightLoader(BERT, checkpoint, seed=1) as load:
        module = strategy.build(load, torch.float32)
    assert all(parameter.is_contiguous() for parameter in module.parameters())
    optimizer = make_optimizer(strategy.trainable(), **TRAIN)
    found = []
    for step in range(STEPS):
        found.append(comm.allreduce(float(strategy.step(make_batch(BERT, step % 2)))))
        optimizer.step()
        strategy.updated()
    scores = comm.allgather(strategy.evaluate(make_batch(BERT, 0)))
    assert sum(part.count for part in scores) == 17
    strategy.close()
    return [*found, sum(part.loss_sum for part in scores) / 17]


def distinct(ranks: int) -> list[Case]:
    """One case for each strategy and mesh: options are the equality test's business."""
    once = {(case.strategy, case.mesh): case for case in cases(ranks) if case.micro_batches == 1}
    return list(once.values())


@pytest.mark.parametrize("case", distinct(MPI.COMM_WORLD.Get_size()), ids=str)
def test_adamw_gives_the_same_curve(case: Case, comm: MPI.Intracomm, tmp_path: Path) -> None:
    folder = Path(comm.bcast(str(tmp_path)))
    if comm.Get_rank() == 0:
        save_checkpoint(folder)
    comm.Barrier()
    expected = losses(Case("single", MeshShape(), {}, 1), MPI.COMM_SELF, folder)
    found = losses(case, comm if case.mesh.size > 1 else MPI.COMM_SELF, folder)
    assert expected[0] - expected[-1] > 0.3  # it learns, so a wrong update would show
    # Rounding of fp32 grows through eight steps of Adam; mixed-up elements differ by tens of per cent.
    assert found == pytest.approx(expected, rel=1e-3)
