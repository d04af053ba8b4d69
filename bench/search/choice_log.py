"""``results/STUDY/search.json``: how a study is searched, and why each of its points was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bench.common.atomic_files import write_json
from bench.common.user_error import UserError
from bench.record.study_folder import SEARCH, SEARCH_FILE


@dataclass(frozen=True)
class LoggedKey:
    """A key that is chosen, or keys that go together: their levels, or the ends of an interval."""

    keys: Sequence[str]
    levels: Sequence[Sequence[str]]
    low: float
    high: float
    log: bool


@dataclass(frozen=True)
class LoggedChoice:
    """One combination: its values by key, the name and hash of its point, and why it was asked for.

    ``point`` and ``hash`` are null where it cannot run; ``refused`` says why not.
    """

    values: Mapping[str, str]
    why: str
    point: str | None = None
    hash: str | None = None
    refused: str | None = None


@dataclass(frozen=True)
class LoggedRepeat:
    """One further repeat of a point, and why it was worth it."""

    point: str
    why: str


@dataclass(frozen=True)
class ChoiceLog:
    """The file: the settings of the last start, and all choices in their order.

    ``combinations`` is null where an interval has no end of them. ``tried`` counts the configurations that ran, ``front`` has
    the names of those that nothing dominates.
    """

    sampler: str
    budget: int
    seed: int
    objectives: Sequence[str]
    keys: Sequence[LoggedKey]
    combinations: int | None
    choices: Sequence[LoggedChoice] = ()
    repeats: Sequence[LoggedRepeat] = ()
    tried: int = 0
    front: Sequence[str] = ()
    schema: str = field(default=SEARCH)

    def chosen(self, choice: LoggedChoice) -> ChoiceLog:
        """The log with one more choice.

        Args:
            choice: The last one.

        Returns:
            A new log.
        """
        return replace(self, choices=(*self.choices, choice))

    def write(self, folder: Path) -> None:
        """Write the file, whole or not at all.

        Args:
            folder: That of the study.
        """
        write_json(folder / SEARCH_FILE, asdict(self))


def read_choices(folder: Path) -> tuple[list[LoggedChoice], list[LoggedRepeat]]:
    """The choices of earlier starts.

    Args:
        folder: That of the study, which need not exist.

    Returns:
        Choices and repeats in their order; none where the study was not searched.

    Raises:
        UserError: There is a file that this version did not write.
    """
    path = folder / SEARCH_FILE
    if not path.exists():
        return [], []
    try:
        stored = json.loads(path.read_text())
        if stored["schema"] != SEARCH:
            raise ValueError(f"schema {stored['schema']!r}, not {SEARCH!r}")
        return [LoggedChoice(**one) for one in stored["choices"]], [LoggedRepeat(**one) for one in stored["repeats"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); move it away: finished points stay finished") from None
