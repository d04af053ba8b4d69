"""Operations of training: the formula against a count of every matrix product that torch does."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.point import hydra_compose
from bench.point.resolved_point import resolve
from strategies.base import Batch
from strategies.models.transformer import MicroBatch, Transformer
from strategies.plan.model_spec import ModelSpec
from strategies.plan.placement import place
from strategies.plan.shapes import MeshShape, StepShape
from strategies.plan.step_options import StepOptions
from strategies.plan.training_work import training_flop
from tests.project import ROOT


def spec_of(*words: str) -> ModelSpec:
    return resolve(hydra_compose.composed(["strategy=single", "cluster=local", *words]), None, ROOT / "results").model.spec


@pytest.mark.parametrize("words", [("model=gpt2-tiny", "task=lm"), ("model=minilm", "task=synthetic")])
def test_the_formula_is_what_torch_counts(words: tuple[str, ...]) -> None:
    """6 for each weight and token is a count of products, and torch's own counter finds as many."""
    spec = spec_of(*words)
    samples, seq = 2, 32
    placement = place(spec, StepShape(samples, seq), MeshShape(), StepOptions())[0]
    model = Transformer(spec, placement)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
    ids = torch.randint(0, spec.vocab, (samples, seq))
    targets = torch.randint(spec.labels, (samples,)) if spec.head == "classifier" else ids
    micro = MicroBatch.of(Batch(ids, torch.ones_like(ids, dtype=torch.bool), targets), placement)
    # The counter knows no operations of the fused attention kernels of a CPU.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.loss_sum(model(None, micro), micro).backward()
    assert training_flop(spec, samples, seq) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_work_grows_with_samples_and_faster_with_tokens() -> None:
    spec = spec_of("model=gpt2-tiny", "task=lm")
    assert training_flop(spec, 8, 32) == pytest.approx(4 * training_flop(spec, 2, 32))
    assert training_flop(spec, 2, 64) > 2 * training_flop(spec, 2, 32)
