"""A record as a study holds it: beside what ``bench.record`` reads, its folder and the label of its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

from analysis.study.configuration_labels import short_label
from bench.record.block import Entry
from bench.record.point_record import PointRecord
from bench.record.record import MeasuredRecord, Record


@dataclass(frozen=True, kw_only=True)
class LabelledPoint(PointRecord):
    """The point's configuration with its label."""

    label: Annotated[str, Entry("the configuration in words, different for different configurations of the study")] = ""


@dataclass(frozen=True, kw_only=True)
class StudyRecord(Record):
    """A record of a study, whatever became of the point."""

    point: Annotated[LabelledPoint, Entry("which experiment this is")]
    folder: Annotated[Path | None, Entry("where the point lies; null: in no folder")] = None

    @property
    def label(self) -> str:
        """The configuration in words, different for different configurations of the study."""
        return self.point.label


@dataclass(frozen=True, kw_only=True)
class MeasuredStudyRecord(MeasuredRecord, StudyRecord):
    """A record of a study whose point finished: it has all numbers."""

    point: Annotated[LabelledPoint, Entry("which experiment this is")] = field()


def in_study(record: Record, label: str, folder: Path | None) -> StudyRecord:
    """The record with its label and its folder.

    Args:
        record: As read; a ``MeasuredRecord`` becomes a ``MeasuredStudyRecord``.
        label: Of its configuration in this study.
        folder: Where the point lies; None where it is in no folder.

    Returns:
        Of the same class of record as in ``record``, as a study holds it.
    """
    point = LabelledPoint(**{one.name: getattr(record.point, one.name) for one in fields(PointRecord)}, label=label)
    kind = MeasuredStudyRecord if isinstance(record, MeasuredRecord) else StudyRecord
    blocks = {one.name: getattr(record, one.name) for one in fields(Record)}
    return kind(**{**blocks, "point": point, "folder": folder})


def label_of(point: PointRecord) -> str:
    """A configuration in words.

    Args:
        point: Of a study, or of a record alone.

    Returns:
        Different for different configurations of the study that the point was loaded with; of a record alone the short label.
    """
    return point.label if isinstance(point, LabelledPoint) else short_label(point)
