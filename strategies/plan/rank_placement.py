"""The part of a training that one rank holds: layers, samples, tokens, heads, and so its part of every parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strategies.plan.model_spec import ModelSpec, Parameter, Unit
from strategies.plan.partition import Span, even, within


@dataclass(frozen=True)
class RankPlacement:
    """The part of a training that one rank holds. Spans are half-open.

    Attributes:
        rank: World rank.
        coordinates: Its coordinate on every axis of the mesh.
        stage: (index, number) of the pipeline stage.
        layers: One span of layer numbers for each virtual stage.
        replica: (index, number) of the data replica.
        member: (index, number) among the ranks that share a stage.
        micros: Its samples of each micro-batch, numbered in the global batch.
        tokens: Its positions of every sample (two spans where causal work is balanced).
        tensor: (index, number) of the tensor shard.
        units: What it holds of each thing that tensor parallelism splits.
        stream: Those of its own tokens that flow between the blocks: all, unless the tensor group splits them too.
        first: Whether it holds the embedding.
        last: Whether it holds the head.
    """

    rank: int
    coordinates: Mapping[str, int]
    stage: tuple[int, int]
    layers: tuple[Span, ...]
    replica: tuple[int, int]
    member: tuple[int, int]
    micros: tuple[Span, ...]
    tokens: tuple[Span, ...]
    tensor: tuple[int, int]
    units: Mapping[Unit, Span]
    stream: Span
    first: bool
    last: bool

    @property
    def micro_samples(self) -> tuple[int, ...]:
        """Samples of each micro-batch on this rank."""
        return tuple(end - begin for begin, end in self.micros)

    @property
    def local_tokens(self) -> int:
        """Tokens of each sample on this rank."""
        return sum(end - begin for begin, end in self.tokens)

    @property
    def stream_tokens(self) -> int:
        """Tokens of each sample that flow between the blocks on this rank."""
        return self.stream[1] - self.stream[0]

    @property
    def splits_stream(self) -> bool:
        """Whether the tokens between blocks are split over the tensor group."""
        return self.stream_tokens < self.local_tokens

    @property
    def layer_count(self) -> int:
        """Layers on this rank, over all of its virtual stages."""
        return sum(end - begin for begin, end in self.layers)

    def count(self, unit: Unit) -> int:
        """How many of the model's indivisible pieces this rank holds.

        Args:
            unit: Heads, key/value heads, MLP columns or vocabulary rows.

        Returns:
            The number.
        """
        begin, end = self.units[unit]
        return end - begin

    def spans(self, samples: int, micros: int) -> list[Span]:
        """This rank's samples of each micro-batch of an evaluation batch: even cuts, where some may be empty.

        Args:
            samples: Samples of the whole batch.
            micros: Micro-batches that each replica makes of its share.

        Returns:
            One for each micro-batch, numbered in the whole batch.
        """
        begin, end = even(samples, self.replica[1])[self.replica[0]]
        parts = [(begin + b, begin + e) for b, e in even(end - begin, micros)]
        return [within(part, even(part[1] - part[0], self.member[1])[self.member[0]]) for part in parts]

    def holds(self, parameter: Parameter, spec: ModelSpec) -> bool:
        """Whether this rank has a parameter, or a part of it.

        Args:
            parameter: Of the model.
            spec: The model.

        Returns:
            True for a copy of a tied table on the last stage too.
        """
        if parameter.place == "embed":
            return self.first or (self.last and spec.tied and parameter.name == "embed.tokens.weight")
        if parameter.place == "head":
            return self.last
        return any(begin <= parameter.place < end for begin, end in self.layers)

    def shard(self, parameter: Parameter, spec: ModelSpec) -> Span | None:
        """This rank's slice of a parameter that it holds.

        Args:
            parameter: Of the model.
            spec: The model.

        Returns:
            Its span of ``parameter.shape[parameter.split]``, or None for a tensor that is not split.
        """
        if parameter.split is None or parameter.unit is None or self.tensor[1] == 1:
            return None
        width = parameter.shape[parameter.split] // spec.units(parameter.unit)
        begin, end = self.units[parameter.unit]
        return begin * width, end * width

    def local_size(self, parameter: Parameter, spec: ModelSpec) -> int:
        """Elements of a parameter on this rank.

        Args:
            parameter: Of the model.
            spec: The model.

        Returns:
            0 where the rank does not hold it.
        """
        if not self.holds(parameter, spec):
            return 0
        return math.prod(parameter.part(self.shard(parameter, spec)))

    def kv_of_heads(self, spec: ModelSpec) -> list[int]:
        """Which key/value head each query head attends with.

        Args:
            spec: The model.

        Returns:
            For each local query head the number of the local key/value head.
        """
        group, first = spec.heads // spec.kv_heads, self.units["kv_heads"][0]
        return [head // group - first for head in range(*self.units["heads"])]

    def partial(self, parameter: Parameter, spec: ModelSpec) -> bool:
        """Whether the tensor ranks that hold the same piece each have a part of its gradient, not all of it.

        True for key/value heads that several ranks need, and, where the stream is split over them, for what works on
        their own tokens: norms, biases after the sum, positions.

        Args:
            parameter: Of the model.
            spec: The model.

        Returns:
            False where each has all of its gradient, or no other tensor rank holds the piece.
        """
        if parameter.unit == "kv_heads":
            return spec.kv_heads < self.tensor[1]
        classifier = parameter.name.startswith("head.") and spec.head == "classifier"
        return parameter.split is None and self.splits_stream and not classifier


def summed_over(
    parameter: Parameter, placement: RankPlacement, placements: Sequence[RankPlacement], spec: ModelSpec
) -> tuple[int, ...]:
    """The ranks whose gradients of a parameter must be added up: all that hold the same piece of it.

    Tensor ranks that hold a copy count only where each has a part of the gradient (``RankPlacement.partial``).

    Args:
        parameter: One that the rank of ``placement`` holds.
        placement: The rank that asks.
        placements: Those of all ranks.
        spec: The model.

    Returns:
        World ranks, ascending, that of ``placement`` among them.
    """
    piece, partial = placement.shard(parameter, spec), placement.partial(parameter, spec)
    return tuple(
        other.rank
        for other in placements
        if other.holds(parameter, spec)
        and other.shard(parameter, spec) == piece
        and (partial or other.tensor[0] == placement.tensor[0])
    )
