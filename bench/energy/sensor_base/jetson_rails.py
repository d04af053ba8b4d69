"""Which rails of a Jetson make its total: not a source, but what ``jetson`` and ``jtop`` both need.

From NVIDIA's developer guides and device trees. On AGX Orin, VIN_SYS_5V0 feeds VDDQ_VDD2_1V8AO, so the latter is inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.energy.sensor_base.source import SourceUnavailable
from bench.joules.channel import Level

MODULE = "VDD_SYS_CPU VDD_SYS_DDR VDD_SYS_GPU VDD_SYS_SOC VDD_4V0_WIFI VDD_CPU_GPU_CV VDD_CPU_GPU VDD_SOC VDD_GPU VDD_CPU"
THOR = ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0")
TOTALS: dict[str, tuple[Level, str, tuple[str, ...]]] = {
    "VIN": ("board", "input of the carrier board, with the module", THOR),
    "POM_5V_IN": ("package", "module, without the carrier board", ("POM_5V_GPU", "POM_5V_CPU")),
    "VDD_IN": ("package", "module, without the carrier board", tuple(MODULE.split())),
}
"""A rail that is the total, what it is, and the rails inside it."""
SUMS: dict[str, dict[str, tuple[str, ...]]] = {
    "AGX Xavier": {"GPU": (), "CPU": (), "SOC": (), "CV": (), "VDDRQ": (), "SYS5V": ()},
    "AGX Orin": {"VDD_GPU_SOC": (), "VDD_CPU_CV": (), "VIN_SYS_5V0": ("VDDQ_VDD2_1V8AO",)},
    "Thor, its input sensor missing": dict.fromkeys(THOR, ()),
}
"""Boards without a total: the rails side by side whose sum is taken, each with the rails inside it."""


@dataclass(frozen=True)
class Rail:
    """A rail to read: where it sits, its scope in words, and the labels of the rails inside it."""

    label: str
    level: Level
    scope: str
    contains: tuple[str, ...] = ()


def arrange(labels: Sequence[str]) -> list[Rail]:
    """The rails to read. Rails that are no known part of the total (a carrier board's) are not read.

    Args:
        labels: Labels of all rails, as the sensors have them.

    Returns:
        The rails, those of the total first.

    Raises:
        SourceUnavailable: The rails are of no known board, or one of the sum is missing or there twice.
    """
    rails = _below_a_total(labels) or _side_by_side(labels)
    twice = [rail.label for rail in rails if list(labels).count(rail.label) > 1]
    if twice:
        raise SourceUnavailable(f"{', '.join(twice)} is there more than once; a sensor that you added is a meter (hwmon)")
    return rails


def _below_a_total(labels: Sequence[str]) -> list[Rail]:
    for total, (level, scope, known) in TOTALS.items():
        # An INA238 that somebody wired to another Jetson looks the same as Thor's.
        if total in labels and (total != "VIN" or THOR[1] in labels):
            inside = tuple(label for label in known if label in labels)
            top = Rail(total, level, f"{total}: {scope}", inside)
            return [top, *(Rail(label, "component", f"{label}: part of {total}") for label in inside)]
    return []


def _side_by_side(labels: Sequence[str]) -> list[Rail]:
    missing = {board: [label for label in rails if label not in labels] for board, rails in SUMS.items()}
    board = min(SUMS, key=lambda name: len(missing[name]) / len(SUMS[name]))
    if missing[board]:
        near = f"; of {board}, {', '.join(missing[board])} is missing" if len(missing[board]) < len(SUMS[board]) else ""
        raise SourceUnavailable(f"rails {', '.join(labels)} are those of no known Jetson{near}; use a meter")
    arranged = []
    for label, inside in SUMS[board].items():
        inner = tuple(name for name in inside if name in labels)
        scope = f"{label}: one of the rails whose sum is the module ({board}), without the carrier board"
        arranged.append(Rail(label, "package", scope, inner))
        arranged += [Rail(name, "component", f"{name}: part of {label}") for name in inner]
    return arranged
