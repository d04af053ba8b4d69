"""What is compared: models with their batches, and each of our strategies with the peer that does the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import torch
import yaml

from bench.common.paths import CONF
from bench.common.user_error import UserError
from bench.config.model_config import ModelConfig
from bench.point.resolved_point import model_spec
from benchmarks.peers.torch_side.peer_list import PEERS, TWO_STAGES
from strategies.base import IGNORED, Batch
from strategies.common.plan_error import PlanError
from strategies.common.registry import did_you_mean
from strategies.plan.layer_split import split_layers
from strategies.plan.model_spec import ModelSpec
from strategies.plan.partition import Span, lighter_ends
from strategies.plan.step_options import StepOptions

VIRTUAL = 2


@dataclass(frozen=True)
class Workload:
    """A model and the global batch that it trains on."""

    spec: ModelSpec
    batch: int
    seq: int


@dataclass(frozen=True)
class Pair:
    """A line of the table: our strategy with its options, and the peer; None where torch has none on CPU."""

    strategy: str
    options: Mapping[str, object] = field(default_factory=dict)
    peer: str | None = None

    @property
    def ours(self) -> str:
        """``data zero=1``."""
        return " ".join([self.strategy, *(f"{key}={value}" for key, value in self.options.items())])

    @property
    def title(self) -> str:
        """``data zero=1 / fsdp``."""
        return self.ours if self.peer is None else f"{self.ours} / {self.peer}"


PAIRS = (
    Pair("data", {}, "data"),
    Pair("data", {"wire": "bfloat16"}, "data-bf16"),
    Pair("data", {"zero": 1}, "zero"),
    Pair("data", {"zero": 1}, "fsdp"),
    Pair("tensor", {}, "tensor"),
    Pair("pipeline", {"schedule": "gpipe"}, "pipeline-gpipe"),
    Pair("pipeline", {"schedule": "1f1b"}, "pipeline-1f1b"),
    Pair("pipeline", {"schedule": "interleaved"}, "pipeline-interleaved"),
    Pair("pipeline", {"schedule": "zero_bubble"}, "pipeline-zb1p"),
    Pair("pipeline", {"schedule": "zero_bubble"}, "pipeline-zbv"),
    Pair("tensor", {"norms": "split"}),
    Pair("sequence", {"attention": "ring"}),
    Pair("sequence", {"attention": "ulysses"}),
)
MODELS = ("minilm", "gpt2", "gpt2-16", "long", "tiny")
"""``gpt2-16`` and ``long`` are more samples and more tokens; ``tiny`` is for trying the benchmark out."""


def conf_model(name: str, head: str, labels: int = 0) -> ModelSpec:
    """A model of ``conf/model``.

    Args:
        name: The file without ``.yaml``.
        head: What is trained: ``classifier`` or ``lm``.
        labels: Classes of a classifier.

    Returns:
        Its sizes and switches.
    """
    model = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text())
    return model_spec(ModelConfig(name=model["name"], spec=model["spec"]), head, labels)


@cache
def workload(name: str) -> Workload:
    """A model with its batch.

    Args:
        name: One of ``MODELS``.

    Returns:
        The workload.

    Raises:
        UserError: There is none of that name.
    """
    if name not in MODELS:
        raise UserError(f"--models {name} is unknown; use {', '.join(MODELS)}{did_you_mean(name, MODELS)}")
    if name == "minilm":
        return Workload(conf_model("minilm", "classifier", labels=2), 32, 64)
    gpt2 = replace(conf_model("gpt2-small", "lm"), name="gpt2")
    if name == "tiny":
        return Workload(replace(gpt2, name="tiny", vocab=257, hidden=48, heads=4, kv_heads=4, layers=8, ffn=96), 16, 16)
    if name == "long":
        return Workload(replace(gpt2, name="gpt2-narrow", vocab=8192, hidden=384, layers=6, ffn=1536), 2, 1024)
    return Workload(gpt2, 16 if name == "gpt2-16" else 8, 64)


def chosen_pairs(words: Sequence[str]) -> list[Pair]:
    """The lines whose title has one of the words.

    Args:
        words: Parts of titles; empty for all lines.

    Returns:
        The lines in the order of the table.

    Raises:
        UserError: A word is in no line.
    """
    for word in words:
        if not any(word in pair.title for pair in PAIRS):
            known = [*PEERS, *(pair.strategy for pair in PAIRS)]
            raise UserError(f"--pairs {word} is in no line of the table{did_you_mean(word, known)}; see --list")
    return [pair for pair in PAIRS if not words or any(word in pair.title for word in words)]


def options_for(pair: Pair, spec: ModelSpec, ranks: int) -> dict[str, object]:
    """The options of our strategy, with the layers of each stage where they do not divide.

    Args:
        pair: The line.
        spec: The model.
        ranks: How many there are.

    Returns:
        The options.

    Raises:
        PlanError: The model has fewer layers than virtual stages.
    """
    if pair.options.get("schedule") != "interleaved":
        return dict(pair.options)
    spans = virtual_stages(spec, ranks)
    return {**pair.options, "virtual_stages": VIRTUAL, "stages": [end - begin for begin, end in spans]}


def virtual_stages(spec: ModelSpec, ranks: int) -> list[Span]:
    """Layers of two stages on each rank, in the order of the model.

    Args:
        spec: The model.
        ranks: How many there are.

    Returns:
        A span for each stage.

    Raises:
        PlanError: There are too few layers.
    """
    if spec.layers < VIRTUAL * ranks:
        raise PlanError(f"the {spec.layers} layers of {spec.name} are fewer than {VIRTUAL} stages on each of {ranks} ranks")
    return lighter_ends(spec.layers, VIRTUAL * ranks)


def peer_stages(pair: Pair, spec: ModelSpec, ranks: int) -> tuple[Span, ...]:
    """Layers of each stage of the peer: those of ours, where both have as many.

    Args:
        pair: The line.
        spec: The model.
        ranks: How many there are.

    Returns:
        A span for each stage; empty for what is no pipeline.

    Raises:
        PlanError: There are too few layers.
    """
    if pair.strategy != "pipeline":
        return ()
    if pair.peer in TWO_STAGES:
        return tuple(virtual_stages(spec, ranks))
    return tuple(split_layers(spec, ranks, StepOptions.of(pair.options)))


def make_batch(work: Workload, step: int) -> Batch:
    """Full samples, as a language model's are, or padded to various lengths for a classifier.

    Args:
        work: The model and the size of its batch.
        step: Draws another batch for each.

    Returns:
        The global batch, the same on every rank.
    """
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(1, work.spec.vocab, (work.batch, work.seq), generator=generator)
    if work.spec.head == "lm":
        targets = torch.cat([ids[:, 1:], torch.full((work.batch, 1), IGNORED)], 1)
        return Batch(ids, torch.ones_like(ids, dtype=torch.bool), targets)
    mask = torch.arange(work.seq) < torch.randint(8, work.seq + 1, (work.batch, 1), generator=generator)
    return Batch(ids * mask, mask, torch.randint(0, work.spec.labels, (work.batch,), generator=generator))
