"""The ``board`` block: how boards are set while a point runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.config.config_field import setting

PowerMode = str | Mapping[str, str] | None
"""None: every host as it is; a name: the mode of all hosts; by board class where they differ."""


def _mode_or_modes(value: Any) -> bool:
    return isinstance(value, (str, int, Mapping)) and not isinstance(value, bool)


@dataclass(frozen=True)
class BoardConfig:
    """The power mode of the hosts (``docs/how-to/power-modes.md``)."""

    power_mode: Any = setting(
        None,
        "null leaves hosts as they are; a mode that their board class has; or by class: {CLASS: MODE}",
        check=_mode_or_modes,
        must="null, the name of a mode, or a mode for each board class",
    )
