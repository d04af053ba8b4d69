"""The ``mesh`` block: how many ranks each axis has."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config.config_field import setting


@dataclass(frozen=True)
class MeshConfig:
    """Sizes of the axes of the mesh; their product is the number of ranks. Null: a strategy of one axis fills it."""

    pipeline: int | None = setting(None, "stages; null: strategies of one axis fill it with all ranks", least=1)
    data: int | None = setting(None, "replicas that share the samples", least=1)
    sequence: int | None = setting(None, "parts that each sample's tokens are cut into", least=1)
    tensor: int | None = setting(None, "parts that each layer's heads and columns are cut into", least=1)
