"""Warm-up ends when the last steps agree, and not on the first ones alone, which are slow for reasons of their own."""

from __future__ import annotations

import pytest

from bench.config.warmup_config import WarmupConfig
from bench.training.trainer import warmed_up


@pytest.mark.parametrize(
    ("min_steps", "step_s", "ends"),
    [
        (2, [1.0], False),
        (2, [1.0, 0.7], False),  # the first is cold
        (2, [1.0, 0.7, 0.68], True),
        (2, [0.7, 0.69], True),
        (3, [0.7, 0.69], False),
        (3, [1.0, 0.7, 0.68], False),
        (3, [1.0, 0.7, 0.68, 0.69], True),
        (5, [0.7, 0.7, 0.7, 0.7], False),
        (1, [0.7], False),
    ],
)
def test_the_last_steps_decide(min_steps: int, step_s: list[float], ends: bool) -> None:
    assert warmed_up(step_s, WarmupConfig(min_steps=min_steps)) is ends
