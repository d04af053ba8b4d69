"""T0: placements cover everything once, predictions are the formulas, and what cannot run is refused in one line."""

from __future__ import annotations

import itertools
import pickle
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.point.plan_errors import in_command_line_words
from strategies.base import appearances, check_options, get, registered
from strategies.common.appearance import with_defaults
from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec, parameter_count, parameters
from strategies.plan.partition import even, lighter_ends, weighted
from strategies.plan.placement import place
from strategies.plan.predicted_memory import memory
from strategies.plan.rank_placement import summed_over
from strategies.plan.shapes import MeshShape, StepShape
from strategies.plan.step_options import StepOptions

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
        assert sum(at.micro_samples) == 32 // mesh.data


def test_ranks_are_numbered_with_the_tensor_axis_fastest() -> None:
    mesh = MeshShape(pipeline=2, data=1, sequence=1, tensor=2)
    assert [mesh.coordinates(r)["tensor"] for r in range(4)] == [0, 1, 0, 1]
    assert [mesh.coordinates(r)["pipeline"] for r in range(4)] == [0, 0, 1, 1]


def test_data_traffic_is_the_gradients() -> None:
    (volume,) = plan_of("data", MINILM, MeshShape(data=2), token_table="dense").volumes
    assert (volume.key, volume.payload_bytes) == ("gradients.all_reduce.backward", 2 * 4 * parameter_count(MINILM))
    assert volume.wire_bytes == volume.payload_bytes  # 2 (n-1)/n is 1 for two ranks


def test_the_token_table_goes_as_rows_where_that_is_less() -> None:
    """32 x 64 rows of 384 against a table of 30522: auto sends rows; of a longer step than 2 V tokens, the table."""
    table, rest = 30522 * 384 * 4, 4 * (parameter_count(MINILM) - 30522 * 384)
    found = {v.key: v for v in plan_of("data", MINILM, MeshShape(data=4)).volumes}
    assert found["gradients.all_gather.backward"].payload_bytes == 32 * 64 * 384 * 4
    assert found["gradients.all_gather.backward"].wire_bytes == 3 * 32 * 64 * 384 * 4
    assert found["gradients.all_reduce.backward"].payload_bytes == 4 * rest
    long = replace(STEP, batch=512, seq=128)
    (dense,) = plan_of("data", MINILM, MeshShape(data=4), long).volumes
    assert dense.payload_bytes == 4 * (rest + table)


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


def test_sequence_traffic_of_both_kinds() -> None:
    """Per rank, layer and step (MHA): ring 2 B s h (n-1)/n forward and 4 backward; Ulysses 4 B s h (n-1)/n^2 each way
    on the wire (arXiv 2309.14509, section 3.2)."""
    n, layers, bsh = 4, 6, 32 * 64 * 384 * 4
    ring = {v.key: v for v in plan_of("sequence", MINILM, MeshShape(sequence=n)).volumes}
    assert ring["sequence.send.forward"].wire_bytes == layers * n * 2 * bsh * (n - 1) / n
    assert ring["sequence.send.backward"].wire_bytes == layers * n * 4 * bsh * (n - 1) / n
    ulysses = {v.key: v for v in plan_of("sequence", MINILM, MeshShape(sequence=n), attention="ulysses").volumes}
    for phase in ("forward", "backward"):
        assert ulysses[f"sequence.all_to_all.{phase}"].wire_bytes == layers * n * 4 * bsh * (n - 1) / n**2
    gradients = 4 * (parameter_count(MINILM) - 30522 * 384) * n  # the token table goes as rows
    assert ring["gradients.all_reduce.backward"].payload_bytes == gradients


def test_zero_sends_what_the_all_reduce_sends() -> None:
    """Reduce-scatter and all-gather together are an all-reduce on the wire (arXiv 1910.02054, section 7)."""
    plain = plan_of("data", MINILM, MeshShape(data=4), token_table="dense").volumes
    zero = plan_of("data", MINILM, MeshShape(data=4), zero=1)
    assert sum(v.wire_bytes for v in zero.volumes) == pytest.approx(sum(v.wire_bytes for v in plain))
    whole = plan_of("data", MINILM, MeshShape(data=4)).memory[0].optimizer_bytes
    assert sum(m.optimizer_bytes for m in zero.memory) == whole


def test_sixteen_bits_on_the_wire_are_half() -> None:
    plain = sum(v.wire_bytes for v in plan_of("data", MINILM, MeshShape(data=4)).volumes)
    half = sum(v.wire_bytes for v in plan_of("data", MINILM, MeshShape(data=4), wire="bfloat16").volumes)
    assert half == pytest.approx(plain / 2)


def test_a_causal_ring_shares_the_work() -> None:
    """Scores below the diagonal that each rank computes: equal for the balanced blocks, 7 to 1 for consecutive ones."""

    def pairs(at: Any) -> int:
        return sum(token + 1 for begin, end in at.tokens for token in range(begin, end))

    balanced = place(TINY_LLAMA, STEP, MeshShape(sequence=4), StepOptions(attention="ring"))
    assert len({pairs(at) for at in balanced}) == 1
    assert sorted(t for at in balanced for span in at.tokens for t in range(*span)) == list(range(64))
    consecutive = [pairs(at) for at in place(TINY_LLAMA, STEP, MeshShape(sequence=4), StepOptions(attention="ulysses"))]
    assert max(consecutive) > 6 * min(consecutive)


def test_gradients_are_summed_over_those_that_have_a_part() -> None:
    """Of a mesh pipeline 2 x data 2 x tensor 2, by kind of parameter."""
    spec = replace(TINY_LLAMA, kv_heads=1, tied=True)
    by_name = {p.name: p for p in parameters(spec)}

    def ranks(name: str, norms: str) -> tuple[int, ...]:
        found = place(spec, STEP, MeshShape(pipeline=2, data=2, tensor=2), StepOptions(norms=norms))
        return summed_over(by_name[name], found[0], found, spec)

    assert ranks("blocks.0.attn.q.weight", "replicated") == (0, 2)  # my replicas
    assert ranks("blocks.0.attn_norm.weight", "replicated") == (0, 2)  # tensor ranks compute the same
    assert ranks("blocks.0.attn_norm.weight", "split") == (0, 1, 2, 3)  # tensor ranks see different tokens
    assert ranks("blocks.0.attn.k.weight", "replicated") == (0, 1, 2, 3)  # tensor ranks share the one k head
    assert ranks("embed.tokens.weight", "replicated") == (0, 2, 4, 6)  # both ends of the pipeline


def test_uneven_tensor_shares_keep_query_heads_with_their_key_head() -> None:
    first, second = place(replace(TINY_LLAMA, kv_heads=4), STEP, MeshShape(tensor=2), StepOptions(tensor_shares=[3, 1]))
    assert (first.units["kv_heads"], first.units["heads"], first.units["ffn"]) == ((0, 3), (0, 6), (0, 72))
    assert (second.units["kv_heads"], second.units["heads"], second.units["vocab"]) == ((3, 4), (6, 8), (192, 256))
    shared = place(replace(TINY_LLAMA, kv_heads=2), STEP, MeshShape(tensor=4), StepOptions(tensor_shares=[3, 1, 1, 1]))
    assert [at.units["heads"] for at in shared] == [(0, 3), (3, 4), (4, 6), (6, 8)]
    assert [at.units["kv_heads"] for at in shared] == [(0, 1), (0, 1), (1, 2), (1, 2)]


def test_ranks_of_a_stage_share_its_micro_batches() -> None:
    """Asteroid's hybrid pipeline: two boards at stage 0, 3 to 1, one at stage 1."""
    found = place(MINILM, STEP, MeshShape(pipeline=3), StepOptions(groups=[2, 1], group_shares=[[3, 1], [1]]))
    assert [at.stage for at in found] == [(0, 2), (0, 2), (1, 2)]
    assert [at.micro_samples for at in found] == [(6,) * 4, (2,) * 4, (8,) * 4]
    assert [at.layers for at in found] == [((0, 3),), ((0, 3),), ((3, 6),)]


def test_recomputation_keeps_block_inputs_only() -> None:
    kept, again = (plan_of("single", MINILM, MeshShape(), replace(STEP, recompute=how)).memory[0] for how in ("none", "blocks"))
    assert again.activations_bytes < kept.activations_bytes / 3
    assert again.parameters_bytes == kept.parameters_bytes


def test_memory_is_exact_for_states() -> None:
    whole = parameter_count(MINILM) * 4
    (single,) = memory(MINILM, STEP, place(MINILM, STEP, MeshShape()))
    assert (single.parameters_bytes, single.gradients_bytes, single.optimizer_bytes) == (whole, whole, 2 * whole)
    halves = memory(MINILM, STEP, place(MINILM, STEP, MeshShape(pipeline=2)))
    assert sum(half.parameters_bytes for half in halves) == whole


def test_layers_that_do_not_divide_go_to_the_middle_and_that_is_said() -> None:
    """The first stage has the token table and the last one the loss."""
    found = get("pipeline").plan(MINILM, STEP, MeshShape(pipeline=4), {})
    assert [at.layers for at in found.placements] == [((0, 1),), ((1, 3),), ((3, 5),), ((5, 6),)]
    assert "6 layers over 4 stages are not even: 1, 2, 2, 1 (strategy.stages=[...] gives others)" in found.notes
    assert lighter_ends(7, 3) == [(0, 2), (2, 5), (5, 7)]
    assert len(get("pipeline").plan(MINILM, STEP, MeshShape(pipeline=3), {}).notes) == 1


REFUSED: list[tuple[str, MeshShape, ModelSpec, StepShape, dict[str, Any], str]] = [
    ("pipeline", MeshShape(pipeline=7), MINILM, STEP, {},
     "pipeline=7 has more stages than the 6 layers of minilm; use at most 6"),
    ("pipeline", MeshShape(pipeline=2), MINILM, STEP, {"stages": [4, 1]},
     "strategy.stages=[4, 1] must be 2 positive numbers of layers that sum to the 6 layers of minilm"),
    ("pipeline", MeshShape(pipeline=2), MINILM, STEP, {"schedule": "2f2b"},
     "strategy.schedule=2f2b is unknown; use gpipe, 1f1b, interleaved or zero_bubble"),
    ("tensor", MeshShape(tensor=5), MINILM, STEP, {},
     "tensor=5 does not divide the 12 attention heads of minilm; use 1, 2, 3, 4, 6 or 12, "
     "or give uneven strategy.tensor_shares=[...]"),
    ("tensor", MeshShape(tensor=3), replace(TINY_LLAMA, hidden=60, heads=6, ffn=90), STEP, {},
     "tensor=3 does not fit the 2 key/value heads of llama-tiny; use 1, 2 or 6, "
     "or give uneven strategy.tensor_shares=[...]"),
    ("tensor", MeshShape(tensor=3), TINY_LLAMA, STEP, {"tensor_shares": [1, 1, 1]},
     "tensor=3 cannot share the 2 key/value heads of llama-tiny; use 1, 2, 4 or 8"),
    ("tensor", MeshShape(tensor=2), TINY_LLAMA, STEP, {"tensor_shares": [1, 0]},
     "strategy.tensor_shares=[1, 0] must have a positive number for each of the 2 tensor ranks"),
    ("tensor", MeshShape(tensor=2), TINY_LLAMA, STEP, {"norms": "cut"},
     "strategy.norms=cut is unknown; use replicated or split"),
    ("tensor", MeshShape(tensor=4), TINY_LLAMA, replace(STEP, seq=3), {"norms": "split"},
     "strategy.norms=split cannot share 3 tokens of a sample between tensor=4 ranks"),
    ("sequence", MeshShape(sequence=4), MINILM, replace(STEP, seq=3), {},
     "train.seq=3 is too short for 4 sequence ranks; use train.seq >= 4"),
    ("sequence", MeshShape(sequence=4), TINY_LLAMA, replace(STEP, seq=7), {},
     "train.seq=7 is too short for 4 sequence ranks (a causal ring gives each an early and a late block); "
     "use train.seq >= 8"),
    ("sequence", MeshShape(sequence=2), MINILM, STEP, {"attention": "flash"},
     "strategy.attention=flash is unknown; use ring or ulysses"),
    ("sequence", MeshShape(sequence=2), MINILM, STEP, {"sequence_shares": [1]},
     "strategy.sequence_shares=[1] must have one number for each of the 2 sequence ranks"),
    ("sequence", MeshShape(sequence=16), MINILM, STEP, {"attention": "ulysses"},
     "strategy.attention=ulysses needs a head for each of the 16 sequence ranks, minilm has 12 on a tensor rank; "
     "use fewer sequence ranks or strategy.attention=ring"),
    ("pipeline", MeshShape(pipeline=2), MINILM, replace(STEP, micro_batches=3),
     {"schedule": "interleaved", "virtual_stages": 3},
     "strategy.schedule=interleaved needs micro-batches in multiples of the 2 stages, found 3; "
     "use train.micro_batches=4"),
    ("pipeline", MeshShape(pipeline=2), MINILM, STEP, {"schedule": "interleaved"},
     "pipeline=2 x virtual_stages=2 does not divide the 6 layers of minilm; use 1, 2, 3 or 6, "
     "or give the layers of each virtual stage as strategy.stages=[...]"),
    ("pipeline", MeshShape(pipeline=2), MINILM, STEP, {"schedule": "interleaved", "virtual_stages": 1},
     "strategy.virtual_stages=1 must be at least 2 with strategy.schedule=interleaved"),
    ("pipeline", MeshShape(pipeline=3), MINILM, STEP, {"groups": [2, 2]},
     "strategy.groups=[2, 2] must be positive numbers of ranks, one for each stage, that sum to the "
     "3 ranks of the pipeline axis"),
    ("pipeline", MeshShape(pipeline=3), MINILM, STEP, {"groups": [2, 1], "group_shares": [[3, 1, 1], [1]]},
     "strategy.group_shares=[[3, 1, 1], [1]] must have a list for each of the 2 stages, with one number for "
     "each of its ranks (strategy.groups=[2, 1])"),
    ("pipeline", MeshShape(pipeline=4), MINILM, replace(STEP, batch=8), {"groups": [3, 1]},
     "micro-batches of 2 samples cannot be shared by the 3 ranks of a stage; "
     "use fewer train.micro_batches or a larger train.batch"),
    ("data", MeshShape(data=2), MINILM, STEP, {"zero": 3},
     "strategy.zero=3 is not supported; use 0 or 1 (optimizer states are shared)"),
    ("data", MeshShape(data=2), MINILM, STEP, {"token_table": "row"},
     "strategy.token_table=row is unknown; use auto, dense or rows"),
    ("data", MeshShape(data=2), MINILM, STEP, {"token_table": "rows", "zero": 1},
     "strategy.token_table=rows cannot be: strategy.zero=1 shares the table's sum out; use auto or dense"),
    ("data", MeshShape(data=2), replace(TINY_LLAMA, tied=True), STEP, {"token_table": "rows"},
     "strategy.token_table=rows cannot be: the head of llama-tiny is tied to the table, whose gradient is dense; "
     "use auto or dense"),
    ("data", MeshShape(data=2), MINILM, STEP, {"wire": "int8"},
     "strategy.wire=int8 is unknown; use null, float16 or bfloat16"),
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
    assert in_command_line_words(error.value) == message
    assert not re.search(r"\b(strategy|train|mesh)\.|<|\bstrategy=", str(error.value)), "the library knows no command line"
    assert all(name in str(error.value) for _, name in error.value.about)


def test_an_error_says_which_settings_it_is_about() -> None:
    """A caller that has other names for them, such as a command line or a form, needs no parsing."""
    error = PlanError("<option zero>=3 is not supported; use <step batch> or <strategy data> (<checkpoint save:a folder>)")
    assert error.about == (("option", "zero"), ("step", "batch"), ("strategy", "data"), ("checkpoint", "save"))
    assert str(error) == "zero=3 is not supported; use batch or strategy data (a folder)"
    assert in_command_line_words(error) == "strategy.zero=3 is not supported; use train.batch or strategy=data (train.save)"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


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
    with pytest.raises(PlanError, match="has no option stage; its options are stages, schedule, virtual_stages"):
        check_options(get("pipeline"), {"stage": 1})


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        ("data", {"shares": "abc"}, "strategy.shares=abc must be null or a list of numbers, such as [3,1]"),
        ("pipeline", {"stages": [4, 1.5]}, "strategy.stages=[4, 1.5] must be null or a list of whole numbers, such as [4,2]"),
        ("pipeline", {"virtual_stages": "two"}, "strategy.virtual_stages=two must be a whole number"),
        ("pipeline", {"schedule": ["1f1b"]}, "strategy.schedule=['1f1b'] must be gpipe, 1f1b, interleaved or zero_bubble"),
        (
            "pipeline",
            {"group_shares": [3, 1]},
            "strategy.group_shares=[3, 1] must be null or a list of lists of numbers, such as [[3,1],[1]]",
        ),
    ],
)
def test_options_of_another_type_are_refused_before_anything_reads_them(
    strategy: str, options: dict[str, Any], message: str
) -> None:
    """One line instead of a traceback from the middle of a plan."""
    with pytest.raises(PlanError) as error:
        check_options(get(strategy), options)
    assert in_command_line_words(error.value) == message


def test_every_option_has_a_type_a_default_and_a_meaning() -> None:
    """Command lines and the reference page list them from here."""
    for strategy in registered().values():
        fields = strategy.option_fields()
        assert {field.name: field.default for field in fields} == dict(strategy.options)
        assert all(field.type and len(field.meaning) > 10 and field.kind.accepts(field.default) for field in fields)
    assert {field.name for field in get("data").option_fields()} == {"shares", "bucket_bytes", "token_table", "zero", "wire"}


def test_strategies_have_their_order_and_no_two_look_alike() -> None:
    """Figures and tables take both from here."""
    looks = appearances()
    assert list(looks)[:7] == ["single", "data", "server", "sequence", "tensor", "pipeline", "hybrid"]
    for of in ("colour", "marker", "hatch"):
        assert len({getattr(look, of) for look in looks.values()}) == len(looks)
    without = with_defaults({"b": None, "a": None, "data": looks["data"]})
    assert list(without) == ["data", "a", "b"]
    assert without == with_defaults({"a": None, "data": looks["data"], "b": None})
    assert len({look.colour for look in without.values()}) == 3


def test_registered_strategies() -> None:
    assert {"single", "data", "sequence", "tensor", "pipeline", "hybrid"} <= set(registered())


def test_planning_does_not_start_mpi() -> None:
    """The launch host plans, and a process that has initialised MPI cannot start mpirun everywhere."""
    import subprocess
    import sys

    code = (
        "import sys; from strategies.base import registered; registered(); "
        "import strategies.comm.mesh, strategies.models.pretrained_weights; print('mpi4py.MPI' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_what_a_pipeline_prefers_is_at_most_a_sample_for_each_micro_batch() -> None:
    """The case study's batch of 4 on four stages, where two micro-batches a stage would need 8 samples."""
    four = MeshShape(pipeline=4)
    pipeline = get("pipeline")
    assert pipeline.micro_batches(None, four) == pipeline.micro_batches(None, four, 16) == 8
    assert pipeline.micro_batches(None, four, 4) == 4
    assert pipeline.micro_batches(8, four, 4) == 8  # as given: the plan then says that it cannot be
    assert get("hybrid").micro_batches(None, MeshShape(pipeline=2, data=2), 4) == 2
