"""Checkpoints for tests, as ``strategies.step.training_checkpoint.save`` writes them: random weights that nothing in them is
zero of."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from strategies.plan.model_spec import ModelSpec, parameters


def make_checkpoint(
    folder: Path, spec: ModelSpec, steps: int = 6, dtype: str = "float32", optimizer: str = "adamw"
) -> dict[str, Tensor]:
    """Write a checkpoint of ``spec`` to the new ``folder``; its weights by canonical name."""
    generator = torch.Generator().manual_seed(7)
    kind = getattr(torch, dtype)
    weights = {p.name: 0.3 * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(kind) for p in parameters(spec)}
    states = ("exp_avg", "exp_avg_sq") if optimizer == "adamw" else ()
    folder.mkdir()
    save_file(weights, folder / "model.safetensors")
    save_file(
        {f"{state}/{name}": torch.ones_like(weight) for state in states for name, weight in weights.items()},
        folder / "optimizer.safetensors",
    )
    training = {"schema": "edgejoule.checkpoint/1", "steps": steps, "optimizer": optimizer, "dtype": dtype, "sha256": {}}
    (folder / "training.json").write_text(json.dumps({**training, "model": spec.to_dict()}))
    return weights
