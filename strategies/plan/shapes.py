"""What one configuration will do, computed before anything runs: mesh, placement, memory and traffic of one step.

Pure arithmetic on a ModelSpec: neither torch nor MPI. The launch host uses it to refuse what cannot run and to
predict bytes; every rank uses the same plan to find its shard; the record compares it with what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import either
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.step_options import StepOptions

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
        """Coordinate of ``rank`` on each axis."""
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

    @classmethod
    def of(cls, train: Mapping[str, Any]) -> StepShape:
        """From the ``train`` section of a configuration."""
        names = ("batch", "seq", "micro_batches", "dtype", "optimizer", "recompute")
        return cls(**{name: train[name] for name in names})

    @property
    def element_bytes(self) -> int:
        """Bytes of one element of the training's dtype."""
        return ELEMENT_BYTES[self.dtype]


@dataclass(frozen=True)
class Volume:
    """Traffic of one operation in one optimizer step, summed over all ranks.

    ``payload_bytes`` are the buffers handed to MPI (for a message: by its sender); ``wire_bytes`` what a
    bandwidth-optimal algorithm sends for them.
    """

    axis: str
    op: str
    phase: str
    calls: int
    payload_bytes: int
    wire_bytes: float

    @property
    def key(self) -> str:
        """``axis.op.phase``, as the ledger sums by."""
        return f"{self.axis}.{self.op}.{self.phase}"


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
    options: Mapping[str, Any]
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


def volume(axis: str, op: str, phase: str, calls: int, payload_bytes: int, ranks: int) -> Volume:
    """The traffic of one rank in a group.

    Args:
        axis: The group's name.
        op: The operation.
        phase: ``forward``, ``backward`` or ``optimizer``.
        calls: How many operations.
        payload_bytes: Of one of them.
        ranks: Ranks of the group.
    """
    return Volume(axis, op, phase, calls, calls * payload_bytes, calls * wire_bytes(op, payload_bytes, ranks))


def wire_bytes(op: str, payload_bytes: float, ranks: int) -> float:
    """Bytes that one rank sends when its payload goes through a bandwidth-optimal algorithm.

    | operation      | payload (what a rank hands to MPI) | sent                    |
    |----------------|------------------------------------|-------------------------|
    | all_reduce     | the buffer                         | 2 (n-1)/n of it (ring)  |
    | reduce_scatter | the whole buffer                   | (n-1)/n of it           |
    | all_to_all     | its parts for all ranks            | (n-1)/n of them         |
    | all_gather     | its own part                       | (n-1) times it          |
    | send           | the message, counted by its sender | the message             |

    (Factors: nccl-tests, doc/PERFORMANCE.md.) With uneven parts these are the means over the ranks.
    """
    factor = {
        "all_reduce": 2 * (ranks - 1) / ranks,
        "reduce_scatter": (ranks - 1) / ranks,
        "all_to_all": (ranks - 1) / ranks,
        "all_gather": float(ranks - 1),
        "send": 1.0,
    }
    return factor[op] * payload_bytes


def merge(volumes: Iterable[Volume]) -> Iterator[Volume]:
    """Volumes of the same key as one, in order of first appearance; empty ones are dropped."""
    by_key: dict[str, list[Volume]] = {}
    for one in volumes:
        if one.calls:
            by_key.setdefault(one.key, []).append(one)
    for same in by_key.values():
        yield Volume(
            same[0].axis,
            same[0].op,
            same[0].phase,
            sum(v.calls for v in same),
            sum(v.payload_bytes for v in same),
            sum(v.wire_bytes for v in same),
        )
