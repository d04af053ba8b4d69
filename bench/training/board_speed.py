"""What every emulated board achieves on a point's own model: forward and backward, all at once and one after the other.

``mpirun ... python -m mpi4py -m bench.training.board_speed order.json``, with a rank for each slot of each board.

A board computes the whole batch: training rates of classes are of whole batches, and a lone board computes one too. The model
has fewer layers where the memory of the smallest board does not take it or a run would be long, and their work is counted.
All boards compute at once, then one of them while the others sleep, then all again, and so on: so what slows the machine for
some seconds slows both. The contended speed is what the boards' shares are sized by; the difference is what neighbours take
from each other (threads of one core, caches, memory).
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from bench.cluster.link_rates import rest
from bench.config.point_config import PointConfig
from bench.training import rank_setup
from strategies.base import Batch
from strategies.models.transformer import MicroBatch, Transformer
from strategies.plan.model_spec import ModelSpec, parameter_count
from strategies.plan.placement import place
from strategies.plan.shapes import MeshShape, StepShape
from strategies.plan.step_options import StepOptions
from strategies.plan.training_work import training_flop

if TYPE_CHECKING:
    from mpi4py import MPI

WEIGHT_STD = 0.02
LEAST_RUNS = 2
SHARE_OF_MEMORY = 0.25
"""Weights and gradients may have this part of a board's memory; activations and the libraries need the rest."""
BYTES_PER_WEIGHT = 8
MOST_FLOP = 4e10
"""Of a run of forward and backward, as far as ``LEAST_LAYERS`` allow: one layer's weights could stay in a cache."""
LEAST_LAYERS = 2


class Computation:
    """Forward and backward of a model on this rank alone.

    Args:
        spec: The model.
        samples: Samples at once.
        seq: Tokens of each.
    """

    def __init__(self, spec: ModelSpec, samples: int, seq: int) -> None:
        placement = place(spec, StepShape(samples, seq), MeshShape(), StepOptions())[0]
        self.flop = training_flop(spec, samples, seq)
        self.module = Transformer(spec, placement)
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.normal_(std=WEIGHT_STD)
        ids = torch.randint(spec.vocab, (samples, seq))
        targets = torch.randint(spec.labels, (samples,)) if spec.head == "classifier" else ids
        self.micro = MicroBatch.of(Batch(ids, torch.ones_like(ids, dtype=torch.bool), targets), placement)

    def once(self) -> None:
        """Forward and backward; gradients of the last time are dropped."""
        self.module.zero_grad(set_to_none=True)
        self.module.loss_sum(self.module(None, self.micro), self.micro).backward()

    def flop_s(self, seconds: float) -> float:
        """The rate of forward and backward over at least some seconds and two runs.

        Args:
            seconds: How long it is repeated, s.

        Returns:
            FLOP/s.
        """
        runs, begin_s = 0, time.perf_counter()
        while runs < LEAST_RUNS or time.perf_counter() - begin_s < seconds:
            self.once()
            runs += 1
        return runs * self.flop / (time.perf_counter() - begin_s)


def fitting(spec: ModelSpec, samples: int, seq: int, memory_bytes: int | None) -> ModelSpec:
    """The model with as many layers as a board's memory and a short measurement take.

    Args:
        spec: The whole model.
        samples: Samples at once.
        seq: Tokens of each.
        memory_bytes: The smallest limit of the boards; None: there is none.

    Returns:
        The same model, or one with fewer layers, at least one.
    """
    most = math.inf if memory_bytes is None else SHARE_OF_MEMORY * memory_bytes / BYTES_PER_WEIGHT

    def fits(layers: int) -> bool:
        part = replace(spec, layers=layers)
        short = layers <= LEAST_LAYERS or training_flop(part, samples, seq) <= MOST_FLOP
        return short and parameter_count(part) <= most

    return replace(spec, layers=next((n for n in range(spec.layers, 1, -1) if fits(n)), 1))


def speeds(comm: MPI.Intracomm, computation: Computation, host: str, seconds: float) -> tuple[float, float]:
    """This rank's rate with all boards at work, and with only its own. Collective.

    Args:
        comm: All ranks.
        computation: What is computed.
        host: The board of this rank.
        seconds: How long each turn is, s.

    Returns:
        FLOP/s together, the median of the turns, and alone.
    """
    computation.once()
    together, alone = [_together(comm, computation, seconds)], 0.0
    for board in dict.fromkeys(comm.allgather(host)):
        if board == host:
            alone = computation.flop_s(seconds)
        rest(comm)
        together.append(_together(comm, computation, seconds))
    return median(together), alone


def _together(comm: MPI.Intracomm, computation: Computation, seconds: float) -> float:
    """The rate while every rank computes: who has been measured goes on until all have."""
    rest(comm)
    rate, others = computation.flop_s(seconds), comm.Ibarrier()
    while not others.Test():
        computation.once()
    rest(comm)
    return rate


def main(argv: list[str]) -> int:
    """Entry of each rank; rank 0 writes the FLOP/s of each board into the file that the order names."""
    from mpi4py import MPI

    from bench.common.atomic_files import write_json

    comm = MPI.COMM_WORLD
    order: Any = comm.bcast(json.loads(Path(argv[0]).read_text()) if comm.Get_rank() == 0 else None)
    point = PointConfig.from_json(order["point"], "the order's point")
    facts = rank_setup.settle(point, comm, rank_setup.locate(point, comm))
    torch.manual_seed(0)
    samples, seq = order["samples"], point.train.seq
    computation = Computation(fitting(point.model.spec, samples, seq, order["memory_bytes"]), samples, seq)
    together, alone = speeds(comm, computation, facts.host, order["seconds"])
    gathered = comm.gather((facts.host, together, alone))
    if gathered is not None:
        boards: dict[str, list[float]] = {}
        for host, *rates in gathered:
            boards[host] = [sum(pair) for pair in zip(boards.get(host, (0.0, 0.0)), rates, strict=True)]
        write_json(Path(order["found"]), {"boards": boards})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
