"""T2: the Transformer computes what the reference implementation of each family computes, from its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from strategies.base import Batch
from strategies.common.plan_error import PlanError
from strategies.models.pretrained_weights import WeightLoader, fill
from strategies.models.transformer import MicroBatch, Transformer
from strategies.plan.model_spec import ModelSpec, parameters
from strategies.plan.placement import place
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import MeshShape, StepShape

transformers = pytest.importorskip("transformers", reason="the reference implementation is not installed")

BERT = ModelSpec(
    "bert", "bert", 41, 32, 3, 4, 4, 48, 20, False, "layer", "post", "learned", "gelu", "classifier",
    labels=2, token_types=2,
)  # fmt: skip
GPT2 = ModelSpec(
    "gpt2", "gpt2", 41, 32, 3, 4, 4, 128, 20, True, "layer", "pre", "learned", "gelu_tanh", "lm",
    norm_eps=1e-5, tied=True,
)  # fmt: skip
LLAMA = ModelSpec(
    "llama", "llama", 41, 32, 3, 4, 2, 48, 20, True, "rms", "pre", "rotary", "silu_gated", "lm",
    norm_eps=1e-6, qkv_bias=False, out_bias=False, mlp_bias=False,
)  # fmt: skip


def reference(family: str) -> Any:
    torch.manual_seed(5)
    if family == "bert":
        config = transformers.BertConfig(
            vocab_size=41, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
            max_position_embeddings=20, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )  # fmt: skip
        return transformers.BertModel(config, add_pooling_layer=False).double().eval()
    if family == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=41, n_embd=32, n_layer=3, n_head=4, n_positions=20, attn_pdrop=0, embd_pdrop=0, resid_pdrop=0
        )
        return transformers.GPT2LMHeadModel(config).double().eval()
    config = transformers.LlamaConfig(
        vocab_size=41, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=48, max_position_embeddings=20, rope_theta=10000.0, rms_norm_eps=1e-6,
        tie_word_embeddings=False,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).double().eval()


def whole(spec: ModelSpec) -> RankPlacement:
    return place(spec, StepShape(4, 8), MeshShape())[0]


def load(spec: ModelSpec, checkpoint: Path | None, at: RankPlacement) -> Transformer:
    module = Transformer(spec, at).double()
    with WeightLoader(spec, checkpoint, seed=0) as loader:
        fill(module, [(p, at.shard(p, spec)) for p in parameters(spec) if at.holds(p, spec)], loader)
    return module


@pytest.mark.parametrize("spec", [BERT, GPT2, LLAMA], ids=lambda spec: spec.family)
def test_equals_the_reference_implementation(spec: ModelSpec, tmp_path: Path) -> None:
    model = reference(spec.family)
    model.save_pretrained(tmp_path, safe_serialization=True)
    ids = torch.randint(1, spec.vocab, (4, 8), generator=torch.Generator().manual_seed(3))
    mask = torch.arange(8)[None, :] < torch.tensor([[8], [5], [2], [7]])
    module = load(spec, tmp_path, whole(spec))
    with torch.no_grad():
        output = model(input_ids=ids, attention_mask=mask.long())
        expected = output.last_hidden_state if spec.family == "bert" else output.logits
        micro = MicroBatch.of(Batch(ids, mask, torch.zeros(4, dtype=torch.int64)), whole(spec))
        hidden = module(None, micro)
        found = hidden if spec.family == "bert" else module.logits(hidden, micro)
    # The reference computes its rotary angles in fp32, whatever the model's precision.
    tolerance = 1e-6 if spec.positions == "rotary" else 1e-10
    torch.testing.assert_close(found[mask], expected[mask], rtol=0, atol=tolerance)


@pytest.mark.parametrize("spec", [BERT, GPT2, LLAMA], ids=lambda spec: spec.family)
def test_a_rank_reads_only_its_slices(spec: ModelSpec, tmp_path: Path) -> None:
    """The tensor shards of every parameter, put together, are the whole; stages hold their own layers only."""
    reference(spec.family).save_pretrained(tmp_path, safe_serialization=True)
    single = dict(load(spec, tmp_path, whole(spec)).named_parameters())
    shards = [
        (at, dict(load(spec, tmp_path, at).named_parameters()))
        for at in place(spec, StepShape(4, 8), MeshShape(pipeline=3, tensor=2))
    ]
    for parameter in parameters(spec):
        parts = [own[parameter.name] for at, own in shards if parameter.name in own and at.holds(parameter, spec)]
        parts = parts[:2] if parameter.split is not None else parts[:1]
        found = torch.cat([part.detach() for part in parts], dim=parameter.split or 0)
        assert torch.equal(found, single[parameter.name].detach()), parameter.name


def test_random_weights_do_not_depend_on_the_distribution() -> None:
    single = dict(load(GPT2, None, whole(GPT2)).named_parameters())
    for at in place(GPT2, StepShape(4, 8), MeshShape(pipeline=3, tensor=2)):
        for parameter in parameters(GPT2):
            if at.holds(parameter, GPT2):
                begin, end = at.shard(parameter, GPT2) or (0, parameter.shape[0])
                dim = parameter.split or 0
                mine = dict(load(GPT2, None, at).named_parameters())[parameter.name]
                assert torch.equal(mine, single[parameter.name].narrow(dim, begin, end - begin))


def test_the_head_that_a_checkpoint_lacks_is_drawn_and_named(tmp_path: Path) -> None:
    reference("bert").save_pretrained(tmp_path, safe_serialization=True)
    at = whole(BERT)
    module = Transformer(BERT, at).double()
    with WeightLoader(BERT, tmp_path, seed=0) as loader:
        fill(module, [(p, None) for p in parameters(BERT)], loader)
        assert loader.drawn == ["head.weight", "head.bias"]


def test_broken_checkpoints_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="holds no"), WeightLoader(BERT, tmp_path, 0):
        pass
    reference("bert").save_pretrained(tmp_path, safe_serialization=True)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(PlanError, match=r"cannot be read .* fetch it again"), WeightLoader(BERT, tmp_path, 0):
        pass


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    reference("bert").save_pretrained(tmp_path, safe_serialization=True)
    other = ModelSpec(**{**BERT.to_dict(), "ffn": 64})
    with pytest.raises(PlanError, match=r"has shape \(48, 32\), model bert needs \(64, 32\)"):
        load(other, tmp_path, whole(other))
    with pytest.raises(PlanError, match="has no tensor wte"):
        load(GPT2, tmp_path, whole(GPT2))
