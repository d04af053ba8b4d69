"""A maker's own package for an instrument: imported when the meter is opened; whatever it raises becomes one error class."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.energy.sensor_base.source import SourceUnavailable


def imported(module: str, package: str, extra: str) -> Any:
    """Import a maker's module.

    Args:
        module: Its name.
        package: The package that has it.
        extra: The extra of this project that installs it.

    Returns:
        The module.

    Raises:
        SourceUnavailable: It is not installed, or does not load.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 -- packages with libraries of their own fail as those do
        raise SourceUnavailable(f"{package} cannot be imported ({_line(error)}); pip install edgejoule[{extra}]") from None


@contextmanager
def as_os_error() -> Iterator[None]:
    """Raises OSError for whatever a package raises, but ValueError for a number that is none."""
    try:
        yield
    except (OSError, ValueError, SourceUnavailable):
        raise
    except Exception as error:  # noqa: BLE001 -- packages raise what they like
        raise OSError(_line(error)) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
