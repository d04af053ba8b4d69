"""The formats of logs that ``import`` reads: one file for each in ``analysis/imports/formats``, or a plug-in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from analysis.imports.log.meter_log import Log, LogOptions
from bench.common.user_error import UserError
from strategies.common.registry import Registry

HEAD_BYTES = 4096
"""So much of a file's beginning is shown to ``recognises``."""


class LogFormat(ABC):
    """How the logs of one meter or program are told and read."""

    name: ClassVar[str]
    """The word of ``--format``, and what records of the import call it."""
    place: ClassVar[int] = 50
    """Where the format stands in lists. Files are offered to formats in this order; the first that recognises one reads it."""
    column_noun: ClassVar[str] = "columns"
    """The word for the named parts of such a log, in the plural."""
    columns_add_up: ClassVar[bool] = False
    """Whether several parts with the same hosts are parts of their energy; otherwise they would count it twice."""
    takes_units: ClassVar[bool] = False
    """Whether the user's words about units and decimal marks mean anything for it; other formats state theirs."""
    offset_reason: ClassVar[str | None] = None
    """Why the log's times need ``--offset-s``, and what to give; None where they do not."""
    kind_note: ClassVar[str | None] = None
    """Printed where the user did not say whether the energy is measured or modelled."""

    @classmethod
    @abstractmethod
    def recognises(cls, head: bytes) -> bool:
        """Whether a file is of this format.

        Args:
            head: Its first bytes, at most ``HEAD_BYTES``.

        Returns:
            True for one that ``read`` should be tried with.
        """

    @classmethod
    @abstractmethod
    def read(cls, path: Path, options: LogOptions) -> Log:
        """All readings of a file.

        Args:
            path: The log.
            options: What the user says about it.

        Returns:
            The readings by name, with what the file has beside them.

        Raises:
            UserError: The file is not of this format, or lacks what the import needs.
        """


LOG_FORMATS: Registry[type[LogFormat]] = Registry(
    "log format",
    "analysis.imports.formats",
    "edgejoule.log_formats",
    order=lambda log_format: (log_format.place, log_format.name),
    error=UserError,
)


def read_log(path: Path, format_name: str | None, options: LogOptions) -> Log:
    """Read a log as what it is called or, without a name, as what it looks like.

    Args:
        path: The log.
        format_name: The name of a registered format, or None.
        options: What the user says about the log.

    Returns:
        As the format reads it.

    Raises:
        UserError: There is no such file or format, or the file is not of the format.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file; give the meter's log")
    log_format = _recognised(path) if format_name is None else LOG_FORMATS.get(format_name)
    try:
        return log_format.read(path, options)
    except UserError as error:  # names and words of the log are in it, and these may have line ends
        raise UserError(" ".join(str(error).split())) from None


def _recognised(path: Path) -> type[LogFormat]:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for log_format in LOG_FORMATS.all().values():
        if log_format.recognises(head):
            return log_format
    raise UserError(f"{path} is of no known format; give --format, one of {', '.join(LOG_FORMATS.all())}")
