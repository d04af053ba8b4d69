"""A training as files: saved under one strategy, resumed under any other, on any number of ranks.

``plan/checkpoint_manifest.py`` says what the files are.

What a rank holds depends on the strategy, what the files hold does not. ``save`` gathers one tensor after the other on
rank 0, which writes it before the next one comes; ``resume`` lets every rank read its own slices, so the folder must be
on every host. Pre-trained weights of others are read by ``models/pretrained_weights.py``.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import struct
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from strategies.base import Strategy
from strategies.common.plan_error import PlanError
from strategies.plan.checkpoint_manifest import (
    MODEL,
    OPTIMIZER,
    SAVE_KEY,
    SCHEMA,
    STATES,
    TRAINING,
    Checkpoint,
    Shapes,
    check_target,
    file_contents,
    open_tensors,
)
from strategies.plan.model_spec import ModelSpec, parameters
from strategies.plan.shapes import ELEMENT_BYTES

if TYPE_CHECKING:
    from mpi4py import MPI

STORED = {"float32": "F32", "float64": "F64"}


def save(strategy: Strategy, optimizer: torch.optim.Optimizer, steps: int, folder: Path, comm: MPI.Intracomm) -> None:
    """Write ``folder``: whole or not at all, in the place of an older checkpoint. Collective; rank 0 writes.

    Args:
        strategy: The strategy, built.
        optimizer: Over its ``trainable``.
        steps: Optimizer steps done.
        folder: The checkpoint.
        comm: The ranks of the strategy.

    Raises:
        PlanError: On every rank, where it cannot be written.
    """
    kind, error = _kind(optimizer), None
    if comm.Get_rank() == 0:
        try:
            check_target(folder)
        except PlanError as problem:
            error = problem.text
    _agree(error, comm)
    tensors = {MODEL: strategy.export("weights"), OPTIMIZER: _states(strategy, states_of(strategy, optimizer))}
    if comm.Get_rank() == 0:
        try:
            _write(folder, tensors, strategy.spec, strategy.shape.dtype, kind, steps)
        except OSError as problem:
            error = f"checkpoint {folder} cannot be written ({problem.strerror or problem}); give another {SAVE_KEY}"
    deque(itertools.chain(*tensors.values()), maxlen=0)  # other ranks send, also to a rank 0 that could not write
    _agree(error, comm)


def resume(strategy: Strategy, optimizer: torch.optim.Optimizer, folder: Path) -> int:
    """Put the weights and the optimizer's states of ``folder`` into this rank's shard.

    Args:
        strategy: The strategy, built.
        optimizer: Over its ``trainable``.
        folder: The checkpoint.

    Returns:
        The number of optimizer steps done.

    Raises:
        PlanError: ``folder`` is no whole checkpoint, or one of another model, dtype or optimizer.
    """
    checkpoint = Checkpoint.read(folder)
    checkpoint.check(strategy.spec, strategy.shape.dtype, _kind(optimizer))
    parameters_by_name = dict(strategy.module.named_parameters())
    with torch.no_grad(), open_tensors(folder / MODEL, "pt") as opened:
        for name, value in _Slices(strategy, opened).items():
            parameters_by_name[name].copy_(value)  # in place: weights may be views of a flat buffer
    with open_tensors(folder / OPTIMIZER, "pt") as opened:
        states = {state: _Slices(strategy, opened, f"{state}/") for state in STATES[checkpoint.optimizer]}
        load_states(strategy, optimizer, states, checkpoint.steps)
    return checkpoint.steps


def load_states(
    strategy: Strategy, optimizer: torch.optim.Optimizer, states: Mapping[str, Mapping[str, Tensor]], steps: int
) -> None:
    """Put into an optimizer what it keeps after ``steps`` steps.

    Args:
        strategy: The strategy, built.
        optimizer: Over its ``trainable``.
        states: For each of its ``STATES`` the tensors of this rank's parameters, by name.
        steps: Optimizer steps done.
    """
    kept: dict[nn.Parameter, dict[str, Tensor]] = {}
    for state, values in states.items():
        for parameter, value in strategy.sharded(values).items():
            kept.setdefault(parameter, {"step": torch.tensor(float(steps))})[state] = value
    order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbered = {number: kept[parameter] for number, parameter in enumerate(order) if parameter in kept}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": numbered})


def states_of(strategy: Strategy, optimizer: torch.optim.Optimizer) -> dict[str, dict[nn.Parameter, Tensor]]:
    """The tensors that an optimizer keeps of everything ``trainable`` here; zeros before its first step.

    Args:
        strategy: The strategy whose weights it updates.
        optimizer: AdamW or SGD, over ``trainable``.

    Returns:
        By the name of the state (``exp_avg``), then by what is ``trainable``.

    Raises:
        PlanError: The optimizer keeps more than a checkpoint holds.
    """
    kept = optimizer.state
    return {
        state: {p: kept[p][state] if kept.get(p) else torch.zeros_like(p) for p, _ in strategy.trainable()}
        for state in STATES[_kind(optimizer)]
    }


class _Slices(Mapping[str, Tensor]):
    """This rank's slices of the tensors PREFIX + NAME of an open file, by name; each is read when it is asked for."""

    def __init__(self, strategy: Strategy, opened: Any, prefix: str = "") -> None:
        placement, spec = strategy.placement, strategy.spec
        self._opened, self._prefix = opened, prefix
        self._held = {p.name: (p, placement.shard(p, spec)) for p in parameters(spec) if placement.holds(p, spec)}

    def __getitem__(self, name: str) -> Tensor:
        parameter, span = self._held[name]
        index = [slice(None)] * len(parameter.shape)
        if span is not None and parameter.split is not None:
            index[parameter.split] = slice(*span)
        values: Tensor = self._opened.get_slice(self._prefix + name)[tuple(index)]
        return values.clone(memory_format=torch.contiguous_format)  # not a view that would keep the whole in memory

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def _kind(optimizer: torch.optim.Optimizer) -> str:
    """``adamw`` or ``sgd``; PlanError for one that keeps more than a checkpoint holds."""
    kind = type(optimizer).__name__.lower()
    more = [key for group in optimizer.param_groups for key in ("momentum", "amsgrad") if group.get(key)]
    if kind not in STATES or more:
        described = kind + "".join(f" with {key}" for key in more[:1])
        raise PlanError(f"checkpoints hold the states of plain {' and '.join(STATES)}, found {described}; use one of these")
    return kind


def _agree(error: str | None, comm: MPI.Intracomm) -> None:
    """Raise rank 0's error on every rank."""
    error = comm.bcast(error)
    if error is not None:
        raise PlanError(error)


def _states(strategy: Strategy, states: Mapping[str, Mapping[nn.Parameter, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """The optimizer's states, whole, on rank 0."""
    for state, tensors in states.items():
        for name, whole in strategy.export(tensors):
            yield f"{state}/{name}", whole


def _write(
    folder: Path, tensors: Mapping[str, Iterator[tuple[str, Tensor]]], spec: ModelSpec, dtype: str, optimizer: str, steps: int
) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as beside:
        whole = Path(beside) / "new"
        whole.mkdir()
        shapes = file_contents(spec, optimizer)
        training = {
            "schema": SCHEMA,
            "steps": steps,
            "optimizer": optimizer,
            "dtype": dtype,
            "model": spec.to_dict(),
            "sha256": {name: _write_tensors(whole / name, tensors[name], shapes[name], dtype) for name in shapes},
        }
        (whole / TRAINING).write_text(json.dumps(training, indent=1) + "\n")
        if folder.exists():
            folder.rename(Path(beside) / "old")
        whole.rename(folder)


def _write_tensors(file: Path, tensors: Iterator[tuple[str, Tensor]], shapes: Shapes, dtype: str) -> str:
    """Write a safetensors file tensor by tensor, so that all of them need not fit into memory; its SHA-256.

    The format (github.com/huggingface/safetensors): the length of the header as 8 bytes, the header as JSON, the data.
    """
    header: dict[str, dict[str, str | list[int]]] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * ELEMENT_BYTES[dtype]
        header[name] = {"dtype": STORED[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of 8
    digest = hashlib.sha256()
    with file.open("wb") as out:
        for block in itertools.chain([struct.pack("<Q", len(text)) + text], _blocks(tensors, shapes, dtype)):
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _blocks(tensors: Iterator[tuple[str, Tensor]], shapes: Shapes, dtype: str) -> Iterator[Any]:
    for (name, tensor), (expected, shape) in zip(tensors, shapes.items(), strict=True):
        if (name, tuple(tensor.shape), tensor.dtype) != (expected, shape, getattr(torch, dtype)):
            raise RuntimeError(
                f"{name} {tuple(tensor.shape)} {tensor.dtype} was exported where {expected} {shape} {dtype} belongs"
            )
        yield tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
