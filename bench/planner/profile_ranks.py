"""Seconds of a model's parts, of messages, of waiting.

``mpirun ... python -m mpi4py -m bench.planner.profile_ranks order.json``.

Every slot of every host has a rank, and all measure at once, as they will all compute at once in a run. Each part of the model
(embedding, one block, head and loss) runs by itself, whole and cut as tensor parallelism would cut it, again and again for
``seconds``: boards whose processor is given in slices show their mean speed only over several slices. Rank 0 writes the
profile.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import torch
from torch import Tensor

from bench.cluster.link_rates import links, rest
from bench.cluster.rank_hosts import host_of
from bench.config.point_config import PointConfig
from bench.prediction.cluster_profile import Curve, HostProfile, LinkProfile, Part, Profile
from bench.timeline.rank_report import RankFacts
from bench.training import process_memory, rank_setup
from bench.training.trainer import make_optimizer
from strategies.base import Batch
from strategies.comm.comm_options import ALL_REDUCES, AllReduceTable, GroupOptions, Wait
from strategies.comm.group import Group
from strategies.comm.ledger import Ledger
from strategies.comm.waiting import Waiting
from strategies.models.transformer import MicroBatch, Transformer
from strategies.plan.model_spec import ModelSpec
from strategies.plan.placement import place
from strategies.plan.shapes import OPTIMIZER_STATES, MeshShape, StepShape
from strategies.plan.step_options import StepOptions

if TYPE_CHECKING:
    from mpi4py import MPI

LONGEST_S = 1.0
WEIGHT_STD, FEW = 0.02, 4099
ELEMENTS = 1 << 20
WAIT_S = 0.5
WAITS: tuple[Wait, ...] = ("spin", "poll")
REDUCE_BYTES = (4096, 65536, 1 << 20, 4 << 20)
REDUCES = 5


class Spent(NamedTuple):
    """Means of one run of a part: seconds forward and backward, and the cores that both used."""

    forward_s: float
    backward_s: float
    cores: float


def mean_times(
    forward: Callable[[], Tensor], backward: Callable[[Tensor], object], seconds: float, settled: Callable[[], object]
) -> Spent:
    """Run a part once to warm up, then for some time and at least once.

    Args:
        forward: Computes the output.
        backward: Takes it back to the gradients.
        seconds: How long both are repeated, s.
        settled: Returns when the device has finished its work.

    Returns:
        Means of one run.
    """
    backward(forward())
    settled()
    runs, forward_s, backward_s = 0, 0.0, 0.0
    begin_s, cpu_s = time.perf_counter(), time.process_time()
    while not runs or forward_s + backward_s < seconds:
        before = time.perf_counter()
        y = forward()
        settled()
        between = time.perf_counter()
        backward(y)
        settled()
        forward_s, backward_s = forward_s + between - before, backward_s + time.perf_counter() - between
        runs += 1
    cores = (time.process_time() - cpu_s) / (time.perf_counter() - begin_s)
    return Spent(forward_s / runs, backward_s / runs, cores)


class Parts:
    """A model of one layer, cut for the first of ``tensor`` ranks; it talks to nobody."""

    def __init__(self, spec: ModelSpec, shape: StepShape, tensor: int, device: str) -> None:
        self.spec, self.shape = replace(spec, layers=1), shape
        self.placement = place(self.spec, shape, MeshShape(tensor=tensor), StepOptions(tensor_shares=[1] * tensor))[0]
        self.dtype, self.device = getattr(torch, shape.dtype), torch.device(device)
        with torch.device("meta"):
            module = Transformer(self.spec, self.placement).to(self.dtype)
        self.module = module.to_empty(device=self.device)
        # What the weights are does not change the time, as long as they are no denormal numbers; a slow board draws a few.
        noise = WEIGHT_STD * torch.randn(FEW, dtype=self.dtype, device=self.device)
        with torch.no_grad():
            for parameter in self.module.parameters():
                count = parameter.numel()
                parameter.view(-1).copy_(noise.repeat(-(-count // FEW))[:count])

    def runs(self, part: Part, samples: int) -> tuple[Callable[[], Tensor], Callable[[Tensor], object]]:
        """The forward and the backward of a part.

        Args:
            part: ``embed``, ``block`` or ``head``.
            samples: How many samples go through it at once.

        Returns:
            A function that computes the output, and one that takes it back.
        """
        micro, module = self._micro(samples), self.module
        x = torch.randn(samples, self.shape.seq, self.spec.hidden, dtype=self.dtype, device=self.device)
        gradient = torch.randn_like(x)
        x.requires_grad_()
        if part == "embed":
            return lambda: module.embed(micro), lambda y: y.backward(gradient)  # type: ignore[misc]
        if part == "block":
            context = module._context(micro, self.dtype)
            return lambda: module.blocks["0"](x, context), lambda y: y.backward(gradient)
        return lambda: module.loss_sum(x if module.norm is None else module.norm(x), micro), lambda y: y.backward()

    def _micro(self, samples: int) -> MicroBatch:
        begin, end = self.placement.units["vocab"]
        ids = torch.randint(end - begin, (samples, self.shape.seq))
        classes = self.spec.head == "classifier"
        targets = torch.randint(self.spec.labels, (samples,)) if classes else ids
        return MicroBatch.of(Batch(ids, torch.ones_like(ids, dtype=torch.bool), targets).to(self.device), self.placement)


def sizes(most: int) -> list[int]:
    """The numbers of samples that are measured.

    Args:
        most: The largest, at least 1.

    Returns:
        1, 2, 4, ... and ``most``, ascending.
    """
    return sorted({*(1 << power for power in range(most.bit_length())), most})


def curves(order: Mapping[str, Any], device: str, settled: Callable[[], object]) -> Iterator[tuple[Curve, list[float]]]:
    """Measure each part under each cut. A curve ends at the first size that takes longer than LONGEST_S.

    Args:
        order: What ``order_of`` made, with the point as an object.
        device: The device of torch, such as ``cpu``.
        settled: Returns when the device has finished its work.

    Yields:
        A curve, and the cores that each of its sizes used.
    """
    point = order["point"]
    spec, train = point.model.spec, point.train
    shape = StepShape(order["samples"], train.seq, 1, train.dtype)
    for tensor in order["tensor"]:
        parts = Parts(spec, shape, tensor, device)
        for part in ("embed", "block", "head"):
            by_count: list[tuple[int, Spent]] = []
            for samples in sizes(order["samples"]) if part == "block" else sorted({1, order["samples"]}):
                spent = mean_times(*parts.runs(part, samples), order["seconds"], settled)
                by_count.append((samples, spent))
                if spent.forward_s + spent.backward_s > LONGEST_S:
                    break
            counts, spents = zip(*by_count, strict=True)
            forward_s, backward_s, cores = zip(*spents, strict=True)
            yield Curve(part, tensor, counts, forward_s, backward_s), list(cores)  # type: ignore[arg-type]


def optimizer_s(name: str, dtype: torch.dtype, device: str, seconds: float, settled: Callable[[], object]) -> float:
    """Seconds of the optimizer for one element: its update, and setting its gradient to zero.

    Args:
        name: The optimizer, as ``train.optimizer`` names it.
        dtype: Type of the weights.
        device: The device of torch.
        seconds: How long it is repeated, s.
        settled: Returns when the device has finished its work.

    Returns:
        Seconds of one element.
    """
    weights = torch.nn.Parameter(torch.randn(ELEMENTS, dtype=dtype, device=device))
    weights.grad = torch.randn_like(weights)
    optimizer = make_optimizer([(weights, False)], optimizer=name, lr=1e-6, weight_decay=0.01)
    spent = mean_times(lambda: weights.grad.zero_(), lambda _: optimizer.step(), seconds, settled)  # type: ignore[union-attr]
    return (spent.forward_s + spent.backward_s) / ELEMENTS


def waiting_cores(comm: MPI.Intracomm) -> dict[str, float]:
    """Cores that this rank used while it waited for another one. Collective.

    Args:
        comm: The communicator of all ranks.

    Returns:
        Cores by ``comm.wait``; empty for a lone rank.
    """
    rank, last = comm.Get_rank(), comm.Get_size() - 1
    cores: dict[str, float] = {}
    for wait in WAITS if last else ():
        for sleeper in (last, 0):
            rest(comm)
            begin_s, cpu_s = time.perf_counter(), time.process_time()
            if rank == sleeper:
                time.sleep(WAIT_S)
            Waiting(wait).finish(comm.Ibarrier())
            if (rank == last) == (sleeper == 0):
                cores[wait] = (time.process_time() - cpu_s) / (time.perf_counter() - begin_s)
    return cores


def all_reduces(comm: MPI.Intracomm) -> dict[str, list[tuple[int, float]]]:
    """Time all-reduces over all ranks by every algorithm. Collective.

    Args:
        comm: The communicator of all ranks.

    Returns:
        (bytes, seconds) by algorithm: the median of what its slowest rank took; empty for a lone rank.
    """
    from mpi4py import MPI

    if comm.Get_size() == 1:
        return {}
    tables: dict[str, list[tuple[int, float]]] = {}
    for algorithm in ALL_REDUCES:
        options = GroupOptions(all_reduce=AllReduceTable.always(algorithm))
        group = Group(comm, "world", tuple(range(comm.Get_size())), Ledger(), options)
        tables[algorithm] = [(size, _all_reduce_s(group, comm, size, MPI.MAX)) for size in REDUCE_BYTES]
    return tables


def _all_reduce_s(group: Group, comm: MPI.Intracomm, size: int, longest: Any) -> float:
    tensor, took = torch.zeros(size // 4), []
    for _ in range(REDUCES + 1):
        comm.Barrier()
        begin_s = time.perf_counter()
        group.all_reduce_(tensor)
        took.append(comm.allreduce(time.perf_counter() - begin_s, longest))
    return median(took[1:])  # the first one makes the connections


def of_rank(order: Mapping[str, Any], comm: MPI.Intracomm, facts: RankFacts, baseline_bytes: int) -> HostProfile:
    """This rank's host as this rank finds it. Collective, since waiting is.

    Args:
        order: What ``order_of`` made, with the point as an object.
        comm: The communicator of all ranks.
        facts: This rank's host, device and threads.
        baseline_bytes: Resident memory of this process before it held a model.

    Returns:
        The host's profile by this rank alone.
    """
    point, device, rank = order["point"], facts.device, comm.Get_rank()
    host, dtype = host_of(point, rank), getattr(torch, point.train.dtype)
    settled = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    comm.Barrier()
    measured = list(curves(order, device, settled))
    about = order["hosts"][facts.host]
    updates = {name: optimizer_s(name, dtype, device, order["seconds"], settled) for name in OPTIMIZER_STATES}
    capacity = about["cores"] or float(os.cpu_count() or 1)
    busy = fmean(cores[-1] for curve, cores in measured if curve.part == "block")
    return HostProfile(
        host=facts.host,
        board=host.board,
        slots=host.slots,
        threads=facts.threads,
        cores=capacity,
        busy_cores=busy if device == "cpu" else capacity / host.slots,  # a GPU at work is a busy board
        waiting_cores=waiting_cores(comm),
        optimizer_s=updates,
        curves=tuple(curve for curve, _ in measured),
        watts=about["watts"],
        memory_bytes=about["memory_bytes"] or psutil.virtual_memory().total,
        baseline_bytes=baseline_bytes,
    )


def together(profiles: Sequence[HostProfile]) -> HostProfile:
    """The ranks of one host as one: means of seconds and cores, over the sizes that all have.

    Args:
        profiles: Of one host, one for each of its ranks.

    Returns:
        The host's profile; its baseline is the largest.
    """

    def mean(curves: Sequence[Curve]) -> Curve:
        count = min(len(curve.samples) for curve in curves)
        forward_s, backward_s = (
            tuple(fmean(values) for values in zip(*(getattr(curve, key)[:count] for curve in curves), strict=True))
            for key in ("forward_s", "backward_s")
        )
        return replace(curves[0], samples=curves[0].samples[:count], forward_s=forward_s, backward_s=backward_s)

    def means(key: str) -> dict[str, float]:
        return {name: fmean(getattr(one, key)[name] for one in profiles) for name in getattr(profiles[0], key)}

    return replace(
        profiles[0],
        busy_cores=fmean(one.busy_cores for one in profiles),
        waiting_cores=means("waiting_cores"),
        optimizer_s=means("optimizer_s"),
        curves=tuple(mean(same) for same in zip(*(one.curves for one in profiles), strict=True)),
        baseline_bytes=max(one.baseline_bytes for one in profiles),
    )


def main(argv: list[str]) -> int:
    """Entry of each rank."""
    from mpi4py import MPI

    from bench.common.atomic_files import write_json

    comm = MPI.COMM_WORLD
    order = comm.bcast(json.loads(Path(argv[0]).read_text()) if comm.Get_rank() == 0 else None)
    order["point"] = point = PointConfig.from_json(order["point"], "the order's point")
    baseline = process_memory.resident_bytes()
    facts = rank_setup.settle(point, comm, rank_setup.locate(point, comm))
    torch.manual_seed(0)
    reduces = all_reduces(comm)
    pairs = links(comm, order["megabytes"])
    host_profile = of_rank(order, comm, facts, baseline)
    gathered = comm.gather(host_profile)
    if gathered is None:
        return 0
    by_host: dict[str, list[HostProfile]] = {}
    for one in gathered:
        by_host.setdefault(one.host, []).append(one)
    labels = [one.host for one in gathered]
    profile = Profile(
        about=order["about"],
        hosts=tuple(together(same) for same in by_host.values()),
        links=tuple(LinkProfile(labels[p.low], labels[p.high], p.latency_s, p.there_bit_s, p.back_bit_s) for p in pairs),
        ranks=comm.Get_size(),
        all_reduce=reduces,
    )
    write_json(Path(order["found"]), profile.to_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
