"""Things that are found by themselves: one class for strategies, sensors, tasks, model families and figures.

A registered thing is one file. Built-in files lie in a package; others come from an installed distribution (an entry point of
the group ``edgejoule.KIND``) or from a folder that the environment variable ``EDGEJOULE_PLUGINS`` names (several folders are
separated as in ``PATH``; every ``*.py`` in them is imported once).
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Generic, TypeVar

PLUGIN_FOLDERS = "EDGEJOULE_PLUGINS"
"""The environment variable with folders of plug-ins. It reaches all ranks with the other variables of a point."""

T = TypeVar("T")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name.

    Args:
        name: The unknown one.
        known: Those that exist.

    Returns:
        ``; did you mean X?`` with the closest one, or an empty string where none is close.
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not registered.

    Args:
        kind: Of the thing that it should name, such as ``strategy``.
        name: The unknown one.
        known: Those that exist.

    Returns:
        One line: what it is, which are known, and the near one.
    """
    names = list(known)
    return f"unknown {kind} {name}; known are {', '.join(names)}{did_you_mean(name, names)}"


class Registry(Generic[T]):
    """Things of one kind by name.

    Args:
        kind: The word for one of them in messages, such as ``strategy``.
        package: The package whose modules register the built-in ones when they are imported.
        group: The entry point group of other distributions, such as ``edgejoule.strategies``.
        name_of: The name of a thing (default: its attribute ``name``).
        order: The key by which ``all`` sorts (default: by name).
        error: The exception that ``get`` raises for an unknown name, made from one line.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        group: str,
        *,
        name_of: Callable[[T], str] | None = None,
        order: Callable[[T], object] | None = None,
        error: type[Exception] = LookupError,
    ) -> None:
        self.kind, self.package, self.group, self.error = kind, package, group, error
        self._name_of: Callable[[T], str] = name_of or (lambda thing: str(thing.name))  # type: ignore[attr-defined]
        self._order = order or self._name_of
        self._by_name: dict[str, T] = {}
        self._searched: set[str] = set()

    def register(self, thing: T) -> T:
        """Make a thing known under its name; usable as a decorator.

        Args:
            thing: Has an attribute ``name``, or what the registry takes names from (``name_of``).

        Returns:
            ``thing``.

        Raises:
            ValueError: Another module registered the same name.
        """
        name = self._name_of(thing)
        known = self._by_name.get(name)
        if known is not None and _home(known) != _home(thing):
            raise ValueError(f"two of kind {self.kind} are named {name}: in {_home(known)} and in {_home(thing)}")
        self._by_name[name] = thing
        return thing

    def all(self) -> dict[str, T]:
        """Every registered thing by name, in order. Imports what was not imported yet."""
        self._search()
        return dict(sorted(self._by_name.items(), key=lambda item: self._order(item[1])))  # type: ignore[arg-type,return-value]

    def get(self, name: str) -> T:
        """The thing of this name.

        Args:
            name: As registered.

        Returns:
            The thing.

        Raises:
            Exception: ``error`` of the registry, in one line: an unknown name, with the known ones and the near one, or a
                plug-in that cannot be imported.
        """
        known = self.all()
        if name not in known:
            raise self.error(unknown_name(self.kind, name, known))
        return known[name]

    def _search(self) -> None:
        if "package" not in self._searched:
            self._searched.add("package")
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                if not module.ispkg and not module.name.startswith("_"):
                    importlib.import_module(f"{self.package}.{module.name}")
            for entry in entry_points(group=self.group):
                thing = entry.load()
                if self._name_of(thing) not in self._by_name:
                    self.register(thing)
        folders = os.environ.get(PLUGIN_FOLDERS, "")
        if folders not in self._searched:
            try:
                import_plugins(folders)
            except PluginError as problem:
                raise self.error(str(problem)) from None
            self._searched.add(folders)


class PluginError(Exception):
    """A folder or a file of plug-ins that cannot be used: what was wrong and what to do, in one line."""


def absolute_folders(folders: str) -> str:
    """Folders by their whole paths: other processes and hosts have another working folder.

    Args:
        folders: Separated as in ``PATH``.

    Returns:
        The same ones in the same form; empty ones are left out.
    """
    return os.pathsep.join(str(Path(folder).expanduser().resolve()) for folder in folders.split(os.pathsep) if folder)


def import_plugins(folders: str) -> None:
    """Import every ``*.py`` of some folders, each file once in a process.

    Args:
        folders: Separated as in ``PATH``.

    Raises:
        PluginError: One of the folders does not exist, or one of the files cannot be imported.
    """
    for folder in map(Path, filter(None, absolute_folders(folders).split(os.pathsep))):
        if not folder.is_dir():
            raise PluginError(f"{PLUGIN_FOLDERS} names {folder}, which is no folder; mend the variable or make the folder")
        for path in sorted(folder.glob("*.py")):
            _import_file(path)


def _import_file(path: Path) -> None:
    name = f"edgejoule_plugin_{path.stem}"
    same_name = sys.modules.get(name)
    if same_name is not None and same_name.__file__ != str(path):  # of another folder
        name += f"_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        why = " ".join(str(error).split())
        raise PluginError(f"the plug-in {path} cannot be imported ({type(error).__name__}: {why}); mend it") from error


def _home(thing: object) -> str:
    return str(getattr(thing, "__module__", None) or type(thing).__module__)
