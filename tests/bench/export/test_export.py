"""What python -m bench.export writes is the same model to transformers, and to this project when it is read back."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import export
from strategies.base import Batch
from strategies.models.pretrained_weights import WeightLoader
from strategies.models.transformer import MicroBatch, Transformer
from strategies.plan.model_spec import ModelSpec, parameters
from strategies.plan.placement import place
from strategies.plan.shapes import MeshShape, StepShape
from tests.checkpoint_files import make_checkpoint
from tests.strategies.models.test_transformer import BERT, GPT2, LLAMA

transformers = pytest.importorskip("transformers", reason="the reference implementation is not installed")

MODELS = {
    "BertModel": BERT,
    "GPT2LMHeadModel": GPT2,
    "GPT2Model": replace(GPT2, head="classifier", labels=3, tied=False),
    "LlamaForCausalLM": LLAMA,
    "LlamaModel": replace(LLAMA, head="classifier", labels=3, qkv_bias=True, out_bias=True, mlp_bias=True),
}
UNTIED = replace(GPT2, tied=False)


def run(*arguments: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["bench.export", *map(str, arguments)])
    return export.main()


@pytest.mark.parametrize(("name", "spec"), [*MODELS.items(), ("GPT2LMHeadModel", UNTIED)], ids=lambda value: str(value)[:40])
def test_transformers_computes_the_same(name: str, spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = make_checkpoint(tmp_path / "saved", spec, dtype="float64")
    assert run(tmp_path / "saved", tmp_path / "out", monkeypatch=monkeypatch) == 0
    model, info = getattr(transformers, name).from_pretrained(tmp_path / "out", output_loading_info=True)
    assert model.dtype == torch.float64
    assert not [key for key in info["missing_keys"] if "pooler" not in key]  # ours has none
    assert set(info["unexpected_keys"]) == ({"head.weight", "head.bias"} if spec.head == "classifier" else set())

    at = place(spec, StepShape(4, 8), MeshShape())[0]
    module = Transformer(spec, at).double()
    module.load_state_dict(weights)
    ids = torch.randint(1, spec.vocab, (4, 8), generator=torch.Generator().manual_seed(3))
    mask = torch.arange(8)[None, :] < torch.tensor([[8], [5], [2], [7]])
    micro = MicroBatch.of(Batch(ids, mask, torch.zeros(4, dtype=torch.int64)), at)
    with torch.no_grad():
        output = model.eval()(input_ids=ids, attention_mask=mask.long())
        hidden = module(None, micro)
        found = hidden if spec.head == "classifier" else module.logits(hidden, micro)
    expected = output.last_hidden_state if spec.head == "classifier" else output.logits
    # The reference computes its rotary angles in fp32, whatever the model's precision.
    tolerance = 1e-6 if spec.positions == "rotary" else 1e-10
    torch.testing.assert_close(found[mask], expected[mask], rtol=0, atol=tolerance)


@pytest.mark.parametrize("spec", [BERT, GPT2, LLAMA, UNTIED], ids=str)
def test_reads_back_as_a_pretrained_model(spec: ModelSpec, tmp_path: Path) -> None:
    weights = make_checkpoint(tmp_path / "saved", spec, dtype="float64")
    export.export(tmp_path / "saved", tmp_path / "out")
    with WeightLoader(spec, tmp_path / "out", seed=0) as load:
        for parameter in parameters(spec):
            found = load.read(parameter, None, torch.float64)
            assert torch.equal(found, weights[parameter.name]) == (parameter.name not in load.drawn), parameter.name
    assert load.drawn == (["head.weight", "head.bias"] if spec.head == "classifier" else [])


def test_bad_input_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    saved, out = tmp_path / "saved", tmp_path / "out"

    def fails(*arguments: Path) -> str:
        assert run(*arguments, monkeypatch=monkeypatch) == 2
        return capsys.readouterr().err

    make_checkpoint(saved, replace(LLAMA, qkv_bias=True))
    assert fails(saved, out) == (
        "error: model llama has out_bias=False, which LlamaForCausalLM of transformers does not have (it needs True); use the "
        "checkpoint's own model.safetensors, whose names are those of strategies/plan/model_spec.py\n"
    )
    assert fails(tmp_path / "none", out) == (
        f"error: {tmp_path / 'none'} is no checkpoint (training.json: No such file or directory); give a folder that "
        "train.save wrote\n"
    )
    assert fails(saved, saved) == f"error: {saved} exists and is not an empty folder; give a new one\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saved"]
    make_checkpoint(tmp_path / "plain", LLAMA)
    assert fails(tmp_path / "plain", out / "deep").startswith(f"error: {out / 'deep'} cannot be written (No such file")
