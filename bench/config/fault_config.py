"""The ``fault`` block: a device that fails, and how the others go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_field import block, setting
from bench.config.mesh_config import MeshConfig


@dataclass(frozen=True)
class FaultConfig:
    """Which rank is killed when (``docs/how-to/faults.md``)."""

    rank: int | None = setting(
        None,
        "this rank is killed, and the others go on without it; null: nothing fails",
        least=0,
        must="null or a whole number of at least 1 (rank 0 writes the record)",
    )
    snapshot_every: int = setting(8, "steps between copies of the state in the memory of the ranks", unit="steps", least=1)
    after_steps: int = setting(
        12, "steps with copies before the failure; those since the last copy are lost", unit="steps", least=1
    )
    mesh: MeshConfig = block(MeshConfig, "mesh of the survivors; null: strategies of one axis fill it")
    options: Mapping[str, Any] = setting({}, "options of the strategy for the survivors: +fault.options.stages=[2,1]")
