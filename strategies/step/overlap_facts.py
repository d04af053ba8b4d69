"""What the choice of halves rests on: how long a step's exchanges and products take. All ranks agree on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from strategies.plan.batch_halves import why_no_halves
from strategies.plan.shapes import Plan
from strategies.plan.tensor_volumes import AXIS
from strategies.plan.traffic import wire_bytes
from strategies.plan.training_work import training_flop
from strategies.step.overlap_choice import OverlapFacts

if TYPE_CHECKING:
    from strategies.comm.comm_choice import Trial
    from strategies.comm.mesh import Mesh

TRIES = 3
MOST_ROWS = 1024


def overlap_facts(plan: Plan, mesh: Mesh, device: torch.device, dtype: torch.dtype) -> OverlapFacts:
    """The facts of one step. Collective over all ranks.

    Args:
        plan: The step.
        mesh: Has chosen how the tensor groups communicate.
        device: Where this rank computes.
        dtype: In which it does.

    Returns:
        The same on all ranks.
    """
    world: Any = mesh.world.comm
    trials = next((one.measured for one in mesh.choices if (one.axis, one.option) == (AXIS, "all_reduce")), ())
    flop = training_flop(plan.model, plan.shape.batch, plan.shape.seq) / plan.mesh.size
    products_s: list[float] = world.allgather(flop / product_flop_s(plan, device, dtype))
    return OverlapFacts(
        device=device.type,
        why_not=why_no_halves(plan.mesh, plan.shape),
        progress=mesh.progress(AXIS),
        exchange_s=exchange_s(plan, trials),
        products_s=max(products_s),
        trials=tuple(trials),
    )


def exchange_s(plan: Plan, trials: tuple[Trial, ...]) -> float | None:
    """Seconds of a step's exchanges along the tensor axis, at the rate of the largest all-reduce that was tried.

    Args:
        plan: The step.
        trials: Of the tensor groups, ascending by size.

    Returns:
        Seconds, mean over the ranks; None without trials.
    """
    if not trials:
        return None
    largest = trials[-1]
    rate_byte_s = wire_bytes("all_reduce", largest.payload_bytes, plan.mesh.tensor) / largest.seconds[largest.chosen]
    sent = sum(volume.wire_bytes for volume in plan.volumes if volume.axis == AXIS)
    return sent / len(plan.placements) / rate_byte_s


def product_flop_s(plan: Plan, device: torch.device, dtype: torch.dtype) -> float:
    """The rate of a product such as those of a step, on this rank while the others try it too: the best of three.

    Args:
        plan: The step.
        device: Where this rank computes.
        dtype: In which it does.

    Returns:
        Operations per second, two for each multiply and add.
    """
    rows = max(1, min(MOST_ROWS, plan.shape.batch * plan.shape.seq // (plan.mesh.data * plan.shape.micro_batches)))
    columns = max(1, plan.model.ffn // plan.mesh.tensor)
    left = torch.zeros(rows, plan.model.hidden, dtype=dtype, device=device)
    right = torch.zeros(plan.model.hidden, columns, dtype=dtype, device=device)
    took = []
    for _ in range(TRIES):
        begin_s = time.perf_counter()
        _ = (left @ right).view(-1)[:1].cpu()  # a GPU has finished when this is here
        took.append(time.perf_counter() - begin_s)
    return 2 * rows * plan.model.hidden * columns / min(took)
