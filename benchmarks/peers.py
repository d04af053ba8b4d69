"""Our strategies against PyTorch's own over gloo, and against the limit: same model, batch, threads and optimizer.

    mpirun -n 2 --bind-to none python -m mpi4py -m benchmarks.peers --models minilm,gpt2,long --rounds 12

Both sides of a pair live at once and take turns: a round is a few steps of one, then of the other, and the next round
begins with the other. Each round gives a ratio, so what slows the machine slows both; the table has the median ratio with
its rank-based 95 % interval. The limit is what one process needs for the whole batch, divided by the ranks (all ranks run
it at the same time, so that they contend for memory as in the real step), plus the bytes that a rank must send over the
measured rate of a link. Over a real or emulated network: give mpirun its hostfile, gloo its interface
(GLOO_SOCKET_IFNAME) and this script a ``--store`` that all hosts see.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.distributed as dist
import yaml
from mpi4py import MPI

from bench.common.median_interval import median_interval
from bench.common.paths import CONF
from bench.config.model_config import ModelConfig
from bench.point.resolved_point import model_spec
from bench.training.trainer import make_optimizer
from benchmarks import torch_peers
from strategies.base import Batch, check_options, get
from strategies.comm.comm_options import CommOptions
from strategies.comm.ledger import Ledger
from strategies.comm.mesh import Mesh
from strategies.models.pretrained_weights import WeightLoader
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape, Plan, StepShape

LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Workload:
    """A model and the batch that it trains on."""

    spec: ModelSpec
    batch: int
    seq: int


def conf_model(name: str, head: str, labels: int = 0) -> ModelSpec:
    """A model of ``conf/model``."""
    model = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text())
    return model_spec(ModelConfig(name=model["name"], spec=model["spec"]), head, labels)


MINILM = conf_model("minilm", "classifier", labels=2)
GPT2 = replace(conf_model("gpt2-small", "lm"), name="gpt2")
WORKLOADS = {
    "minilm": Workload(MINILM, 32, 64),
    "gpt2": Workload(GPT2, 8, 64),
    "gpt2-16": Workload(GPT2, 16, 64),
    "long": Workload(replace(GPT2, name="gpt2-narrow", vocab=8192, hidden=384, layers=6, ffn=1536), 2, 1024),
}
# Ours: strategy and options; the peer that does the same, or None where torch has none on CPU.
Pair = tuple[str, dict[str, Any], "str | None"]
PAIRS: list[Pair] = [
    ("data", {}, "data"),
    ("data", {"zero": 1}, "zero"),
    ("data", {"zero": 1}, "fsdp"),
    ("tensor", {}, "tensor"),
    ("tensor", {"norms": "split"}, None),
    ("pipeline", {"schedule": "gpipe"}, "pipeline-gpipe"),
    ("pipeline", {"schedule": "1f1b"}, "pipeline-1f1b"),
    ("pipeline", {"schedule": "zero_bubble"}, None),
    ("sequence", {"attention": "ring"}, None),
    ("sequence", {"attention": "ulysses"}, None),
]


class Ours:
    """A strategy with its optimizer."""

    def __init__(self, work: Workload, comm: MPI.Intracomm, strategy: str, options: Mapping[str, Any], wait: str) -> None:
        cls = get(strategy)
        mesh = cls.mesh_for(comm.size, {}) if cls.axes else MeshShape()
        shape = StepShape(work.batch, work.seq, cls.micro_batches(None, mesh))
        self.plan: Plan = cls.plan(work.spec, shape, mesh, check_options(cls, options))
        self.ledger = Ledger()
        comm_options = CommOptions(wait)  # type: ignore[arg-type]
        self.strategy = cls(self.plan, Mesh(comm, mesh, self.ledger, comm_options, volumes=self.plan.volumes))
        with WeightLoader(work.spec, None, torch_peers.SEED) as load:
            self.strategy.build(load, torch.float32)
        self.optimizer = make_optimizer(
            self.strategy.trainable(), optimizer="adamw", lr=LEARNING_RATE, weight_decay=torch_peers.WEIGHT_DECAY
        )

    def step(self, batch: Batch) -> float:
        loss = self.strategy.step(batch)
        self.optimizer.step()
        self.strategy.updated()
        self.ledger.entries.clear()
        return float(loss)

    def close(self) -> None:
        self.strategy.close()


def make_batch(work: Workload, step: int) -> Batch:
    """Full samples, as a language model's are, or padded to various lengths for a classifier."""
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(1, work.spec.vocab, (work.batch, work.seq), generator=generator)
    if work.spec.head == "lm":
        targets = torch.cat([ids[:, 1:], torch.full((work.batch, 1), -100)], 1)
        return Batch(ids, torch.ones_like(ids, dtype=torch.bool), targets)
    mask = torch.arange(work.seq) < torch.randint(8, work.seq + 1, (work.batch, 1), generator=generator)
    return Batch(ids * mask, mask, torch.randint(0, work.spec.labels, (work.batch,), generator=generator))


def turns(
    comm: MPI.Comm, contestants: Sequence[Callable[[Batch], object]], work: Workload, rounds: int, steps: int
) -> list[list[float]]:
    """Seconds per step of each contestant in each round; the slowest rank counts, and the order changes every round."""
    for contestant in contestants:
        for step in range(3):
            contestant(make_batch(work, step))
    found: list[list[float]] = [[] for _ in contestants]
    for number in range(rounds):
        order = list(range(len(contestants)))
        for index in order if number % 2 else reversed(order):
            comm.Barrier()
            begin = time.monotonic()
            for step in range(steps):
                contestants[index](make_batch(work, step))
            found[index].append(comm.allreduce((time.monotonic() - begin) / steps, op=MPI.MAX))
    return found


def link_rate(comm: MPI.Comm, size: int = 2**24) -> float:
    """Bytes per second of one direction between neighbours that send to each other at once: the best of ten."""
    sent, received = bytearray(size), bytearray(size)
    partner, times = comm.rank ^ 1, []
    for _ in range(10):
        comm.Barrier()
        begin = time.monotonic()
        if partner < comm.size:
            comm.Sendrecv(sent, partner, recvbuf=received, source=partner)
        times.append(time.monotonic() - begin)
    return size / comm.allreduce(min(times), op=MPI.MAX)


def wire_per_rank(plan: Plan) -> float:
    """Bytes that a rank must send in a step, mean over ranks."""
    return sum(volume.wire_bytes for volume in plan.volumes) / len(plan.placements)


def compare(comm: MPI.Intracomm, work: Workload, pair: Pair, args: argparse.Namespace, rate: float) -> None:
    """One line of the table."""
    name, options, other = pair
    ours = Ours(work, comm, name, options, args.wait)
    alone = Ours(work, MPI.COMM_SELF, "single", {}, "spin")
    contestants: list[Callable[[Batch], object]] = [ours.step, alone.step]
    peer = None
    if other is not None:
        cls = next(cls for cls in torch_peers.peers(comm.size, work.spec) if cls.name == other)
        peer = cls(work.spec, work.batch, work.seq, ours.plan.shape.micro_batches, LEARNING_RATE)
        run = peer.step
        contestants.append(lambda batch: run(batch.ids, batch.mask, batch.targets))
    found = turns(comm, contestants, work, args.rounds, args.steps)
    sending = wire_per_rank(ours.plan) / rate
    limits = [own / (single / comm.size + sending) for own, single in zip(found[0], found[1], strict=True)]
    cells = [work.spec.name, title((name, options, None)), f"{1e3 * median(found[0]):.0f}"]
    if peer is None:
        cells += ["-", "-", "-"]
    else:
        cells += [
            other or "",
            f"{1e3 * median(found[2]):.0f}",
            interval([a / b for a, b in zip(found[0], found[2], strict=True)]),
        ]
    cells += [f"{1e3 * median(found[1]) / comm.size + 1e3 * sending:.0f}", interval(limits)]
    if comm.rank == 0:
        print("| " + " | ".join(cells) + " |", flush=True)
    ours.close()
    alone.close()
    del ours, alone, peer, contestants
    gc.collect()


def title(pair: Pair) -> str:
    """``data zero=1 / fsdp``."""
    name, options, other = pair
    shown = " ".join([name, *(f"{key}={value}" for key, value in options.items())])
    return shown if other is None else f"{shown} / {other}"


def fits(pair: Pair, work: Workload, ranks: int) -> bool:
    """Whether the batch has a sample for every micro-batch of every replica; else the line is left out."""
    cls = get(pair[0])
    mesh = cls.mesh_for(ranks, {})
    return work.batch >= mesh.data * cls.micro_batches(None, mesh)


def interval(ratios: Sequence[float]) -> str:
    """``0.97 (0.95 to 0.99)``."""
    found = median_interval(list(ratios))
    if found["ci_low"] is None:
        return f"{found['median']:.2f} (n = {found['n']}, no interval)"
    return f"{found['median']:.2f} ({found['ci_low']:.2f} to {found['ci_high']:.2f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="minilm", help=f"of {', '.join(WORKLOADS)}, separated by commas")
    parser.add_argument("--pairs", default="", help="only lines that contain one of these words, separated by commas")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=2, help="steps of one side in a round")
    parser.add_argument("--wait", default="spin", choices=("spin", "poll"), help="how ours waits")
    parser.add_argument("--store", help="a new file that all hosts see, for gloo to meet; default: one of this machine")
    args = parser.parse_args()
    unknown = sorted(set(args.models.split(",")) - set(WORKLOADS))
    if unknown:
        parser.error(f"unknown model {', '.join(unknown)}; known are {', '.join(WORKLOADS)}")
    comm = MPI.COMM_WORLD
    torch.set_num_threads(max(1, torch.get_num_threads()))
    with tempfile.TemporaryDirectory() as folder:
        store = comm.bcast(args.store or str(Path(folder) / "store"))
        torch_peers.init(comm.rank, comm.size, store)
        rate = link_rate(comm)
        if comm.rank == 0:
            print(f"{comm.size} ranks x {torch.get_num_threads()} threads, torch {torch.__version__}, {MPI.get_vendor()}")
            print(f"link {8e-9 * rate:.1f} Gbit/s each way; {args.rounds} rounds of {args.steps} steps; wait={args.wait}\n")
            print("| model | ours | ms | peer | ms | ours/peer (95 %) | limit ms | ours/limit (95 %) |")
            print("| --- | --- | ---: | --- | ---: | --- | ---: | --- |", flush=True)
        for name in args.models.split(","):
            for pair in PAIRS:
                if any(word in title(pair) for word in args.pairs.split(",")) and fits(pair, WORKLOADS[name], comm.size):
                    compare(comm, WORKLOADS[name], pair, args, rate)
        dist.destroy_process_group()
        comm.Barrier()
    return 0


if __name__ == "__main__":
    sys.exit(main())
