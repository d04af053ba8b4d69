"""May these points be compared? Every figure, table, sentence and test asks here; nothing else decides it.

- Numbers count where a record is valid (``measured``).
- Points stand side by side where they did the same work (``Work``): one kind of energy (measured and modelled joules are
  never one result), one model, one task. ``works`` groups rows of points so, ``records_by_work`` records.
- Inside a work they must have run under the same conditions: code, software, hosts (``mixed_conditions``).
- Joules must be taken at one place of the supply and, where modelled, by one model (``energy_basis``, ``why_energies_differ``).
- A ratio's base is a single process with the same training settings (``base_settings``, ``single_process_of``).
- Between two studies, factors of the place and factors that changed as a whole do not tell configurations apart
  (``factors_that_changed``).

Pure functions of records and of rows of points (``analysis/study/point_table.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from analysis.study.configuration_labels import plain
from analysis.study.run_conditions import code_of, differences, hosts_of, software_of
from analysis.study.study_record import MeasuredStudyRecord
from bench.record.record import MeasuredRecord, Record

BASE_FACTORS = ("batch", "seq", "dtype", "device", "power_mode")
"""Settings that a parallel configuration has in common with the single process that its ratio starts from."""
SCALING_FACTORS = ("seq", "optimizer", "lr", "dtype", "recompute", "device", "cluster", "power_mode")
"""Settings, beside the batch, that a line over the number of ranks has in common with its single process."""
PLACE_FACTORS = ("cluster", "hosts", "boards", "bind", "link", "link_rate_bit_s", "link_delay_s", "power_mode", "smoke")
"""Factors that say where points ran: two studies may differ in them."""
WORK_FACTORS = ("model", "task", "strategy", "ranks")
"""Factors that say what was done; configurations that differ in one of them are never the same. So is the mesh."""
Factors = Mapping[str, str]
AnyRecord = TypeVar("AnyRecord", bound=MeasuredRecord)


class WorkKey(NamedTuple):
    """Kind of energy, model and task: points that share them may stand side by side."""

    kind: str
    """Of energy: measured, modelled or none."""
    model: str
    task: str

    @property
    def name(self) -> str:
        """Model and task: ``minilm, reviews``."""
        return f"{self.model}, {self.task}"


@dataclass(frozen=True)
class Work:
    """Points that may be compared: one model on one task, with one kind of energy.

    ``points`` are rows of ``analysis/study/point_table.py``, one for each record.
    """

    key: WorkKey
    points: pd.DataFrame

    @property
    def kind(self) -> str:
        """The kind of energy: measured, modelled or none."""
        return self.key.kind

    @property
    def name(self) -> str:
        """Model and task: ``minilm, reviews``."""
        return self.key.name


def measured(records: Iterable[Record]) -> list[MeasuredStudyRecord]:
    """The records of a study whose numbers may be compared at all.

    Args:
        records: Whatever became of their points.

    Returns:
        Those whose point ran and of which no check failed, in the same order.
    """
    return [record for record in records if isinstance(record, MeasuredStudyRecord) and record.status == "ok"]


def work_key(record: MeasuredRecord) -> WorkKey:
    """The work of a record.

    Args:
        record: One that has numbers.

    Returns:
        The kind of energy, the model and the task.
    """
    return WorkKey(record.energy.kind, record.point.model, record.point.task)


def records_by_work(records: Iterable[AnyRecord]) -> dict[WorkKey, list[AnyRecord]]:
    """Records that may be compared, by their work.

    Args:
        records: Records with numbers.

    Returns:
        Works and records are in the order of ``records``.
    """
    groups: dict[WorkKey, list[AnyRecord]] = {}
    for record in records:
        groups.setdefault(work_key(record), []).append(record)
    return groups


def works(points: pd.DataFrame, with_energy: bool = False) -> Iterator[Work]:
    """The works of rows of points.

    Args:
        points: Rows of ``analysis/study/point_table.py``.
        with_energy: Leave out the points that have no energy.

    Yields:
        Each work with its rows, in the order of its first row.
    """
    if with_energy:
        points = points[points["kind"] != "none"]
    for key, rows in points.groupby(list(WorkKey._fields), sort=False):
        yield Work(WorkKey(*map(str, key)), rows)


def mixed_conditions(records: Sequence[Record]) -> list[str]:
    """Why records of one work may not be compared.

    Args:
        records: Of one work.

    Returns:
        One line for each of code, software and hosts that differs and is no factor; empty where they may be compared.
    """
    return [line for conditions in (code_of, software_of, hosts_of) for line in differences(conditions(records))]


def energy_basis(record: MeasuredRecord) -> str:
    """Where energy was taken; of modelled energy by which model too.

    Args:
        record: One with energy.

    Returns:
        ``at board``, or ``at board by MODEL``; with several places where boards of one shelf have different meters.
    """
    energy = record.energy
    # Older records are of a line between two wattages: their joules are another model's.
    later = ", by use and clock" if energy.model_J is not None else ""
    model = f" by {energy.source}{later}" if energy.kind == "modelled" else ""
    return f"at {' and '.join(energy.coverage.levels)}{model}"


def why_energies_differ(one: Sequence[MeasuredRecord], other: Sequence[MeasuredRecord], names: tuple[str, str]) -> str | None:
    """Why the joules of two sets of records compare with nothing but themselves.

    Args:
        one: Records of one configuration and one kind of energy.
        other: The same in the other study.
        names: What the two studies are called in the answer.

    Returns:
        The reason in words; None where they may be compared.
    """
    kinds = one[0].energy.kind, other[0].energy.kind
    if kinds[0] != kinds[1]:
        return f"energy is {kinds[0]} in {names[0]} and {kinds[1]} in {names[1]}"
    first, second = (", ".join(sorted({energy_basis(record) for record in records})) for records in (one, other))
    return None if first == second else f"energy {first} in {names[0]} and {second} in {names[1]}"


def base_settings(record: Record, factors: Sequence[str] = BASE_FACTORS) -> tuple[str, ...]:
    """The settings in which a configuration and the base of its ratio are to be equal.

    Args:
        record: Of any status.
        factors: Names of attributes of its point.

    Returns:
        Their values as text, in the order of ``factors``.
    """
    return tuple(str(getattr(record.point, factor)) for factor in factors)


def single_process_of(points: pd.DataFrame, line: pd.DataFrame, factors: Sequence[str] = SCALING_FACTORS) -> pd.DataFrame:
    """The rows of the single process that did the same work as a line over the number of ranks.

    Where the batch follows the ranks it has the batch of one rank. A factor with several levels along the line does not count.
    Where several boards ran the single process, each alone, it is the board of the line's first rank.

    Args:
        points: Rows of one work.
        line: The rows of one configuration over the number of ranks.
        factors: The settings that the two have in common, beside the batch.

    Returns:
        No rows where there is no such process, or where several fit.
    """
    alone = points[points["strategy"] == "single"]
    batch = line["batch"] if line["batch"].nunique() == 1 else line["batch"] / line["ranks"]
    alone = alone[alone["batch"].isin(set(batch))] if batch.nunique() == 1 else alone.iloc[:0]
    for name in (name for name in factors if name in points):
        levels = set(line[name].map(plain))
        if len(levels) == 1:
            alone = alone[alone[name].map(plain).isin(levels)]
    if alone["hash"].nunique() > 1 and "hosts" in points:
        alone = alone[alone["hosts"].map(_first_host).isin(set(line["hosts"].map(_first_host)))]
    return alone if alone["hash"].nunique() == 1 else alone.iloc[:0]


def _first_host(hosts: Any) -> str:
    return str(hosts).split(",")[0]


def factors_that_changed(one: Sequence[Factors], other: Sequence[Factors]) -> set[str]:
    """Factors that do not tell configurations of one study apart from those of the other.

    They are those of the place (``PLACE_FACTORS``), those that have one value in all of one study and another in all of the
    other, and those that the records of one study do not have (an older version). Never one of ``WORK_FACTORS``, nor the mesh.

    Args:
        one: The factors of every configuration of a study, as text by name.
        other: The same of the other study.

    Returns:
        Names of factors; all of ``PLACE_FACTORS`` are among them.
    """
    names = {name for side in (one, other) for factors in side for name in factors}
    changed = set(PLACE_FACTORS)
    for name in names - set(WORK_FACTORS):
        values = [{factors[name] for factors in side if name in factors} for side in (one, other)]
        if not name.startswith("mesh.") and (not all(values) or (values[0] != values[1] and max(map(len, values)) == 1)):
            changed.add(name)
    return changed
