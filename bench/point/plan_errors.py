"""What a strategy refuses, said with command-line keys: the library knows nothing of these."""

from __future__ import annotations

from strategies.common.plan_error import PlanError

SECTIONS = {"option": "strategy", "step": "train", "mesh": "mesh", "model": "model", "checkpoint": "train"}
"""The section of the configuration that has the settings of each of the library's groups."""


def command_line_key(group: str, name: str) -> str:
    """The key of the command line for a setting of the library.

    Args:
        group: ``strategy`` or a key of SECTIONS.
        name: The setting in that group, or the strategy's name.

    Returns:
        ``strategy.zero`` for the option ``zero``, ``train.batch`` for a step's ``batch``, ``strategy=data`` for a strategy.
    """
    return f"strategy={name}" if group == "strategy" else f"{SECTIONS[group]}.{name}"


def in_command_line_words(error: BaseException) -> str:
    """The text of an error.

    Args:
        error: Any error.

    Returns:
        Its message; a PlanError's has the keys that the user can set.
    """
    return error.said_with(command_line_key) if isinstance(error, PlanError) else str(error)
