"""The record's ``plan``: the strategy's prediction before it ran: placement, memory and bytes that move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from bench.record.block import Block, Entry, OpenBlock
from bench.record.point_record import MeshRecord


@dataclass(frozen=True, kw_only=True)
class PlacementRecord(OpenBlock):
    """The part of the model and data that one rank holds. Pairs are ``[index, number]``, spans half-open ``[start, stop]``."""

    rank: Annotated[int | None, Entry("the rank")] = None
    coordinates: Annotated[Mapping[str, int] | None, Entry("place of the rank along each axis of the mesh")] = None
    stage: Annotated[Sequence[int] | None, Entry("pipeline stage and the number of stages")] = None
    layers: Annotated[Sequence[Sequence[int]] | None, Entry("spans of layers, one for each virtual stage")] = None
    replica: Annotated[Sequence[int] | None, Entry("data replica and the number of replicas")] = None
    member: Annotated[Sequence[int] | None, Entry("place among the ranks of a stage, and their number")] = None
    micros: Annotated[Sequence[Sequence[int]] | None, Entry("spans of samples, one for each micro-batch")] = None
    tokens: Annotated[Sequence[Sequence[int]] | None, Entry("spans of tokens of each sample")] = None
    tensor: Annotated[Sequence[int] | None, Entry("tensor shard and the number of shards")] = None
    units: Annotated[Mapping[str, Sequence[int]] | None, Entry("spans of heads, units and vocabulary of a tensor shard")] = None
    stream: Annotated[Sequence[int] | None, Entry("span of the rank's tokens that flow between the blocks")] = None
    first: Annotated[bool | None, Entry("whether the rank has the embedding")] = None
    last: Annotated[bool | None, Entry("whether the rank has the head and computes the loss")] = None
    host: Annotated[str | None, Entry("the host that the rank ran on, by its name in the inventory")] = None


@dataclass(frozen=True, kw_only=True)
class PlannedMemoryRecord(Block):
    """Bytes that the plan gives to one rank, beside those of the process before training."""

    rank: Annotated[int, Entry("the rank")]
    parameters_bytes: Annotated[int, Entry("weights", "B")]
    gradients_bytes: Annotated[int, Entry("gradients", "B")]
    optimizer_bytes: Annotated[int, Entry("states of the optimizer", "B")]
    activations_bytes: Annotated[int, Entry("what is kept for backward, at its peak", "B")]
    total_bytes: Annotated[int, Entry("all of it", "B")]


@dataclass(frozen=True, kw_only=True)
class VolumeRecord(Block):
    """One kind of communication operation in one optimizer step, summed over ranks."""

    axis: Annotated[str, Entry("axis of the mesh along which the operation runs")]
    op: Annotated[str, Entry("the operation, such as all_reduce or send")]
    phase: Annotated[str, Entry("forward, backward or optimizer")]
    calls: Annotated[int, Entry("operations, over all ranks", "1")]
    payload_bytes: Annotated[int, Entry("bytes that ranks hand to MPI", "B")]
    wire_bytes: Annotated[float, Entry("bytes that ranks send with a bandwidth-optimal algorithm", "B")]


@dataclass(frozen=True, kw_only=True)
class PredictedRankRecord(Block):
    """Seconds of one rank in a predicted step."""

    host: Annotated[str, Entry("the rank's host")]
    compute_s: Annotated[float, Entry("computing", "s", minimum=0)]
    exchange_s: Annotated[float, Entry("moving data", "s", minimum=0)]
    wait_s: Annotated[float, Entry("waiting for other ranks", "s")]


@dataclass(frozen=True, kw_only=True)
class ProfileRecord(Block):
    """The profile of the cluster that a prediction comes from."""

    file: Annotated[str, Entry("name of the profile's file")]
    made: Annotated[str, Entry("when it was measured")]
    git: Annotated[str | None, Entry("commit of the code that measured it; null: not known")]
    kind: Annotated[str, Entry("whether its joules are measured or modelled")]


@dataclass(frozen=True, kw_only=True)
class PredictedStepRecord(Block):
    """The prediction of one step by a profile of the cluster, made before it ran; modelled."""

    step_s: Annotated[float, Entry("one optimizer step", "s", more_than=0)]
    step_J: Annotated[float | None, Entry("one optimizer step on all hosts; null: the profile has no powers", "J", minimum=0)]
    split: Annotated[Literal["even", "planned"], Entry("whether layers and samples are shared evenly or by the hosts' speeds")]
    ranks: Annotated[Sequence[PredictedRankRecord], Entry("each rank's part of the step")]
    joules_by_host: Annotated[
        Mapping[str, Annotated[float, Entry("joules of a step", "J", minimum=0)]] | None,
        Entry("joules of one step by host; null: the profile has no powers", "J"),
    ]
    profile: Annotated[ProfileRecord, Entry("the profile that it comes from")]


@dataclass(frozen=True, kw_only=True)
class PlanRecord(Block):
    """The strategy's plan: pure arithmetic, made before anything ran."""

    strategy: Annotated[str, Entry("the parallelism, by its registered name")]
    mesh: Annotated[MeshRecord, Entry("ranks along each axis")]
    placement: Annotated[Sequence[PlacementRecord], Entry("what each rank holds and computes")]
    memory: Annotated[Sequence[PlannedMemoryRecord], Entry("bytes of each rank")]
    volumes: Annotated[Sequence[VolumeRecord], Entry("bytes that move in one optimizer step")]
    notes: Annotated[Sequence[str], Entry("what a reader should know about the plan")]
    predicted: Annotated[PredictedStepRecord | None, Entry("what a profile predicted; missing: no profile")] = None
