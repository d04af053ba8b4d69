"""Whether every peer trains as one process does: losses and all gradients, of a small BERT and a small GPT-2.

mpirun -n 2 --oversubscribe python -m mpi4py -m benchmarks.peers.torch_side.peer_check
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from mpi4py import MPI
from torch import Tensor

from benchmarks.peers.torch_side.peer_list import PEERS, TWO_STAGES, peer_class, start_gloo
from benchmarks.peers.torch_side.torch_peer import PeerWork, TorchPeer
from benchmarks.peers.torch_side.twin_model import IGNORED
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import even

CHECKED = (
    ModelSpec("bert-check", "bert", 37, 24, 8, 12, 12, 36, 16, False, "layer", "post", "learned", "gelu", "classifier",
              labels=3, token_types=2),
    ModelSpec("gpt2-check", "gpt2", 37, 24, 8, 12, 12, 36, 16, True, "layer", "pre", "learned", "gelu_tanh", "lm",
              norm_eps=1e-5, tied=True),
)  # fmt: skip
BATCH, SEQ, STEPS, LEARNING_RATE = 24, 8, 3, 0.01
TOLERANCE = 1e-4  # fp32, gradients of order 1e-2 to 1
TOLERANCE_BF16 = 5e-2  # 8 bits of mantissa in the gradients, and Adam's steps of 0.01 whatever their size


def make_batch(spec: ModelSpec, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Samples padded on the right, with targets that do not count.

    Args:
        spec: The model.
        step: Draws another batch for each.

    Returns:
        Token ids, mask, targets.
    """
    generator = torch.Generator().manual_seed(step)
    mask = torch.arange(SEQ) < torch.randint(2, SEQ + 1, (BATCH, 1), generator=generator)
    ids = torch.randint(1, spec.vocab, (BATCH, SEQ), generator=generator) * mask
    if spec.head == "classifier":
        return ids, mask, torch.randint(0, spec.labels, (BATCH,), generator=generator)
    return ids, mask, F.pad(torch.where(mask[:, 1:], ids[:, 1:], IGNORED), (0, 1), value=IGNORED)


def check(comm: MPI.Intracomm) -> bool:
    """Compare every peer with one process; prints a line for each. Collective.

    Gradients are compared too: Adam, and so the losses, would not see that all of them are a number of times too large.

    Args:
        comm: The ranks that gloo was started between.

    Returns:
        Whether all are right.
    """
    right = True
    for spec in CHECKED:
        micros = 2 * comm.size
        batches = [make_batch(spec, step) for step in range(STEPS)]
        alone = TorchPeer(PeerWork(spec, BATCH, SEQ, micros, LEARNING_RATE))
        expected, whole = [alone.step(*batch) or 0.0 for batch in batches], alone.gradients()
        whole.setdefault("head.weight", whole["embed.tokens.weight"])
        for name in PEERS:
            stages = tuple(even(spec.layers, comm.size * (2 if name in TWO_STAGES else 1)))
            trained = peer_class(name)(PeerWork(spec, BATCH, SEQ, micros, LEARNING_RATE, stages))
            losses = [comm.allreduce(trained.step(*batch) or 0.0) for batch in batches]
            allowed = TOLERANCE_BF16 if name == "data-bf16" else TOLERANCE
            same = all(abs(a - b) < allowed for a, b in zip(losses, expected, strict=True))
            same &= all(float((g - whole[key]).abs().max()) < allowed for key, g in trained.gradients().items())
            same = comm.allreduce(same, op=MPI.LAND)
            right &= same
            if comm.rank == 0:
                shown = " ".join(f"{loss:.6f}" for loss in losses)
                print(f"{spec.name:10} {name:20} {shown} {'ok' if same else 'WRONG'}", flush=True)
    return right


def main() -> int:
    comm = MPI.COMM_WORLD
    with tempfile.TemporaryDirectory() as folder:
        start_gloo(comm.rank, comm.size, comm.bcast(str(Path(folder) / "store")))
        right = check(comm)
        dist.destroy_process_group()
        comm.Barrier()
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
