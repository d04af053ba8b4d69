"""The ``warmup`` block: steps before the timed window."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config.config_field import setting


@dataclass(frozen=True)
class WarmupConfig:
    """Warm-up ends when the last three steps agree (the last two where ``min_steps`` is 1 or 2), or after ``max_steps``."""

    min_steps: int = setting(3, "steps before the window at least", unit="steps", least=1)
    max_steps: int = setting(10, "steps before the window at most", unit="steps", least=1)
    tolerance: float = setting(
        0.1, "it ends when the times of the last steps differ by at most this share of their median", above=0
    )
