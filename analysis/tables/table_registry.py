"""The tables of a report. Each registers itself with its name and its place among the tables.

In the file of a table:

    @study_table("failures", order=30)
    def failures(study: Study, options: TableOptions) -> Table | None: ...

Built-in ones lie in ``analysis/tables``; others come from a folder of ``EDGEJOULE_PLUGINS`` or from the entry point group
``edgejoule.tables`` of an installed distribution (``strategies/common/registry.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from analysis.study.electricity_supply import NOTHING_STATED, Supply
from analysis.study.study import Study
from analysis.tables.table import Table
from strategies.common.registry import Registry


@dataclass(frozen=True)
class TableOptions:
    """Choices of whoever asked for the report.

    Attributes:
        olympic: Whether means without the fastest and the slowest repeat are wanted too.
        supply: What a kilowatt hour emits and costs, as the user says.
    """

    olympic: bool = False
    supply: Supply = NOTHING_STATED


DEFAULT = TableOptions()
Made = TypeVar("Made", bound="Table | list[Table] | None", covariant=True)


class StudyTable(Generic[Made]):
    """One kind of table: called with a study and options it makes a table, several, or None where there is nothing to tell.

    Attributes:
        name: Its name in the registry.
        order: Its place among all tables, the lowest first.
    """

    def __init__(self, make: Callable[[Study, TableOptions], Made], name: str, order: float) -> None:
        functools.update_wrapper(self, make)  # its module too, by which the registry tells two tables of one name apart
        self.make, self.name, self.order = make, name, order

    def __call__(self, study: Study, options: TableOptions = DEFAULT) -> Made:
        """Make the tables of ``study``."""
        return self.make(study, options)

    def tables(self, study: Study, options: TableOptions) -> list[Table]:
        """Make the tables of ``study``, always as a list.

        Args:
            study: The study that the report is about.
            options: Choices of whoever asked for the report.

        Returns:
            The tables; empty where there is nothing to tell.
        """
        made = self.make(study, options)
        return [] if made is None else [made] if isinstance(made, Table) else made


TABLES: Registry[StudyTable[Table | list[Table] | None]] = Registry(
    "table", "analysis.tables", "edgejoule.tables", order=lambda table: (table.order, table.name)
)


def study_table(name: str, *, order: float) -> Callable[[Callable[[Study, TableOptions], Made]], StudyTable[Made]]:
    """Register the decorated function as a table of every report.

    Args:
        name: Its name, which no other table has.
        order: Its place among all tables, the lowest first; the built-in ones have multiples of ten.

    Returns:
        The decorator. What it makes of the function is still called like it; options may be left out.

    Raises:
        ValueError: Another module registered a table of this name.
    """

    def registered(make: Callable[[Study, TableOptions], Made]) -> StudyTable[Made]:
        table = StudyTable(make, name, order)
        TABLES.register(table)
        return table

    return registered
