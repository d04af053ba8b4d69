"""Run under mpirun over TCP: for several strategies, what the plan says is sent and what the kernel counted on loopback."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from mpi4py import MPI

from strategies.base import Batch, check_options, get
from strategies.comm.comm_options import CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.models.pretrained_weights import WeightLoader
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import StepShape

SPEC = ModelSpec(
    "wide", "gpt2", 2000, 240, 6, 12, 12, 240, 128, True, "layer", "pre", "learned", "gelu_tanh", "lm", norm_eps=1e-5,
)  # fmt: skip
SHAPE = StepShape(batch=12, seq=120, micro_batches=2, optimizer="sgd")
STEPS = 4
CASES: list[tuple[str, dict[str, Any]]] = [
    ("data", {}),
    ("data", {"zero": 1}),
    ("data", {"wire": "bfloat16"}),
    ("server", {}),
    ("sequence", {"attention": "ring"}),
    ("sequence", {"attention": "ulysses"}),
    ("tensor", {}),
    ("tensor", {"norms": "split"}),
    ("pipeline", {}),
]


def sent_bytes() -> int:
    """Bytes that the kernel has sent over the loopback interface."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    (loopback,) = (line.split(":")[1].split() for line in lines if line.strip().startswith("lo:"))
    return int(loopback[8])


def measure(name: str, options: dict[str, Any], comm: MPI.Intracomm) -> dict[str, Any]:
    """Bytes of ``STEPS`` steps: predicted, and counted between two barriers."""
    cls = get(name)
    shape = cls.mesh_for(comm.size, {})
    plan = cls.plan(SPEC, SHAPE, shape, check_options(cls, options))
    # MPI's own all-reduce sends more than a ring for some numbers of ranks; the formula is that of a ring.
    strategy = cls(plan, Mesh(comm, shape, Ledger(), CommOptions("spin", "inline", "ring")))
    with WeightLoader(SPEC, None, seed=1) as load:
        strategy.build(load, torch.float32)
    ids = torch.randint(1, SPEC.vocab, (SHAPE.batch, SHAPE.seq), generator=torch.Generator().manual_seed(1))
    batch = Batch(ids, torch.ones_like(ids, dtype=torch.bool), ids)
    strategy.step(batch)
    comm.Barrier()
    before = sent_bytes()
    comm.Barrier()
    for _ in range(STEPS):
        strategy.step(batch)
        strategy.updated()
    comm.Barrier()
    counted = sent_bytes() - before
    strategy.close()
    predicted = STEPS * sum(volume.wire_bytes for volume in plan.volumes)
    return {"case": f"{name} {options}", "predicted": predicted, "counted": counted}


def main() -> int:
    comm = MPI.COMM_WORLD
    torch.set_num_threads(1)
    found = [measure(name, options, comm) for name, options in CASES]
    if comm.Get_rank() == 0:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
