"""Where files are: the configuration, host inventories, data and weights, of a source tree and of an installed tool.

Files of the user come first. ``conf``, ``hostfiles`` and ``results`` of the working folder are looked into before those that
come with the suite, so that ``conf/model/mine.yaml`` in any folder makes ``model=mine`` known there.
"""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

from strategies.common.registry import PLUGIN_FOLDERS, absolute_folders

PROJECT = Path(__file__).resolve().parents[2]
"""The folder that ``bench`` lies in: the root of a source tree, or ``site-packages``."""

_PACKED = PROJECT / "edgejoule" / "resources"
INSTALLED = _PACKED.is_dir()
"""Whether this is a wheel's copy, which holds what a source tree has at its top in ``edgejoule/resources``."""

RESOURCES = _PACKED if INSTALLED else PROJECT
CONF = RESOURCES / "conf"
HOSTFILES = RESOURCES / "hostfiles"
DATA = RESOURCES / "data"
CITATION = RESOURCES / "CITATION.cff"
RESULTS = Path("results")
"""Records of studies, in the working folder."""

JOB_FOLDER = Path(sys.prefix) if INSTALLED else PROJECT
"""The working folder of ranks and of helper processes. Python puts it first on its path, so it is never ``site-packages``:
packages there would hide modules of the standard library that have the same name."""


def user_conf() -> Path | None:
    """``conf`` of the working folder; None where there is none, or where it is the suite's own."""
    folder = Path.cwd() / "conf"
    return folder if folder.is_dir() and folder.resolve() != CONF else None


def conf_folders(group: str) -> list[Path]:
    """The folders with the options of a group of the configuration.

    Args:
        group: The group's name, such as ``board``.

    Returns:
        The user's folder first, where there is one, then the suite's; they need not exist.
    """
    user = user_conf()
    return [folder / group for folder in ([] if user is None else [user]) + [CONF]]


def resource(path: str) -> Path:
    """A file that the configuration names: from the working folder, else of the suite.

    Args:
        path: Such as ``hostfiles/emulated4.yaml``; ``~`` is the user's home.

    Returns:
        The path itself where it is absolute or exists, else the same in the suite's resources.
    """
    chosen = Path(path).expanduser()
    return chosen if chosen.is_absolute() or chosen.exists() else RESOURCES / chosen


def weights_root() -> Path:
    """The folder for packages of weights.

    ``EDGEJOULE_WEIGHTS``, else ``weights`` of the source tree, else, of an installed tool, ``edgejoule/weights`` in the user's
    cache folder (``XDG_CACHE_HOME``, by default ``~/.cache``).
    """
    named = os.environ.get("EDGEJOULE_WEIGHTS")
    if named:
        return Path(named)
    if not INSTALLED:
        return PROJECT / "weights"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "edgejoule" / "weights"


def import_variables() -> dict[str, str]:
    """The variables by which an interpreter on any host finds this code and the user's plug-ins.

    ``PYTHONPATH`` is not needed where the code lies in the interpreter's own site-packages.
    """
    interpreters = [Path(folder).resolve() for folder in (*site.getsitepackages(), site.getusersitepackages())]
    code = {} if PROJECT in interpreters else {"PYTHONPATH": str(PROJECT)}
    return {**code, **plugin_variables()}


def plugin_variables() -> dict[str, str]:
    """``EDGEJOULE_PLUGINS`` where it is set, with whole paths: for processes with another working folder."""
    folders = os.environ.get(PLUGIN_FOLDERS)
    return {PLUGIN_FOLDERS: absolute_folders(folders)} if folders else {}
