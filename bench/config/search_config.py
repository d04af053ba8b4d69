"""The ``campaign.search`` block: a sweep that looks for the front instead of running every combination."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config.config_field import setting

SAMPLERS = ("gp", "tpe", "random")
OBJECTIVES = ("step_s", "sample_s", "sample_J")


@dataclass(frozen=True)
class SearchConfig:
    """How a sweep is searched (``docs/how-to/search.md``)."""

    budget: int | None = setting(
        None, "how many of a sweep's combinations run, those that ran before included; null: all of them, no search", least=1
    )
    sampler: str = setting(
        "gp", "of Optuna: gp (Gaussian processes), tpe (density estimates), random (to compare with)", choices=SAMPLERS
    )
    objectives: list = setting(
        ["step_s", "sample_J"],
        "what is to be small: seconds of a step (step_s), seconds of a sample (sample_s), joules of a sample (sample_J)",
        choices=OBJECTIVES,
        must="a list of different ones of step_s, sample_s and sample_J",
    )
    retry_failed: bool = setting(False, "run combinations again that failed, timed out or were invalid (never oom) before")
