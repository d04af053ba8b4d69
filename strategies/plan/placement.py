"""Who holds what: the layers, samples, tokens, heads and columns of every rank. Pure; refuses what does not fit.

Even cuts are the default. Each axis can be cut unevenly by weights, for boards of different speed:
``stages`` (layers), ``shares`` (samples of replicas), ``sequence_shares`` (tokens), ``tensor_shares`` (heads and
columns), ``groups`` and ``group_shares`` (several ranks at one stage, and their samples of each micro-batch).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec, Parameter, Unit
from strategies.plan.partition import Span, divisors, either, even, lighter_ends, spans, weighted
from strategies.plan.shapes import MeshShape, StepShape


@dataclass(frozen=True)
class Placement:
    """What one rank holds. Spans are half-open.

    ``stage``, ``tensor``, ``replica`` and ``member`` are (index, number): the pipeline stage, the tensor shard, the
    data replica, and the place among the ranks that share a stage. ``layers`` has one span for each virtual stage.
    ``micros`` are its samples of each micro-batch, numbered in the global batch. ``tokens`` are its positions of every
    sample (two spans where causal work is balanced). ``units`` says what it holds of each thing that tensor
    parallelism cuts. ``stream`` are those of its own tokens that flow between the blocks: all, unless the tensor group
    splits them too. ``first`` and ``last`` say whether it holds the embedding and the head.
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
        return tuple(end - begin for begin, end in self.micros)

    @property
    def local_tokens(self) -> int:
        """Tokens of each sample on this rank."""
        return sum(end - begin for begin, end in self.tokens)

    @property
    def stream_tokens(self) -> int:
        return self.stream[1] - self.stream[0]

    @property
    def splits_stream(self) -> bool:
        """Whether the tokens between blocks are split over the tensor group."""
        return self.stream_tokens < self.local_tokens

    @property
    def layer_count(self) -> int:
        return sum(end - begin for begin, end in self.layers)

    def spans(self, samples: int, micros: int) -> list[Span]:
        """This rank's samples of each micro-batch of an evaluation batch: even cuts, where some may be empty."""
        begin, end = even(samples, self.replica[1])[self.replica[0]]
        parts = [(begin + b, begin + e) for b, e in even(end - begin, micros)]
        return [_within(part, even(part[1] - part[0], self.member[1])[self.member[0]]) for part in parts]

    def holds(self, parameter: Parameter, spec: ModelSpec) -> bool:
        if parameter.place == "embed":
            return self.first or (self.last and spec.tied and parameter.name == "embed.tokens.weight")
        if parameter.place == "head":
            return self.last
        return any(begin <= parameter.place < end for begin, end in self.layers)

    def shard(self, parameter: Parameter, spec: ModelSpec) -> Span | None:
        """This rank's span of ``parameter.shape[parameter.split]``, or None for a tensor that is not cut."""
        if parameter.split is None or parameter.unit is None or self.tensor[1] == 1:
            return None
        width = parameter.shape[parameter.split] // spec.units(parameter.unit)
        begin, end = self.units[parameter.unit]
        return begin * width, end * width

    def local_size(self, parameter: Parameter, spec: ModelSpec) -> int:
        """Elements of ``parameter`` on this rank (0 where it does not hold it)."""
        if not self.holds(parameter, spec):
            return 0
        return math.prod(parameter.part(self.shard(parameter, spec)))

    def kv_of_heads(self, spec: ModelSpec) -> list[int]:
        """For each local query head, which local key/value head it attends with."""
        group, first = spec.heads // spec.kv_heads, self.units["kv_heads"][0]
        return [head // group - first for head in range(*self.units["heads"])]

    def partial(self, parameter: Parameter, spec: ModelSpec) -> bool:
        """Whether the tensor ranks that hold the same piece each have a part of its gradient, not all of it.

        True for key/value heads that several ranks need, and, where the stream is split over them, for what works on
        their own tokens: norms, biases after the sum, positions.
        """
        if parameter.unit == "kv_heads":
            return spec.kv_heads < self.tensor[1]
        classifier = parameter.name.startswith("head.") and spec.head == "classifier"
        return parameter.split is None and self.splits_stream and not classifier


def place(
    spec: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, Any] | None = None
) -> tuple[Placement, ...]:
    """Placement of every rank under the strategy's ``options`` (those named at the head of this file, ``schedule``,
    ``virtual_stages``, ``attention``, ``norms``; missing ones are even or plain).

    Raises PlanError, with the values that would work, where the mesh does not fit the model or the batch.
    """
    given = options or {}
    groups = _groups(mesh.pipeline, given.get("groups"))
    members = [(stage, member) for stage, size in enumerate(groups) for member in range(size)]
    layers = _stage_layers(spec, len(groups), given)
    samples = _replica_samples(shape, mesh.data, given.get("shares"))
    tokens = _tokens(spec, shape, mesh, given)
    units = _tensor_units(spec, mesh.tensor, given.get("tensor_shares"))
    if shape.seq > spec.max_positions:
        raise PlanError(f"train.seq={shape.seq} is longer than the {spec.max_positions} positions of {spec.name}")
    if given.get("attention") == "ulysses":
        _check_ulysses(spec, mesh, units)
    found = []
    for rank in range(mesh.size):
        at = mesh.coordinates(rank)
        stage, member = members[at["pipeline"]]
        own = tokens[at["sequence"]]
        found.append(
            Placement(
                rank=rank,
                coordinates=at,
                stage=(stage, len(groups)),
                layers=tuple(layers[stage :: len(groups)]),
                replica=(at["data"], mesh.data),
                member=(member, groups[stage]),
                micros=_micros(samples[at["data"]], shape, (member, groups[stage]), _group_shares(groups, given, stage)),
                tokens=own,
                tensor=(at["tensor"], mesh.tensor),
                units=units[at["tensor"]],
                stream=_stream(sum(e - b for b, e in own), at["tensor"], mesh.tensor, given.get("norms")),
                first=stage == 0,
                last=stage == len(groups) - 1,
            )
        )
    return tuple(found)


def summed_over(parameter: Parameter, at: Placement, placement: Sequence[Placement], spec: ModelSpec) -> tuple[int, ...]:
    """Ranks whose gradients of ``parameter`` (held by ``at``) must be added up: all that hold the same piece of it.

    Tensor ranks that hold a copy count only where each has a part of the gradient (``Placement.partial``).
    """
    piece, partial = at.shard(parameter, spec), at.partial(parameter, spec)
    return tuple(
        other.rank
        for other in placement
        if other.holds(parameter, spec)
        and other.shard(parameter, spec) == piece
        and (partial or other.tensor[0] == at.tensor[0])
    )


def _within(outer: Span, inner: Span) -> Span:
    return outer[0] + inner[0], outer[0] + inner[1]


def _groups(ranks: int, groups: Sequence[int] | None) -> list[int]:
    if not groups:
        return [1] * ranks
    if sum(groups) != ranks or min(groups) < 1:
        raise PlanError(
            f"strategy.groups={list(groups)} must be positive numbers of ranks, one for each stage, that sum to the "
            f"{ranks} ranks of the pipeline axis"
        )
    return list(groups)


def _group_shares(groups: Sequence[int], given: Mapping[str, Any], stage: int) -> Sequence[float] | None:
    shares = given.get("group_shares")
    if not shares:
        return None
    if [len(part or [1] * size) for part, size in zip(shares, groups, strict=False)] != list(groups):
        raise PlanError(
            f"strategy.group_shares={shares} must have a list for each of the {len(groups)} stages, with one number for "
            f"each of its ranks (strategy.groups={list(groups)})"
        )
    return shares[stage]  # type: ignore[no-any-return]


def _micros(replica: Span, shape: StepShape, member: tuple[int, int], shares: Sequence[float] | None) -> tuple[Span, ...]:
    parts = [_within(replica, part) for part in even(replica[1] - replica[0], shape.micro_batches)]
    least = min(end - begin for begin, end in parts)
    if least < member[1]:
        raise PlanError(
            f"micro-batches of {least} samples cannot be shared by the {member[1]} ranks of a stage; "
            f"use fewer train.micro_batches or a larger train.batch"
        )
    cut = [weighted(end - begin, shares) if shares else even(end - begin, member[1]) for begin, end in parts]
    return tuple(_within(part, own[member[0]]) for part, own in zip(parts, cut, strict=True))


def _stage_layers(spec: ModelSpec, count: int, given: Mapping[str, Any]) -> list[Span]:
    """Layers of every virtual stage, in the order of the model; stage s holds numbers s, s + count, ..."""
    virtual = int(given.get("virtual_stages") or 1) if given.get("schedule") == "interleaved" else 1
    parts, stages = count * virtual, given.get("stages")
    if stages:
        if len(stages) != parts or sum(stages) != spec.layers or min(stages) < 1:
            raise PlanError(
                f"strategy.stages={list(stages)} must be {parts} positive numbers of layers that sum to the "
                f"{spec.layers} layers of {spec.name}"
            )
        return spans(stages)
    if virtual == 1 and parts > spec.layers:
        raise PlanError(
            f"pipeline={count} has more stages than the {spec.layers} layers of {spec.name}; use at most {spec.layers}"
        )
    if virtual > 1 and spec.layers % parts:
        raise PlanError(
            f"pipeline={count} x virtual_stages={virtual} does not divide the {spec.layers} layers of {spec.name}; "
            f"use {either(divisors(spec.layers))}, or give the layers of each virtual stage as strategy.stages=[...]"
        )
    return lighter_ends(spec.layers, parts)


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


def _tokens(spec: ModelSpec, shape: StepShape, mesh: MeshShape, given: Mapping[str, Any]) -> list[tuple[Span, ...]]:
    """Tokens of each sequence rank: one span, or for a causal ring the i-th and the i-th last of 2n blocks.

    A causal query attends to what is before it: a rank with an early and a late block has as much to do as any other.
    """
    parts, shares = mesh.sequence, given.get("sequence_shares")
    if shares and len(shares) != parts:
        raise PlanError(f"strategy.sequence_shares={list(shares)} must have one number for each of the {parts} sequence ranks")
    balanced = parts > 1 and spec.causal and given.get("attention") == "ring"
    blocks = 2 * parts if balanced else parts
    if shape.seq < blocks:
        why = " (a causal ring gives each an early and a late block)" if balanced else ""
        raise PlanError(f"train.seq={shape.seq} is too short for {parts} sequence ranks{why}; use train.seq >= {blocks}")
    if not balanced:
        return [(span,) for span in (weighted(shape.seq, shares) if shares else even(shape.seq, parts))]
    cut = weighted(shape.seq, [*shares, *reversed(shares)]) if shares else even(shape.seq, blocks)
    return [(cut[i], cut[blocks - 1 - i]) for i in range(parts)]


def _stream(tokens: int, index: int, parts: int, norms: str | None) -> Span:
    if norms not in (None, "replicated", "split"):
        raise PlanError(f"strategy.norms={norms} is unknown; use replicated or split")
    if norms != "split" or parts == 1:
        return 0, tokens
    if tokens < parts:
        raise PlanError(f"strategy.norms=split cannot share {tokens} tokens of a sample between tensor={parts} ranks")
    return even(tokens, parts)[index]


def _tensor_units(spec: ModelSpec, parts: int, shares: Sequence[float] | None) -> list[dict[Unit, Span]]:
    """Heads, key/value heads, MLP columns and vocabulary rows of each tensor rank.

    Query heads stay with their key/value head. With fewer of those than ranks, several ranks hold a copy of the same
    one and share its query heads.
    """
    if shares and (len(shares) != parts or min(shares) <= 0):
        raise PlanError(
            f"strategy.tensor_shares={list(shares)} must have a positive number for each of the {parts} tensor ranks"
        )
    if not shares:
        _check_tensor(spec, parts)
    group = spec.heads // spec.kv_heads
    if spec.kv_heads >= parts:
        kv = weighted(spec.kv_heads, shares) if shares else even(spec.kv_heads, parts)
        heads = [(begin * group, end * group) for begin, end in kv]
    else:
        copies = _copies(spec, parts, group)
        kv = [(rank // copies, rank // copies + 1) for rank in range(parts)]
        heads = []
        for head in range(spec.kv_heads):
            own = shares[head * copies : (head + 1) * copies] if shares else None
            inside = weighted(group, own) if own else even(group, copies)
            heads += [_within((head * group, (head + 1) * group), span) for span in inside]

    def cut(total: int) -> list[Span]:
        return weighted(total, shares) if shares else even(total, parts)

    columns, rows = cut(spec.ffn), cut(spec.vocab)
    return [{"heads": heads[i], "kv_heads": kv[i], "ffn": columns[i], "vocab": rows[i]} for i in range(parts)]


def _copies(spec: ModelSpec, parts: int, group: int) -> int:
    if parts % spec.kv_heads or group < parts // spec.kv_heads:
        works = [n for n in range(1, spec.heads + 1) if _splits(spec, n)]
        raise PlanError(f"tensor={parts} cannot share the {spec.kv_heads} key/value heads of {spec.name}; use {either(works)}")
    return parts // spec.kv_heads


def _splits(spec: ModelSpec, parts: int) -> bool:
    return not (spec.heads % parts or spec.ffn % parts) and not (spec.kv_heads % parts and parts % spec.kv_heads)


def _check_tensor(spec: ModelSpec, parts: int) -> None:
    works = [n for n in divisors(spec.heads) if _splits(spec, n)]
    hint = f"use {either(works)}, or give uneven strategy.tensor_shares=[...]"
    if spec.heads % parts:
        raise PlanError(f"tensor={parts} does not divide the {spec.heads} attention heads of {spec.name}; {hint}")
    if spec.kv_heads % parts and parts % spec.kv_heads:
        raise PlanError(f"tensor={parts} does not fit the {spec.kv_heads} key/value heads of {spec.name}; {hint}")
    if spec.ffn % parts:
        raise PlanError(f"tensor={parts} does not divide the {spec.ffn} MLP columns of {spec.name}; {hint}")


def _check_ulysses(spec: ModelSpec, mesh: MeshShape, units: Sequence[Mapping[Unit, Span]]) -> None:
    least = min(unit["heads"][1] - unit["heads"][0] for unit in units)
    if least < mesh.sequence:
        raise PlanError(
            f"strategy.attention=ulysses needs a head for each of the {mesh.sequence} sequence ranks, {spec.name} has "
            f"{least} on a tensor rank; use fewer sequence ranks or strategy.attention=ring"
        )
