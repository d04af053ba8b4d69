"""Whether a micro-batch can be run in two halves that take turns. Pure."""

from __future__ import annotations

from strategies.plan.shapes import MeshShape, StepShape


def why_no_halves(mesh: MeshShape, shape: StepShape) -> str | None:
    """What keeps the halves of a micro-batch from taking turns.

    Args:
        mesh: Ranks of each axis.
        shape: The step.

    Returns:
        The reason in words; None where they can.
    """
    if mesh.tensor == 1:
        return "no layer is split over tensor ranks, so there are no reductions to hide"
    if mesh.pipeline > 1:
        return "stages of a pipeline interleave micro-batches already"
    if shape.batch <= mesh.data * shape.micro_batches:
        samples = f"{shape.batch} samples in {mesh.data} x {shape.micro_batches} micro-batches"
        return f"{samples} are one each, which has no halves"
    return None
