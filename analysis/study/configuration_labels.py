"""Labels of configurations: short where that is enough, with the factors that tell it from its neighbours where not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bench.record.point_record import HostLinkRecord, NetworkRecord, PointRecord, UplinkRecord
from bench.record.record import Record

NOT_FACTORS = (
    *("name", "study", "experiment", "repeat", "order", "hash", "strategy", "options", "ranks", "mesh", "checkpoint"),
    *("network", "fault", "label"),
)
FIRST = ("model",)
"""Factors that are named before those that follow from them."""
FAULT_FACTORS = ("rank", "snapshot_every", "after_steps")


def short_label(point: PointRecord) -> str:
    """A short name of a configuration, which others of its study may share.

    Args:
        point: The configuration.

    Returns:
        The strategy, its mesh where the strategy does not say it, its ranks.
    """
    if point.strategy == "hybrid":
        mesh = "x".join(f"{axis[0]}{size}" for axis, size in point.mesh.items() if size > 1)
        return f"hybrid {mesh}"
    return "single" if point.ranks == 1 else f"{point.strategy} n={point.ranks}"


def labels_of(records: Sequence[Record]) -> dict[str, str]:
    """Labels of configurations: those whose short label is the same get the factors in which they differ.

    Measured and modelled runs of one configuration keep the same label: figures and tables keep them apart by their kind.

    Args:
        records: All of a study, of any status.

    Returns:
        Labels by the hash of the configuration.
    """
    by_hash = {record.point.hash: record.point for record in records}
    kinds = {record.point.hash: None if record.energy is None else record.energy.kind for record in records}
    same_short: dict[tuple[str, str | None], list[str]] = {}
    for key, point in by_hash.items():
        same_short.setdefault((short_label(point), kinds[key]), []).append(key)
    labels: dict[str, str] = {}
    used: dict[str | None, set[str]] = {}
    for (short, kind), keys in same_short.items():
        factors = [factors_of(by_hash[key]) for key in keys]
        names = telling(factors)
        for key, values in zip(keys, factors, strict=True):
            label = " ".join([short, *(f"{name}={plain(values[name])}" for name in names if values.get(name) is not None)])
            # What tells two of them apart may not be in the record: then the hash does.
            labels[key] = label if label not in used.setdefault(kind, set()) else f"{label} {key[:4]}"
            used[kind].add(labels[key])
    return labels


def factors_of(point: PointRecord) -> dict[str, Any]:
    """Everything about a point that a sweep can vary.

    Of the network: ``link`` (names), ``link_rate_bit_s`` (of the slowest link), ``link_delay_s``; null where it is not known.
    Of a failure: ``fault.rank``, ``fault.snapshot_every``, ``fault.after_steps``; they are not there where nothing failed.

    Args:
        point: The configuration.

    Returns:
        Values by the last part of the factor's name.
    """
    settings = {key: value for key, value in point.items() if key not in NOT_FACTORS}
    mesh = {f"mesh.{axis}": size for axis, size in point.mesh.items()}
    fault = {} if point.fault is None else {f"fault.{key}": getattr(point.fault, key) for key in FAULT_FACTORS}
    return {**settings, **mesh, **network_factors(point.network), **fault, **point.options}


def network_factors(network: NetworkRecord | None) -> dict[str, Any]:
    """The links of a network as factors.

    Args:
        network: None where it is not known.

    Returns:
        ``link`` (names with commas), ``link_rate_bit_s`` (the slowest), ``link_delay_s`` (the longest); null where not known.
    """
    links: list[HostLinkRecord | UplinkRecord] = [] if network is None else [*network.links]
    links += [network.uplink] if network is not None and network.uplink else []
    delays = [link.delay_s for link in links if link.delay_s is not None]
    return {
        "link": ",".join(dict.fromkeys(link.name for link in links)) or None,
        "link_rate_bit_s": min((link.rate_bit_s for link in links), default=None),
        "link_delay_s": max(delays, default=None),
    }


def telling(factors: Sequence[Mapping[str, Any]]) -> list[str]:
    """The factors that tell configurations apart, without those that follow from others: with the model goes its task.

    Args:
        factors: The factors of each configuration, by name.

    Returns:
        Sorted names.
    """
    names = sorted({name for values in factors for name in values}, key=lambda name: (name not in FIRST, name))
    chosen: list[str] = []
    groups = 1
    for name in names:
        finer = len({tuple(str(values.get(other)) for other in (*chosen, name)) for values in factors})
        if finer > groups:
            chosen, groups = [*chosen, name], finer
    return sorted(chosen)


def plain(value: Any) -> str:
    """A value as labels and tables show it.

    Args:
        value: Of a factor or setting.

    Returns:
        Text without spaces, dictionaries as ``key:value,key:value``; a list of names keeps them as they are.
    """
    if isinstance(value, dict):
        return ",".join(f"{key}:{plain(inner)}" for key, inner in sorted(value.items()))
    if isinstance(value, list) and value and all(isinstance(inner, str) for inner in value):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")


def natural(label: str) -> tuple[tuple[float, str], ...]:
    """The key that sorts labels with their numbers as numbers: batch=8 before batch=16.

    Args:
        label: Any text.

    Returns:
        A pair for each piece: (number, "") or (-1, text).
    """
    pieces = re.findall(r"[0-9.]*[0-9]|[^0-9]+", label)
    return tuple((float(piece), "") if piece.replace(".", "", 1).isdigit() else (-1.0, piece) for piece in pieces)


def names_in(labels: Sequence[str]) -> dict[str, str]:
    """Names of the configurations of a figure or table that has only these.

    Args:
        labels: Of all of them.

    Returns:
        By label, the label without the settings that all share; ``n=`` always stays.
    """
    factors = [set(label.split()[1:]) for label in labels]
    shared = set.intersection(*factors) if len(factors) > 1 else set()
    shared = {factor for factor in shared if "=" in factor and not factor.startswith("n=")}
    return {label: " ".join(part for part in label.split() if part not in shared) for label in labels}
