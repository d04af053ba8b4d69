"""A way out: ``python -m bench.export CHECKPOINT OUT`` writes what ``train.save`` kept as a Hugging Face model.

``OUT`` gets ``model.safetensors``, with the names and layouts of the family (GPT-2: matrices transposed; q, k and v side by
side), and ``config.json``; ``transformers.AutoModel.from_pretrained(OUT)`` loads it. The head of a classifier (logits of the
mean token vector) has no equal there and keeps its own names, ``head.weight`` and ``head.bias``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from bench.common.exit_codes import BAD_INPUT
from bench.common.user_error import UserError
from bench.point.plan_errors import in_command_line_words
from strategies.common.plan_error import PlanError
from strategies.models import model_family
from strategies.models.model_family import Stored
from strategies.plan.checkpoint_manifest import MODEL, Checkpoint
from strategies.plan.model_spec import ModelSpec, Parameter, parameters

LM_HEAD = "lm_head."


def export(folder: Path, out: Path) -> None:
    """Write the model of a checkpoint to a new folder: whole or not at all.

    Args:
        folder: The checkpoint, as ``train.save`` wrote it.
        out: A folder that is empty or does not exist.

    Raises:
        PlanError: There is no whole checkpoint.
        UserError: The model has no equal in transformers, or ``out`` cannot be written.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out} exists and is not an empty folder; give a new one")
    checkpoint = Checkpoint.read(folder)
    spec = ModelSpec.from_dict(checkpoint.model)
    config = {**hugging_face_config(spec), "torch_dtype": checkpoint.dtype}
    with safe_open(folder / MODEL, framework="pt") as opened:
        tensors = hugging_face_tensors(spec, {name: opened.get_tensor(name) for name in opened.keys()})  # noqa: SIM118
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as beside:
            whole = Path(beside) / "new"
            whole.mkdir()
            save_file(tensors, whole / MODEL, metadata={"format": "pt"})
            (whole / "config.json").write_text(json.dumps(config, indent=1) + "\n")
            whole.rename(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror or error}); give another folder") from None


def hugging_face_config(spec: ModelSpec) -> dict[str, object]:
    """The config.json of a model.

    Args:
        spec: The model.

    Returns:
        Keys and values by the names of transformers.

    Raises:
        UserError: The model has a switch that its class in transformers does not have.
    """
    family = model_family.get(spec.family)
    name = family.classes[spec.head]
    for key, value in family.fixed_switches(spec).items():
        switch = getattr(spec, key)
        if switch != value:
            raise UserError(
                f"model {spec.name} has {key}={switch}, which {name} of transformers does not have (it needs {value}); use the "
                f"checkpoint's own {MODEL}, whose names are those of strategies/plan/model_spec.py"
            )
    sizes = {key: getattr(spec, field) for key, field in family.config_keys.items()}
    return {"model_type": family.name, "architectures": [name], **sizes, **family.config_constants}


def hugging_face_tensors(spec: ModelSpec, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as transformers names and lays them out.

    Args:
        spec: The model.
        weights: All its weights by canonical name.

    Returns:
        Contiguous tensors by their names in transformers; fused ones in one piece.
    """
    parts: dict[str, dict[int, Tensor]] = {}
    for parameter in parameters(spec):
        stored, value = _stored(spec, parameter), weights[parameter.name]
        parts.setdefault(stored.name, {})[stored.part[0]] = value.t() if stored.transposed else value
    # Fused tensors lie side by side along what they give out: the last dimension of a transposed matrix, and of a bias.
    return {name: torch.cat([pieces[i] for i in sorted(pieces)], dim=-1).contiguous() for name, pieces in parts.items()}


def _stored(spec: ModelSpec, parameter: Parameter) -> Stored:
    if spec.head == "classifier" and parameter.name.startswith("head."):
        return Stored(parameter.name)
    family = model_family.get(spec.family)
    stored = family.stored(parameter.name)
    if stored is None:
        raise RuntimeError(f"{parameter.name} has no name in the {spec.family} family")
    prefix = "" if stored.name.startswith(LM_HEAD) else family.written_prefix
    return Stored(prefix + stored.name, stored.transposed, stored.part)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 2 for what the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m bench.export", description="Write a checkpoint as a Hugging Face model.")
    parser.add_argument("checkpoint", type=Path, help="folder that train.save wrote")
    parser.add_argument("out", type=Path, help="new folder for model.safetensors and config.json")
    arguments = parser.parse_args(argv)
    try:
        export(arguments.checkpoint, arguments.out)
    except (UserError, PlanError) as error:
        print(f"error: {in_command_line_words(error)}", file=sys.stderr)
        return BAD_INPUT
    print(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
