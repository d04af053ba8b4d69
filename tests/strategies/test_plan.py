"""T0: placements cover everything once, predictions are the formulas, and what cannot run is refused in one line."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.base import check_options, get, registered
from strategies.errors import PlanError
from strategies.models.spec import ModelSpec, parameter_count, parameters
from strategies.partition import even, weighted
from strategies.plan import MeshShape, StepShape, memory, place

MINILM = ModelSpec(
    "minilm", "bert", 30522, 384, 6, 12, 12, 1536, 512, False, "layer", "post", "learned", "gelu", "classifier",
    labels=2, token_types=2,
)  # fmt: skip
TINY_LLAMA = ModelSpec(
    "llama-tiny", "llama", 256, 64, 4, 8, 2, 96, 128, True, "rms", "pre", "rotary", "silu_gated", "lm",
    qkv_bias=False, out_bias=False, mlp_bias=False,
)  # fmt: skip
STEP = StepShape(32, 64, 4)


def plan_of(strategy: str, spec: ModelSpec, mesh: MeshShape, shape: StepShape = STEP, **options: Any) -> Any:
    cls = get(strategy)
    return cls.plan(spec, shape, mesh, check_options(cls, options))


def test_minilm_has_the_published_number_of_parameters() -> None:
    """22.7 M: 22,713,216 in the checkpoint, less its pooler (147,840), plus a head of two classes (770)."""
    assert parameter_count(MINILM) == 22_713_216 - 147_840 + 770


@given(st.integers(1, 200), st.integers(1, 12))
def test_even_parts_cover_in_order_and_differ_by_one(total: int, parts: int) -> None:
    found = even(total, parts)
    assert found[0][0] == 0
    assert found[-1][1] == total
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
    sizes = [end - begin for begin, end in found]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=6), st.integers(6, 200))
def test_weighted_parts_cover_and_none_is_empty(weights: list[float], total: int) -> None:
    sizes = [end - begin for begin, end in weighted(total, weights)]
    assert sum(sizes) == total
    assert min(sizes) >= 1
    for size, weight in zip(sizes, weights, strict=True):
        assert abs(size - total * weight / sum(weights)) <= max(1.0, len(weights))


def test_shares_of_three_to_one() -> None:
    assert weighted(32, [3, 1]) == [(0, 24), (24, 32)]


@pytest.mark.parametrize("mesh", [MeshShape(2, 2, 1, 2), MeshShape(3, 1, 1, 4), MeshShape(1, 4, 1, 1)])
@pytest.mark.parametrize("spec", [MINILM, replace(TINY_LLAMA, layers=6, kv_heads=8)])
def test_every_element_is_held_once_by_each_replica(mesh: MeshShape, spec: ModelSpec) -> None:
    found = place(spec, STEP, mesh)
    for parameter in parameters(spec):
        for replica in range(mesh.data):
            sizes = [at.local_size(parameter, spec) for at in found if at.coordinates["data"] == replica]
            copies = mesh.tensor if parameter.split is None else 1
            assert sum(sizes) == copies * parameter.size
    for at in found:
        assert sum(at.micro_samples) == at.samples[1] - at.samples[0]


def test_ranks_are_numbered_with_the_tensor_axis_fastest() -> None:
    mesh = MeshShape(pipeline=2, data=1, sequence=1, tensor=2)
    assert [mesh.coordinates(r)["tensor"] for r in range(4)] == [0, 1, 0, 1]
    assert [mesh.coordinates(r)["pipeline"] for r in range(4)] == [0, 0, 1, 1]


def test_data_traffic_is_the_gradients() -> None:
    (volume,) = plan_of("data", MINILM, MeshShape(data=2)).volumes
    assert (volume.key, volume.payload_bytes) == ("data.all_reduce.backward", 2 * 4 * parameter_count(MINILM))
    assert volume.wire_bytes == volume.payload_bytes  # 2 (n-1)/n is 1 for two ranks


def test_tensor_traffic_is_eight_bsh_a_layer() -> None:
    """Sent per rank and layer: 8 B s h (t-1)/t elements, plus the embedding's all-reduce (arXiv 2104.04473, 3.2)."""
    found = {v.key: v for v in plan_of("tensor", MINILM, MeshShape(tensor=4)).volumes}
    bsh, t = 32 * 64 * 384, 4
    wire_per_rank = sum(v.wire_bytes for v in found.values()) / 4 / t
    assert wire_per_rank == pytest.approx(6 * 8 * bsh * (t - 1) / t + 2 * bsh * (t - 1) / t)


def test_pipeline_traffic_does_not_depend_on_micro_batches() -> None:
    for micros in (1, 4, 32):
        shape = replace(STEP, micro_batches=micros)
        found = {v.key: v.payload_bytes for v in plan_of("pipeline", MINILM, MeshShape(pipeline=2), shape).volumes}
        assert found == {"pipeline.send.forward": 32 * 64 * 384 * 4, "pipeline.send.backward": 32 * 64 * 384 * 4}


def test_memory_is_exact_for_states() -> None:
    whole = parameter_count(MINILM) * 4
    (single,) = memory(MINILM, STEP, place(MINILM, STEP, MeshShape()))
    assert (single.parameters_bytes, single.gradients_bytes, single.optimizer_bytes) == (whole, whole, 2 * whole)
    halves = memory(MINILM, STEP, place(MINILM, STEP, MeshShape(pipeline=2)))
    assert sum(half.parameters_bytes for half in halves) == whole


REFUSED: list[tuple[str, MeshShape, ModelSpec, StepShape, dict[str, Any], str]] = [
    ("pipeline", MeshShape(pipeline=4), MINILM, STEP, {},
     "pipeline=4 does not divide the 6 layers of minilm; use 1, 2, 3 or 6, "
     "or give the layers of each stage as strategy.stages=[...]"),
    ("pipeline", MeshShape(pipeline=2), MINILM, STEP, {"stages": [4, 1]},
     "strategy.stages=[4, 1] must be 2 positive numbers of layers that sum to the 6 layers of minilm"),
    ("pipeline", MeshShape(pipeline=2), MINILM, STEP, {"schedule": "2f2b"},
     "strategy.schedule=2f2b is unknown; use gpipe or 1f1b"),
    ("tensor", MeshShape(tensor=5), MINILM, STEP, {},
     "tensor=5 does not divide the 12 attention heads of minilm; use 1, 2, 3, 4, 6 or 12"),
    ("tensor", MeshShape(tensor=4), TINY_LLAMA, STEP, {},
     "tensor=4 does not divide the 2 key/value heads of llama-tiny; use 1 or 2"),
    ("data", MeshShape(data=2), MINILM, StepShape(4, 64, 4), {},
     "train.batch=4 is smaller than 2 replicas x 4 micro-batches; use train.batch >= 8 or fewer train.micro_batches"),
    ("data", MeshShape(data=2), MINILM, STEP, {"shares": [1, 2, 3]},
     "strategy.shares=[1, 2, 3] must have one number for each of the 2 replicas"),
    ("single", MeshShape(), MINILM, StepShape(4, 600, 1), {},
     "train.seq=600 is longer than the 512 positions of minilm"),
]  # fmt: skip


@pytest.mark.parametrize(("strategy", "mesh", "spec", "shape", "options", "message"), REFUSED)
def test_what_cannot_run_is_refused(
    strategy: str, mesh: MeshShape, spec: ModelSpec, shape: StepShape, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(PlanError) as error:
        plan_of(strategy, spec, mesh, shape, **options)
    assert str(error.value) == message


def test_meshes_from_ranks() -> None:
    none = dict.fromkeys(("pipeline", "data", "sequence", "tensor"))
    assert get("tensor").mesh_for(4, none) == MeshShape(tensor=4)
    assert get("hybrid").mesh_for(4, {**none, "pipeline": 2, "data": 2}) == MeshShape(pipeline=2, data=2)
    with pytest.raises(PlanError, match=r"has 2 ranks, but ranks=4; their product must be equal"):
        get("hybrid").mesh_for(4, {**none, "pipeline": 2})
    with pytest.raises(PlanError, match="needs a mesh"):
        get("hybrid").mesh_for(4, none)
    with pytest.raises(PlanError, match="does not split the tensor axis"):
        get("data").mesh_for(4, {**none, "tensor": 2})


def test_unknown_names_are_refused_with_the_near_ones() -> None:
    with pytest.raises(PlanError, match="did you mean pipeline"):
        get("pipelin")
    with pytest.raises(PlanError, match="has no option stage; its options are stages, schedule"):
        check_options(get("pipeline"), {"stage": 1})


def test_registered_strategies() -> None:
    assert {"single", "data", "tensor", "pipeline", "hybrid"} <= set(registered())


def test_planning_does_not_start_mpi() -> None:
    """The launch host plans, and a process that has initialised MPI cannot start mpirun everywhere."""
    import subprocess
    import sys

    code = (
        "import sys; from strategies.base import registered; registered(); "
        "import strategies.comm.mesh, strategies.models.checkpoint; print('mpi4py.MPI' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
