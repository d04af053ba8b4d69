"""Who holds what, computed before anything runs: mesh, placement, memory and traffic of one training step.

Pure arithmetic on a ModelSpec: neither torch nor MPI. The launch host uses it to refuse what cannot run and to
predict bytes; every rank uses the same plan to find its shard; the record compares it with what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from strategies.errors import PlanError
from strategies.models.spec import ModelSpec, Parameter, parameters
from strategies.partition import Span, divisors, either, even, spans, weighted

AXES = ("pipeline", "data", "sequence", "tensor")
ELEMENT_BYTES = {"float64": 8, "float32": 4}
OPTIMIZER_STATES = {"sgd": 0, "adamw": 2}


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
                raise PlanError(f"mesh.{axis}={getattr(self, axis)} must be at least 1")

    @property
    def size(self) -> int:
        return math.prod(self.dims)

    @property
    def dims(self) -> tuple[int, ...]:
        return tuple(getattr(self, axis) for axis in AXES)

    def coordinates(self, rank: int) -> dict[str, int]:
        found = {}
        for axis in reversed(AXES):
            rank, found[axis] = divmod(rank, getattr(self, axis))
        return {axis: found[axis] for axis in AXES}


@dataclass(frozen=True)
class StepShape:
    """One optimizer step: ``batch`` samples over all ranks, of ``seq`` tokens, in ``micro_batches`` per replica."""

    batch: int
    seq: int
    micro_batches: int = 1
    dtype: str = "float32"
    optimizer: str = "adamw"

    def __post_init__(self) -> None:
        for name in ("batch", "seq", "micro_batches"):
            if getattr(self, name) < 1:
                raise PlanError(f"train.{name}={getattr(self, name)} must be at least 1")
        if self.dtype not in ELEMENT_BYTES:
            raise PlanError(f"train.dtype={self.dtype} is not supported; use {either(list(ELEMENT_BYTES))}")  # type: ignore[arg-type]
        if self.optimizer not in OPTIMIZER_STATES:
            raise PlanError(f"train.optimizer={self.optimizer} is unknown; use {either(list(OPTIMIZER_STATES))}")  # type: ignore[arg-type]

    @property
    def element_bytes(self) -> int:
        return ELEMENT_BYTES[self.dtype]


@dataclass(frozen=True)
class Placement:
    """What one rank holds: its layers, its tensor shard, its samples of the global batch.

    ``layers`` and ``samples`` are half-open; ``micro_samples`` are the sizes of its micro-batches; ``tensor`` is
    (index, parts). ``first`` and ``last`` say whether it holds the embedding and the head.
    """

    rank: int
    coordinates: Mapping[str, int]
    layers: Span
    samples: Span
    micro_samples: tuple[int, ...]
    tensor: tuple[int, int]
    first: bool
    last: bool

    def holds(self, parameter: Parameter, spec: ModelSpec) -> bool:
        if parameter.place == "embed":
            return self.first or (self.last and spec.tied and parameter.name == "embed.tokens.weight")
        if parameter.place == "head":
            return self.last
        return self.layers[0] <= parameter.place < self.layers[1]

    def shard(self, parameter: Parameter, spec: ModelSpec) -> Span | None:
        """This rank's span of ``parameter.shape[parameter.split]``, or None for a tensor that is not cut."""
        if parameter.split is None or parameter.unit is None or self.tensor[1] == 1:
            return None
        units = spec.units(parameter.unit)
        width = parameter.shape[parameter.split] // units
        begin, end = even(units, self.tensor[1])[self.tensor[0]]
        return begin * width, end * width

    def local_size(self, parameter: Parameter, spec: ModelSpec) -> int:
        """Elements of ``parameter`` on this rank (0 where it does not hold it)."""
        if not self.holds(parameter, spec):
            return 0
        span = self.shard(parameter, spec)
        if span is None or parameter.split is None:
            return parameter.size
        return parameter.size // parameter.shape[parameter.split] * (span[1] - span[0])


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
        return f"{self.axis}.{self.op}.{self.phase}"


@dataclass(frozen=True)
class Memory:
    """Predicted bytes of one rank. Activations are an estimate (see ``activation_bytes``); the rest is exact."""

    rank: int
    parameters_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.parameters_bytes + self.gradients_bytes + self.optimizer_bytes + self.activations_bytes


@dataclass(frozen=True)
class Plan:
    """The whole prediction for one configuration; JSON through ``to_dict``."""

    strategy: str
    model: ModelSpec
    shape: StepShape
    mesh: MeshShape
    options: Mapping[str, Any]
    placement: tuple[Placement, ...]
    memory: tuple[Memory, ...]
    volumes: tuple[Volume, ...]
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        return {
            "strategy": self.strategy,
            "mesh": asdict(self.mesh),
            "placement": [asdict(place) for place in self.placement],
            "memory": [{**asdict(memory), "total_bytes": memory.total_bytes} for memory in self.memory],
            "volumes": [asdict(volume) for volume in self.volumes],
            "notes": list(self.notes),
        }


def all_reduce_wire(payload_bytes: float, ranks: int) -> float:
    """Bytes that one rank sends in a bandwidth-optimal all-reduce: 2 (n-1)/n of the buffer (ring)."""
    return 2 * (ranks - 1) / ranks * payload_bytes


def place(
    spec: ModelSpec,
    shape: StepShape,
    mesh: MeshShape,
    stages: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
) -> tuple[Placement, ...]:
    """Placement of every rank: layers by stage, samples by replica, heads and columns by tensor rank.

    ``stages`` gives the layers of each pipeline stage, ``shares`` the weight of each replica; both default to an
    even cut. Raises PlanError, with the values that would work, where the mesh does not fit the model or the batch.
    """
    layers = _stage_layers(spec, mesh.pipeline, stages)
    samples = _replica_samples(shape, mesh.data, shares)
    _check_tensor(spec, mesh.tensor)
    if shape.seq > spec.max_positions:
        raise PlanError(f"train.seq={shape.seq} is longer than the {spec.max_positions} positions of {spec.name}")
    found = []
    for rank in range(mesh.size):
        at = mesh.coordinates(rank)
        begin, end = samples[at["data"]]
        sizes = tuple(stop - start for start, stop in even(end - begin, shape.micro_batches))
        found.append(
            Placement(
                rank=rank,
                coordinates=at,
                layers=layers[at["pipeline"]],
                samples=(begin, end),
                micro_samples=sizes,
                tensor=(at["tensor"], mesh.tensor),
                first=at["pipeline"] == 0,
                last=at["pipeline"] == mesh.pipeline - 1,
            )
        )
    return tuple(found)


def _stage_layers(spec: ModelSpec, count: int, stages: Sequence[int] | None) -> list[Span]:
    if stages:
        if len(stages) != count or sum(stages) != spec.layers or min(stages) < 1:
            raise PlanError(
                f"strategy.stages={list(stages)} must be {count} positive numbers of layers that sum to the "
                f"{spec.layers} layers of {spec.name}"
            )
        return spans(stages)
    if spec.layers % count:
        raise PlanError(
            f"pipeline={count} does not divide the {spec.layers} layers of {spec.name}; "
            f"use {either(divisors(spec.layers))}, or give the layers of each stage as strategy.stages=[...]"
        )
    return even(spec.layers, count)


def _replica_samples(shape: StepShape, replicas: int, shares: Sequence[float] | None) -> list[Span]:
    if shape.batch < replicas * shape.micro_batches:
        raise PlanError(
            f"train.batch={shape.batch} is smaller than {replicas} replicas x {shape.micro_batches} micro-batches; "
            f"use train.batch >= {replicas * shape.micro_batches} or fewer train.micro_batches"
        )
    if shares and len(shares) != replicas:
        raise PlanError(f"strategy.shares={list(shares)} must have one number for each of the {replicas} replicas")
    found = weighted(shape.batch, shares) if shares else even(shape.batch, replicas)
    least = min(end - begin for begin, end in found)
    if least < shape.micro_batches:
        raise PlanError(
            f"strategy.shares={list(shares or [])} leaves a replica with {least} samples for "
            f"{shape.micro_batches} micro-batches; use fewer train.micro_batches or a larger train.batch"
        )
    return found


def _check_tensor(spec: ModelSpec, parts: int) -> None:
    for name, count in (("attention heads", spec.heads), ("key/value heads", spec.kv_heads)):
        if count % parts:
            works = [n for n in divisors(spec.heads) if not spec.kv_heads % n]
            raise PlanError(f"tensor={parts} does not divide the {count} {name} of {spec.name}; use {either(works)}")
    if spec.ffn % parts:
        raise PlanError(
            f"tensor={parts} does not divide the {spec.ffn} MLP columns of {spec.name}; use {either(divisors(spec.ffn))}"
        )


def memory(
    spec: ModelSpec, shape: StepShape, placement: Iterable[Placement], live: Mapping[int, int] | None = None
) -> tuple[Memory, ...]:
    """Predicted memory of each rank; ``live`` gives the micro-batches in flight per pipeline stage (default 1)."""
    found = []
    for at in placement:
        elements = sum(at.local_size(parameter, spec) for parameter in parameters(spec))
        in_flight = (live or {}).get(at.coordinates["pipeline"], 1)
        found.append(
            Memory(
                rank=at.rank,
                parameters_bytes=elements * shape.element_bytes,
                gradients_bytes=elements * shape.element_bytes,
                optimizer_bytes=elements * shape.element_bytes * OPTIMIZER_STATES[shape.optimizer],
                activations_bytes=in_flight * activation_bytes(spec, shape, at),
            )
        )
    return tuple(found)


def activation_bytes(spec: ModelSpec, shape: StepShape, at: Placement) -> int:
    """Estimated bytes that one micro-batch keeps for its backward on this rank.

    Per token and layer the graph keeps four vectors of ``hidden`` (inputs of both norms, of attention and of the
    MLP), four of the local heads (q, k, v and the attention output) and two of the local MLP columns (three when
    gated); the head keeps its logits twice. Scores are not kept: attention recomputes them.
    """
    tokens = max(at.micro_samples) * shape.seq
    parts = at.tensor[1]
    wide = 3 if spec.mlp == "silu_gated" else 2
    layer = 4 * spec.hidden + (2 * spec.hidden + 2 * spec.kv_heads * spec.head_dim) / parts + wide * spec.ffn / parts
    total = (at.layers[1] - at.layers[0]) * layer + (2 * spec.hidden if at.first else 0)
    if at.last and spec.head == "lm":
        total += 2 * spec.vocab / parts
    return int(tokens * total * shape.element_bytes)


def merge(volumes: Iterable[Volume]) -> Iterator[Volume]:
    """Volumes of the same key as one, in order of first appearance; empty ones are dropped."""
    by_key: dict[str, list[Volume]] = {}
    for volume in volumes:
        if volume.calls:
            by_key.setdefault(volume.key, []).append(volume)
    for same in by_key.values():
        yield Volume(
            same[0].axis,
            same[0].op,
            same[0].phase,
            sum(v.calls for v in same),
            sum(v.payload_bytes for v in same),
            sum(v.wire_bytes for v in same),
        )
