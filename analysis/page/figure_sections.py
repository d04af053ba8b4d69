"""Where a figure stands on the page: by the beginning of its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Trade-off", ("energy_time", "power_mode_")),
    ("Bars", ("energy_bars", "throughput_bars")),
    ("Scaling", ("scaling", "participants", "replication")),
    ("Network", ("links", "topology", "collectives", "bandwidth", "latency")),
    ("Time and energy", ("time_", "energy_", "power_", "schedule")),
    ("Failures", ("failure",)),
    ("Memory and traffic", ("peak_memory", "traffic")),
    ("Learning", ("loss", "accuracy", "perplexity")),
    ("Sensitivity", ("sensitivity", "choice", "split")),
    ("Quality", ("step_times", "prediction", "timeline", "spread", "normality", "uncertainty")),
)
MORE = "More"
Named = TypeVar("Named")


def section_of(name: str) -> str:
    """The section of the longest prefix that fits."""
    fits = [(len(prefix), title) for title, prefixes in SECTIONS for prefix in prefixes if name.startswith(prefix)]
    return max(fits)[1] if fits else MORE


def grouped(figures: Sequence[Named], names: Sequence[str]) -> list[tuple[str, list[Named]]]:
    """Figures by section, in the sections' order and in their own inside; sections without figures are left out."""
    order = [*(title for title, _ in SECTIONS), MORE]
    found: dict[str, list[Named]] = {title: [] for title in order}
    for figure, name in zip(figures, names, strict=True):
        found[section_of(name)].append(figure)
    return [(title, own) for title, own in found.items() if own]
