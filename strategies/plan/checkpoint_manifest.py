"""The manifest of a training's checkpoint, read without its tensors. ``step/training_checkpoint.py`` saves and resumes.

model.safetensors      every weight, whole, under its canonical name, in the dtype of the training
optimizer.safetensors  what the optimizer keeps for every element: ``exp_avg/NAME``, ``exp_avg_sq/NAME`` of AdamW
training.json          steps done, optimizer, dtype, model, and the SHA-256 of the two files
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from strategies.common.plan_error import PlanError
from strategies.plan.model_spec import ModelSpec, parameters

SCHEMA = "edgejoule.checkpoint/1"
MODEL, OPTIMIZER, TRAINING = "model.safetensors", "optimizer.safetensors", "training.json"
STATES: Mapping[str, tuple[str, ...]] = {"sgd": (), "adamw": ("exp_avg", "exp_avg_sq")}
SAVE_KEY = "<checkpoint save:folder>"
"""How errors call the folder that a checkpoint is saved as."""
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Checkpoint:
    """The manifest of a checkpoint, as its training.json has it.

    Attributes:
        folder: Where it lies.
        steps: Optimizer steps done.
        optimizer: ``adamw`` or ``sgd``.
        dtype: That of weights and states.
        model: The values of its ModelSpec.
        digest: The SHA-256 of training.json, which names those of the weights and states: no two states share one.
    """

    folder: Path
    steps: int
    optimizer: str
    dtype: str
    model: Mapping[str, Any]
    digest: str

    @classmethod
    def read(cls, folder: Path) -> Checkpoint:
        """Read the manifest; the tensors are looked for, but not read.

        Args:
            folder: As ``save`` wrote it.

        Returns:
            The checkpoint.

        Raises:
            PlanError: The folder, a file or a tensor is missing, or a file is cut off.
        """
        file = folder / TRAINING
        try:
            content = file.read_bytes()
        except OSError as error:
            raise PlanError(
                f"{folder} is no checkpoint ({TRAINING}: {error.strerror}); give a folder that <checkpoint save:save> wrote"
            ) from None
        try:
            training = json.loads(content)
        except ValueError as error:
            raise PlanError(f"{file} is not whole ({error}); save the checkpoint again") from None
        schema = training.get("schema") if isinstance(training, dict) else None
        if schema != SCHEMA:
            raise PlanError(f"{file} has schema {schema!r}, this version reads {SCHEMA!r}; use the version that wrote it")
        values = {key: training[key] for key in ("steps", "optimizer", "dtype", "model")}
        checkpoint = cls(folder, **values, digest=hashlib.sha256(content).hexdigest())
        for name, shapes in file_contents(ModelSpec.from_dict(checkpoint.model), checkpoint.optimizer).items():
            with open_tensors(folder / name, "np") as tensors:
                missing = sorted(set(shapes) - set(tensors.keys()))
            if missing:
                raise PlanError(f"checkpoint {folder} is incomplete: {name} has no {missing[0]}; save it again")
        return checkpoint

    def check(self, spec: ModelSpec, dtype: str, optimizer: str) -> None:
        """Refuse a training that cannot go on from here.

        Args:
            spec: Its model.
            dtype: Of its weights and states, such as ``float32``.
            optimizer: ``adamw`` or ``sgd``.

        Raises:
            PlanError: One of them is another than that of the checkpoint.
        """
        needed = spec.to_dict()
        for key in {**needed, **self.model}:
            here, there = needed.get(key, "missing"), self.model.get(key, "missing")
            if here != there:
                raise PlanError(
                    f"checkpoint {self.folder} is of another model: {key} is {there} there and {here} here; choose the model "
                    "and task that it was saved with"
                )
        for key, there, here in (("dtype", self.dtype, dtype), ("optimizer", self.optimizer, optimizer)):
            if here != there:
                raise PlanError(
                    f"checkpoint {self.folder} was saved with <step {key}>={there}, found {here}; use <step {key}>={there}"
                )


def check_target(folder: Path) -> None:
    """Refuse a folder that no checkpoint can be written as.

    Args:
        folder: Must be new, empty, or nothing but a checkpoint, which will be replaced; files are made beside it.

    Raises:
        PlanError: Its parent cannot be written to, or it holds anything else.
    """
    parent = folder.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        why = "cannot be written to" if parent.is_dir() else "is no folder"
        raise PlanError(f"no checkpoint can be saved as {folder}: {parent} {why}; make it, or give another {SAVE_KEY}")
    if not folder.exists():
        return
    inside = {path.name for path in folder.iterdir()} if folder.is_dir() else {"a file"}
    foreign = sorted(inside - {MODEL, OPTIMIZER, TRAINING})
    if foreign:
        raise PlanError(f"{folder} exists and is not only a checkpoint (found {foreign[0]}); give another {SAVE_KEY}")


def file_contents(spec: ModelSpec, optimizer: str) -> dict[str, Shapes]:
    """The tensors of each file of a checkpoint.

    Args:
        spec: The model.
        optimizer: ``adamw`` or ``sgd``.

    Returns:
        For each file the whole shape by name, in the order in which they are written.
    """
    weights = {parameter.name: parameter.shape for parameter in parameters(spec)}
    states = {f"{state}/{name}": shape for state in STATES[optimizer] for name, shape in weights.items()}
    return {MODEL: weights, OPTIMIZER: states}


def open_tensors(file: Path, framework: str) -> Any:
    """Open a safetensors file.

    Args:
        file: The file.
        framework: ``pt`` for torch tensors, ``np`` for names only.

    Returns:
        The open file, a context manager.

    Raises:
        PlanError: The file cannot be read.
    """
    try:
        return safe_open(file, framework=framework)
    except (SafetensorError, OSError) as error:
        raise PlanError(f"checkpoint file {file} cannot be read ({error}); save it again") from None
