"""The mesh, the shape of one step, and the whole plan of a configuration, computed before anything runs.

Pure arithmetic on a ModelSpec: neither torch nor MPI. The launch host uses it to refuse what cannot run and to
predict bytes; every rank uses the same plan to find its shard; the record compares it with what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import either
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.step_options import StepOptions
from strategies.plan.traffic import Volume

AXES = ("pipeline", "data", "sequence", "tensor")
ELEMENT_BYTES = {"float64": 8, "float32": 4}
OPTIMIZER_STATES = {"sgd": 0, "adamw": 2}
RECOMPUTE = ("none", "blocks")


@dataclass(frozen=True)
class MeshShape:
    """How many ranks each axis has. Ranks are numbered row-major: the tensor axis varies fastest."""

    pipeline: int = 1
    data: int = 1
    sequence: int = 1
    tensor: int = 1

    def __post_init__(self) -> None:
        for axis in AXES:
            if getattr(self, axis) < 1:
                raise PlanError(f"<mesh {axis}>={getattr(self, axis)} must be at least 1")

    @property
    def size(self) -> int:
        """Ranks of the mesh."""
        return math.prod(self.dims)

    @property
    def dims(self) -> tuple[int, ...]:
        """Ranks of each axis, in the order of ``AXES``."""
        return tuple(getattr(self, axis) for axis in AXES)

    @property
    def description(self) -> str:
        """The mesh for a reader: ``pipeline 2 x data 1 x sequence 1 x tensor 1``."""
        return " x ".join(f"{axis} {size}" for axis, size in zip(AXES, self.dims, strict=True))

    def coordinates(self, rank: int) -> dict[str, int]:
        """A rank's place in the mesh.

        Args:
            rank: From 0, smaller than ``size``.

        Returns:
            Its coordinate on each axis, from 0.
        """
        coordinates = {}
        for axis in reversed(AXES):
            rank, coordinates[axis] = divmod(rank, getattr(self, axis))
        return {axis: coordinates[axis] for axis in AXES}


@dataclass(frozen=True)
class StepShape:
    """One optimizer step: ``batch`` samples over all ranks, of ``seq`` tokens, in ``micro_batches`` per replica.

    ``recompute=blocks`` keeps only the inputs of the blocks for backward, and computes each block again there.
    """

    batch: int
    seq: int
    micro_batches: int = 1
    dtype: str = "float32"
    optimizer: str = "adamw"
    recompute: str = "none"

    def __post_init__(self) -> None:
        for name in ("batch", "seq", "micro_batches"):
            if getattr(self, name) < 1:
                raise PlanError(f"<step {name}>={getattr(self, name)} must be at least 1")
        if self.dtype in ("bfloat16", "float16"):
            raise PlanError(
                f"<step dtype>={self.dtype} is not supported: MPI has no {self.dtype} and would sum its bytes; use float32, "
                f"and <option wire>={self.dtype} to send gradients in 16 bits"
            )
        for name, value, known in (
            ("dtype", self.dtype, ELEMENT_BYTES),
            ("optimizer", self.optimizer, OPTIMIZER_STATES),
            ("recompute", self.recompute, RECOMPUTE),
        ):
            if value not in known:
                raise PlanError(f"<step {name}>={value} is unknown; use {either([*known])}")

    @property
    def element_bytes(self) -> int:
        """Bytes of one element of the training's dtype."""
        return ELEMENT_BYTES[self.dtype]


@dataclass(frozen=True)
class Memory:
    """Predicted bytes of one rank. Activations are an estimate (see ``memory.py``); the rest is exact."""

    rank: int
    parameters_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int

    @property
    def total_bytes(self) -> int:
        """All four together."""
        return self.parameters_bytes + self.gradients_bytes + self.optimizer_bytes + self.activations_bytes


@dataclass(frozen=True)
class Plan:
    """The whole prediction for one configuration; JSON through ``to_dict``. ``options`` are complete, with every default."""

    strategy: str
    model: ModelSpec
    shape: StepShape
    mesh: MeshShape
    options: Mapping[str, object]
    placements: tuple[RankPlacement, ...]
    memory: tuple[Memory, ...]
    volumes: tuple[Volume, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def step_options(self) -> StepOptions:
        """The options that steps are composed by, typed."""
        return StepOptions.of(self.options)

    def to_dict(self) -> dict[str, Any]:
        """The prediction as records have it."""
        return {
            "strategy": self.strategy,
            "mesh": asdict(self.mesh),
            "placement": [asdict(placement) for placement in self.placements],
            "memory": [{**asdict(memory), "total_bytes": memory.total_bytes} for memory in self.memory],
            "volumes": [asdict(volume) for volume in self.volumes],
            "notes": list(self.notes),
        }
