"""The ``task`` block: what is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_field import setting


@dataclass(frozen=True)
class TaskConfig:
    """A task with the head of the model that it needs; ``options`` are keys of plug-in tasks."""

    name: str = setting("reviews", "name of the task")
    head: str = setting(
        "classifier", "what the last layer computes: class logits or the next token", choices=("classifier", "lm")
    )
    labels: int = setting(2, "classes; 0 for the next token", least=0)
    samples: int | None = setting(None, "of task=synthetic: training samples", unit="samples", least=1, absent=True)
    held_out: int | None = setting(None, "of task=synthetic: validation samples", unit="samples", least=1, absent=True)
    options: Mapping[str, Any] = setting({}, "further keys of the task", flat=True)
