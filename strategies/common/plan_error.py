"""The error of a configuration that cannot be run. It speaks of settings by the library's names, not by command-line keys.

In the text of an error a setting is written as ``<group name>``: ``<option zero>`` (of a strategy), ``<step batch>`` (of
``StepShape``), ``<mesh pipeline>``, ``<strategy hybrid>``, ``<checkpoint save:folder>``. Its plain form, as ``str`` gives it,
is the name, or what stands after a colon; a caller with names of its own (a command line) passes them to ``said_with``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

SETTING = re.compile(r"<(option|step|mesh|strategy|model|checkpoint) (\w+)(?::([^>]*))?>")


class PlanError(ValueError):
    """A model, mesh or batch that a strategy cannot run: what was wrong, what was found, what to use. One line.

    Attributes:
        text: The line with its settings marked.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def about(self) -> tuple[tuple[str, str], ...]:
        """(group, name) of each setting that the line speaks of, in its order."""
        return tuple((match[1], match[2]) for match in SETTING.finditer(self.text))

    def said_with(self, name_of: Callable[[str, str], str]) -> str:
        """The line with the settings named as the reader knows them.

        Args:
            name_of: From (group, name) of a setting to what it is called.

        Returns:
            One line.
        """
        return SETTING.sub(lambda match: name_of(match[1], match[2]), self.text)

    def __str__(self) -> str:
        """The line in plain words."""
        return SETTING.sub(lambda match: match[3] or _plain(match[1], match[2]), self.text)


def _plain(group: str, name: str) -> str:
    return f"strategy {name}" if group == "strategy" else name
