"""T3: every strategy on every mesh computes what one process computes, and moves exactly the planned bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases import LLAMA, MODELS, Case, cases, reference, train, worst_error
from mpi4py import MPI

from strategies.base import check_options, get
from strategies.plan.model_spec import ModelSpec
from strategies.plan.shapes import MeshShape

# fp64 rounding of these models is about 1e-14; a wrong reduction shows at 1e-3 and more (see test_faults.py).
TOLERANCE = 1e-9


def pairs() -> list[tuple[Case, str]]:
    """Every case with every model; one with a single key/value head only where heads are dealt out."""
    found = [(case, family) for case in cases(MPI.COMM_WORLD.Get_size()) for family in MODELS]
    return [(case, family) for case, family in found if sensible(case, family)]


def sensible(case: Case, family: str) -> bool:
    """Whether the model is what the case is about."""
    if family == "multi-query" and case.mesh.tensor * case.mesh.sequence == 1:
        return False
    return not (MODELS[family].tied and case.options.get("token_table") == "rows")


def deep(family: str, layers: int) -> ModelSpec:
    """More layers. Not for BERT: with norms after the residuals and weights this large, the gradients of six vanish."""
    return replace(MODELS[family], name=f"{family}-{layers}-layers", layers=layers)


def grouped(kv_heads: int) -> ModelSpec:
    """Twelve query heads in groups."""
    return replace(LLAMA, name=f"llama-{kv_heads}-kv", kv_heads=kv_heads)


def special(
    strategy: str, mesh: MeshShape, micro_batches: int, progress: str = "inline", recompute: str = "none", **options: Any
) -> Case:
    """Small buckets; 17 samples in five micro-batches are 4, 4, 3, 3 and 3, and fewer on a rank."""
    filled = check_options(get(strategy), {**options, **({"bucket_bytes": 4096} if strategy != "tensor" else {})})
    return Case(strategy, mesh, filled, micro_batches, progress=progress, recompute=recompute)


def special_cases(ranks: int) -> list[tuple[Case, ModelSpec]]:
    """What the automatic list lacks: deeper models on more virtual stages, groups with each schedule, query heads in groups,
    and many micro-batches of uneven sizes, in combinations."""
    bert, gpt2, llama = (MODELS[family] for family in ("bert", "gpt2", "llama"))
    if ranks == 2:
        pipeline, uneven = MeshShape(pipeline=2), [2, 1]
        return [
            (special("pipeline", pipeline, 4, "thread", schedule="interleaved", virtual_stages=3), deep("gpt2", 6)),
            (special("pipeline", pipeline, 5, recompute="blocks", schedule="zero_bubble"), bert),
            (special("data", MeshShape(data=2), 5, "thread", shares=uneven, zero=1), llama),
            (special("tensor", MeshShape(tensor=2), 5, norms="split"), grouped(2)),
            (special("tensor", MeshShape(tensor=2), 1, tensor_shares=uneven), grouped(3)),
            (special("sequence", MeshShape(sequence=2), 5, attention="ulysses", sequence_shares=uneven), grouped(2)),
        ]
    if ranks == 3:
        pipeline, uneven = MeshShape(pipeline=3), [2, 1, 1]
        two: dict[str, Any] = {"groups": [2, 1], "group_shares": [[2, 1], [1]]}
        return [
            (special("pipeline", pipeline, 3, schedule="interleaved", virtual_stages=2), deep("llama", 6)),
            (special("pipeline", pipeline, 6, "thread", schedule="interleaved", virtual_stages=2), deep("gpt2", 6)),
            (
                special("pipeline", pipeline, 3, schedule="interleaved", virtual_stages=2, stages=[2, 1, 1, 1, 1, 2]),
                deep("llama", 8),
            ),
            (special("pipeline", pipeline, 4, "thread", schedule="interleaved", virtual_stages=2, **two), gpt2),
            (special("pipeline", pipeline, 5, schedule="zero_bubble", groups=[1, 2], group_shares=[[1], [3, 1]]), bert),
            (special("pipeline", pipeline, 5, schedule="gpipe", groups=[3]), llama),
            (special("tensor", MeshShape(tensor=3), 5, norms="split", tensor_shares=uneven), grouped(6)),
            (special("sequence", MeshShape(sequence=3), 5, "thread"), grouped(2)),
            (special("data", MeshShape(data=3), 5, "thread", zero=1), gpt2),
        ]
    two_by_two: dict[str, Any] = {"norms": "split", "schedule": "interleaved", "virtual_stages": 2}
    pipeline, uneven = MeshShape(pipeline=4), [2, 1, 1, 1]
    return [
        (special("tensor", MeshShape(tensor=4), 5), grouped(2)),
        (special("tensor", MeshShape(tensor=4), 1, norms="split", tensor_shares=uneven), grouped(2)),
        (special("pipeline", pipeline, 4, schedule="interleaved", virtual_stages=2), deep("gpt2", 8)),
        (special("pipeline", pipeline, 4, schedule="interleaved", virtual_stages=2, groups=[2, 2]), gpt2),
        (special("pipeline", pipeline, 5, schedule="zero_bubble", groups=[1, 3], stages=[1, 3]), llama),
        (special("pipeline", pipeline, 5, "thread", groups=[1, 2, 1], stages=[1, 2, 1]), gpt2),
        (special("hybrid", MeshShape(pipeline=2, tensor=2), 4, **two_by_two), MODELS["multi-query"]),
        (special("hybrid", MeshShape(pipeline=2, tensor=2), 5, groups=[2], group_shares=[[2, 1]], norms="split"), gpt2),
        (special("hybrid", MeshShape(pipeline=2, data=2), 5, zero=1, shares=[2, 1], schedule="zero_bubble"), bert),
        (special("hybrid", MeshShape(sequence=2, tensor=2), 5, attention="ulysses", zero=1), grouped(2)),
        (special("hybrid", MeshShape(pipeline=2, sequence=2), 5, "thread", schedule="zero_bubble"), grouped(2)),
    ]


@pytest.mark.parametrize(("case", "family"), pairs(), ids=str)
def test_equals_one_process(case: Case, family: str, comm: MPI.Comm) -> None:
    """Losses, gradients and weights of three steps, and the bytes of each kind of operation."""
    assert_equals_one_process(case, MODELS[family], comm)


@pytest.mark.parametrize(("case", "spec"), special_cases(MPI.COMM_WORLD.Get_size()), ids=lambda v: getattr(v, "name", str(v)))
def test_special_cases(case: Case, spec: ModelSpec, comm: MPI.Comm) -> None:
    """The same, where options meet that the automatic list takes one at a time."""
    assert_equals_one_process(case, spec, comm)


def assert_equals_one_process(case: Case, spec: ModelSpec, comm: MPI.Comm) -> None:
    expected = reference(spec)
    within = comm if case.mesh.size > 1 else MPI.COMM_SELF
    found = train(case, spec, within)
    assert found.losses == pytest.approx(expected.losses, rel=TOLERANCE)
    assert found.measured == found.predicted
    if within.Get_rank():
        return
    assert len(expected.gradients) == len(expected.weights) > 30
    learnt = [name for name in expected.gradients if not name.endswith("attn.k.bias")]
    assert min(float(expected.gradients[name].norm()) for name in learnt) > 1e-6
    assert worst_error(found.gradients, expected.gradients) < (TOLERANCE, "")
    assert worst_error(found.weights, expected.weights) < (TOLERANCE, "")
