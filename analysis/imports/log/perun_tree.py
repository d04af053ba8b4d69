"""The tree of a perun file, HDF5 or JSON, as one kind of thing: nodes with attributes, children and series of readings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.imports.log.log_text import log_text
from bench.common.user_error import UserError

SERIES = {"timesteps": "t_md", "values": "v_md", "alt_values": "alt_v_md"}
"""The series of a sensor, with the key by which JSON has their units."""
MOST_READINGS = 10**8
BROKEN = (
    *(OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError, IndexError, MemoryError),
    RecursionError,
)
"""Raised by h5py and numpy for files that are cut off or damaged, and by trees that are none."""


@dataclass(frozen=True)
class Series:
    """Numbers as they were read: times ``factor`` they are of ``unit``; ``valid_max`` is where a counter begins again."""

    numbers: NDArray[np.float64]
    unit: str
    factor: float
    whole: bool
    valid_max: float


@dataclass(frozen=True)
class PerunNode:
    """An application, execution, round, node, group of devices or sensor, by its ``kind`` from 1 to 6."""

    name: str
    kind: int
    device: str
    begun: str | None
    children: tuple[PerunNode, ...]
    series: Mapping[str, Series]

    def below(self, kind: int) -> Iterator[PerunNode]:
        """All nodes of a kind below this one.

        Args:
            kind: From 1 to 6.

        Yields:
            Each node, in the order of the file.
        """
        for child in self.children:
            if child.kind == kind:
                yield child
            else:
                yield from child.below(kind)


def read_tree(path: Path, hdf5: bool) -> PerunNode:
    """The application of a perun file.

    Args:
        path: The file.
        hdf5: Whether it is HDF5; else it is JSON.

    Returns:
        The tree from the application down.

    Raises:
        UserError: h5py is not installed, the file cannot be read, or it has no application of perun.
    """
    return _from_hdf5(path) if hdf5 else _from_json(path)


def _from_hdf5(path: Path) -> PerunNode:
    try:
        import h5py
    except ImportError:
        raise UserError("perun's files are HDF5, and h5py is not installed; pip install 'edgejoule[import]'") from None
    try:
        file = h5py.File(path, "r")
    except BROKEN as error:
        raise UserError(f"{path} cannot be read as HDF5 ({_line(error)}); give perun's .hdf5 file") from None
    with file:
        try:
            groups = {name: file[name] for name in file}
            if len(groups) == 1 and isinstance(only := next(iter(groups.values())), h5py.Group) and "nodes" in only:
                return _hdf5_node(only)
        except BROKEN as error:
            raise UserError(f"{path} is of no version of perun that is known here: {_line(error)}") from None
    raise UserError(f"{path} is HDF5, but no file of perun: its top has {', '.join(groups) or 'nothing'}, not one application")


def _hdf5_node(group: Any) -> PerunNode:
    kind = int(group.attrs["type"])
    raw = group.get("raw_data", {})
    begun = group.attrs.get("execution_dt")
    return PerunNode(
        name=str(group.name).rsplit("/", 1)[-1],
        kind=kind,
        device=_plain(group.attrs.get("device_type", "")),
        begun=None if begun is None else _plain(begun),
        children=tuple(_hdf5_node(child) for child in group["nodes"].values()),
        series={name: _series(raw[name], raw[name].attrs) for name in SERIES if name in raw},
    )


def _from_json(path: Path) -> PerunNode:
    text = log_text(path)
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON ({_line(error)}); give perun's .json file") from None
    if not isinstance(tree, dict) or not {"id", "type", "nodes"} <= set(tree):
        what = ", ".join(list(map(str, tree))[:5]) or "nothing" if isinstance(tree, dict) else f"a {type(tree).__name__}"
        raise UserError(f"{path} is JSON, but no file of perun: its top has {what}, not one application")
    try:
        return _json_node(tree)
    except BROKEN as error:
        raise UserError(f"{path} is of no version of perun that is known here: {_line(error)}") from None


def _json_node(node: Any) -> PerunNode:
    nodes = node["nodes"]
    children = nodes[0] if isinstance(nodes, list) and nodes else nodes or {}  # perun writes a list of one
    raw, about = node.get("raw_data") or {}, node.get("metadata") or {}
    begun = about.get("execution_dt")
    return PerunNode(
        name=str(node["id"]),
        kind=int(node["type"]),
        device=_plain(node.get("deviceType") or ""),
        begun=None if begun is None else str(begun),
        children=tuple(_json_node(child) for child in children.values()),
        series={
            name: _series(raw[name], raw[units])
            for name, units in SERIES.items()
            if raw.get(name) is not None and raw.get(units)
        },
    )


def _series(numbers: Any, about: Any) -> Series:
    size = int(np.prod(numbers.shape)) if hasattr(numbers, "shape") else len(numbers)
    if size > MOST_READINGS:
        raise ValueError(f"{size} readings")
    array = np.asarray(numbers[:])
    if array.ndim != 1:
        raise ValueError(f"readings with {array.ndim} dimensions")
    return Series(
        numbers=array.astype(np.float64),
        unit=_plain(about["unit"]),
        factor=float(about["mag"]),
        whole=bool(np.issubdtype(array.dtype, np.integer)),
        valid_max=float(about.get("valid_max", about.get("max", 0.0)) or 0.0),
    )


def _plain(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _line(error: BaseException) -> str:
    return " ".join(" ".join(map(str, error.args)).split())[:200] or type(error).__name__
