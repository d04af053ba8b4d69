"""Which power mode each host is to run in, and in which order its controls are set. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cluster.board_class import BoardClass
from bench.common.user_error import UserError
from bench.power_modes.controls import Control, ControlValue, Governor, MaxFrequency, RaplLimit
from bench.power_modes.jetson_controls import JetsonClocks, Nvpmodel
from bench.power_modes.machine_files import Machine
from strategies.common.registry import did_you_mean

CONTROLS: dict[str, type[Control]] = {c.name: c for c in (Nvpmodel, JetsonClocks, Governor, MaxFrequency, RaplLimit)}
Step = tuple[Control, ControlValue | None]
PowerMode = str | dict[str, str] | None
"""None: every host as it is; a name: the mode of all hosts; by board class where they differ."""


def settings(mode: Mapping[str, ControlValue]) -> dict[str, ControlValue]:
    """What a mode sets on a real board; its other keys describe an emulated one.

    Args:
        mode: A mode of a board class.

    Returns:
        Values by the names of their controls, in the order of ``CONTROLS``.
    """
    return {key: mode[key] for key in CONTROLS if mode.get(key) is not None}


def resolve(power_mode: Any, boards: Mapping[str, BoardClass]) -> PowerMode:
    """``board.power_mode`` in its one form.

    Args:
        power_mode: None, the name of a mode, or a mode for each board class.
        boards: The board classes of the cluster's hosts, by name.

    Returns:
        None, one name for all classes, or names by class.

    Raises:
        UserError: The cluster does not have the class, the class does not have the mode, or the form is another.
    """
    if power_mode is None:
        return None
    if isinstance(power_mode, Mapping):
        for board in power_mode:
            if board not in boards:
                known = ", ".join(sorted(boards))
                raise UserError(
                    f"board.power_mode names {board}, but the cluster's boards are {known}{did_you_mean(str(board), boards)}"
                )
        chosen = {str(board): str(name) for board, name in sorted(power_mode.items()) if name is not None}
    elif isinstance(power_mode, (str, int)) and not isinstance(power_mode, bool):
        chosen = {board: str(power_mode) for board in sorted(boards)}
    else:
        raise UserError(f"board.power_mode={power_mode} must be null, the name of a mode, or a mode for each board class")
    for board, name in chosen.items():
        boards[board].mode(name)
    if chosen.keys() == set(boards) and len(set(chosen.values())) == 1:
        return next(iter(chosen.values()))
    return chosen or None


def by_board(power_mode: PowerMode, boards: Mapping[str, object]) -> dict[str, str]:
    """The mode of each board class that is to be set.

    Args:
        power_mode: The choice, as ``resolve`` gives it.
        boards: The cluster's board classes, by name.

    Returns:
        Names of modes by class; classes that are left as they are are not in it.
    """
    if power_mode is None:
        return {}
    return dict.fromkeys(boards, power_mode) if isinstance(power_mode, str) else dict(power_mode)


def steps(mode: Mapping[str, ControlValue], machine: Machine, folder: Path) -> list[Step]:
    """The controls of a mode in the order in which they are set.

    nvpmodel comes first, because it decides which cores and frequencies there are and sets the frequencies anew, so they are
    saved with it; jetson_clocks last, because it holds what the others allow, unless it is to be turned off.

    Args:
        mode: A mode of a board class.
        machine: The machine to set.
        folder: Where controls may keep files for the restoration.

    Returns:
        Controls with their values; the value None is not set, but saved and restored.
    """
    values = settings(mode)
    order = [name for name in (Nvpmodel.name, MaxFrequency.name) if Nvpmodel.name in values]
    order += [name for name in values if name not in (*order, JetsonClocks.name)]
    if JetsonClocks.name in values:
        order.insert(len(order) if values[JetsonClocks.name] else 0, JetsonClocks.name)
    return [(CONTROLS[name](machine, folder), values.get(name)) for name in order]
