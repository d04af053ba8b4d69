"""What would run: the points in their order, and for each configuration its plan, its schedule and its command."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.campaign.point_launch import job_of
from bench.cluster.rank_hosts import hosts_of
from bench.common.terminal_table import si
from bench.config.point_config import PointConfig
from bench.faults.fault_settings import plan_after
from bench.faults.state_pieces import copy_bytes
from bench.point.resolved_point import plan_of
from bench.timeline.measured_schedule import stage_actions
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import Plan
from strategies.schedules import Action, text
from strategies.schedules.simulation import simulate

MIB = 2**20
LONGEST_LINE = 140


def show(points: Sequence[PointConfig], started_by_hand: bool = False, lines: Sequence[str] = ()) -> int:
    """Print the matrix, and placement, memory, traffic, schedule and mpirun line of every configuration. Writes no file.

    Args:
        points: Resolved points in their order.
        started_by_hand: Somebody's own mpirun runs already: no mpirun line.
        lines: Lines of the campaign about itself (``bench.campaign.preview``).

    Returns:
        The exit code 0.
    """
    console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else LONGEST_LINE)
    configurations = {point.hash: point for point in reversed(points)}
    for line in lines:
        console.print(line, markup=False)
    console.print(f"{len(points)} points of {len(configurations)} configurations, in this order:")
    for point in points:
        console.print(f"  {point.point}", markup=False)
    for point in reversed(configurations.values()):
        plan = plan_of(point)
        console.print(f"\n[bold]{point.strategy.name}[/bold] on {point.ranks} ranks: {plan.mesh.description}", highlight=False)
        console.print(_ranks(plan))
        console.print(_traffic(plan))
        todo = stage_actions(plan)
        if todo:
            console.print(_schedule(plan.step_options.schedule, todo))
        if point.predicted is not None:
            console.print(_predicted(point.predicted, point.train.batch), markup=False)
        if not started_by_hand:
            launcher, job = job_of(point)
            console.print(shlex.join(launcher.command(job)), markup=False)
        if point.fault is not None:
            _failure(console, point, plan)
    return 0


def _failure(console: Console, point: PointConfig, plan: Plan) -> None:
    """What copies of the state take, and the plan of the ranks that are left."""
    assert point.fault is not None
    copies, after = copy_bytes(plan, hosts_of(point)), plan_after(point)
    most, sent = max(kept for kept, _ in copies), sum(sent for _, sent in copies)
    console.print(f"Two copies of the state: at most {2 * most / MIB:.1f} MiB on a rank; {sent:,} bytes are sent for each")
    console.print(f"After rank {point.fault.rank} is killed: {after.mesh.description}")
    console.print(_ranks(after))


def _predicted(prediction: Mapping[str, Any], samples: int) -> str:
    """What the profile predicts for a step, in one line."""
    joules = f", {prediction['step_J'] / samples:.3g} J/sample" if prediction["step_J"] is not None else ""
    time = f"{si(prediction['step_s'], 's')} a step, {samples / prediction['step_s']:.3g} samples/s"
    return f"Predicted from {prediction['profile']['file']}: {time}{joules} (modelled)"


def _ranks(plan: Plan) -> Table:
    table = Table(title="Plan and predicted memory of each rank (MiB)", title_justify="left")
    columns = ("rank", "layers", "samples", "micro-batches", "tensor part")
    for name in (*columns, "parameters", "gradients", "optimizer", "activations (estimate)", "total"):
        table.add_column(name, justify="right")
    for placement, memory in zip(plan.placements, plan.memory, strict=True):
        sizes = (
            memory.parameters_bytes,
            memory.gradients_bytes,
            memory.optimizer_bytes,
            memory.activations_bytes,
            memory.total_bytes,
        )
        table.add_row(
            str(placement.rank),
            ", ".join(f"{begin}-{end - 1}" for begin, end in placement.layers),
            _samples(placement),
            "+".join(map(str, placement.micro_samples)),
            f"{placement.tensor[0] + 1} of {placement.tensor[1]}",
            *(f"{size / MIB:.1f}" for size in sizes),
        )
    return table


def _samples(placement: RankPlacement) -> str:
    """Samples and, where they are split, tokens: ``0-15`` or ``0-31 tokens 0-15, 48-63``."""
    shown = (
        f"{placement.micros[0][0]}-{placement.micros[-1][1] - 1}"
        if placement.member[1] == 1
        else f"{sum(placement.micro_samples)} shared"
    )
    if placement.coordinates["sequence"] or placement.tokens[0][0] or len(placement.tokens) > 1:
        shown += " tokens " + ", ".join(f"{begin}-{end - 1}" for begin, end in placement.tokens)
    return shown


def _traffic(plan: Plan) -> Table:
    table = Table(title="Predicted traffic of one step, all ranks together", title_justify="left")
    for name in ("operation", "calls", "payload bytes", "bytes on the wire"):
        table.add_column(name, justify="left" if name == "operation" else "right")
    for volume in plan.volumes:
        table.add_row(volume.key, str(volume.calls), f"{volume.payload_bytes:,}", f"{volume.wire_bytes:,.0f}")
    if not plan.volumes:
        table.add_row("none", "0", "0", "0")
    return table


def _schedule(name: str, todo: Sequence[Sequence[Action]]) -> Table:
    """The order of computation on each stage, and the bubble that it would have on equal stages."""
    bubble = simulate(todo, [1.0] * len(todo), [2.0] * len(todo), weight_share=0.5).bubble
    table = Table(
        title=f"Schedule {name}: bubble {100 * bubble:.1f} % if stages are equal, backward is 2 x forward, messages are free",
        caption="F forward, B backward of a micro-batch; I and W: its input and weight gradients apart (taken as equal)",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("stage", justify="right")
    table.add_column("order of computation")
    frame = len("│ stage │  │")
    for stage, order in enumerate(todo):
        table.add_row(str(stage), textwrap.shorten(text(order), LONGEST_LINE - frame, placeholder=" ..."))
    return table
