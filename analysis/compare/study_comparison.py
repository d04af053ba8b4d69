"""Two studies, or two commits of one: what changed between them, by how much the numbers differ, and whether that is real."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from analysis.compare.configuration_differences import NOT_COMPARABLE, QUANTITIES, ComparisonRow, changes, compare, names_of
from analysis.rules.study_checks import refuse_mixed
from analysis.statistics.rank_tests import SAME, TOO_FEW
from analysis.study.count_phrases import counted, some
from analysis.study.study import Study, load_study, study_of
from bench.common.user_error import UserError

__all__ = ["changes", "compare", "compare_verb", "report_lines", "select", "to_markdown"]
MOST_NAMED = 6


def select(path_text: str) -> Study:
    """The study that an argument of ``compare`` names.

    Args:
        path_text: ``results/STUDY``, or ``results/STUDY@COMMIT`` for the records of that commit alone, given by its first
            digits.

    Returns:
        With the records that were chosen.

    Raises:
        UserError: The study cannot be read, does not have the commit, or the commit could be several.
    """
    folder, sign, commit = path_text.rpartition("@")
    if not sign or Path(path_text).exists():
        return load_study(Path(path_text))
    study = load_study(Path(folder))
    commits = [(record.environment.git.commit if record.environment.git else None) or "" for record in study.records]
    fitting = {known for known in commits if commit and known.startswith(commit)}
    if len(fitting) != 1:
        listed = ", ".join(dict.fromkeys(known[:12] or "unknown" for known in commits))
        wrong = f"{commit} could be several commits" if fitting else f"{commit} is no commit" if commit else "no commit after @"
        raise UserError(f"{path_text}: {wrong}; {study.name} has records of {listed}")
    records = [record for record, known in zip(study.records, commits, strict=True) if known in fitting]
    return study_of(f"{study.name}@{commit}", study.folder, records, list(study.problems))


def compare_verb(one: str, other: str) -> int:
    """Print the comparison of two studies.

    Args:
        one: The base of the ratios, as ``select`` reads it.
        other: The study that is compared with it, likewise.

    Returns:
        0, for a difference is no failure.

    Raises:
        UserError: A study cannot be read, or the two share records.
    """
    first, second = select(one), select(other)
    _refuse_overlap(first, second)
    table = compare(first, second)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for title, rows in _tables(table, first, second):
        shown = Table(title=title, title_justify="left")
        for column in rows.columns:
            shown.add_column(column, justify="left" if column in ("configuration", "verdict") else "right")
        for row in rows.itertuples(index=False):
            shown.add_row(*map(str, row))
        console.print(shown)
    for line in report_lines(first, second, table):
        print(line)
    return 0


def _refuse_overlap(one: Study, other: Study) -> None:
    folders = ({record.folder.resolve() for record in study.records if record.folder} for study in (one, other))
    both = set.intersection(*folders)
    if both:
        raise UserError(
            f"{len(both)} points are in both {one.name} and {other.name}; give two studies, or two commits of one "
            "(results/STUDY@COMMIT)"
        )


def report_lines(one: Study, other: Study, table: pd.DataFrame) -> list[str]:
    """The comparison in words: what was compared, what changed, the verdicts, and what could not be compared.

    Args:
        one: The base of the ratios.
        other: The study that is compared with it.
        table: Of both (``compare``).

    Returns:
        One line for each statement.
    """
    names = names_of(one, other)
    compared = table[table["quantity"].notna()]
    count = compared["configuration"].nunique()
    lines = [f"{names[1]} against {names[0]}: {counted(count, 'configuration')} in both. Ratios are the second over the first."]
    lines += _changed(one, other, compared)
    if one.smoke or other.smoke:
        lines.append("Some points are smoke runs: windows are too short for conclusions.")
    for study in (one, other):
        lines += [f"Mixed conditions inside {study.name}: {line}" for line in refuse_mixed(study, allow=True)]
        lines += [f"Left out: {line}" for line in study.problems]
    for title, rows in _parts(table):
        lines.append(f"{title}: {_verdicts(rows)}.")
    lines += list(_not_compared(table))
    if any(compared["p"].notna()):
        lines.append(
            "Verdicts: Mann-Whitney, exact, two-sided, 5 % over all configurations of a quantity (Holm). Ratios: "
            "Hodges-Lehmann with 95 % intervals by rank, each alone. What a sensor has wrong in both cancels in them."
        )
    return lines


def _changed(one: Study, other: Study, compared: pd.DataFrame) -> Iterator[str]:
    if not (one.good and other.good):
        yield "Changed: cannot be told, for one of them has no valid point."
        return
    changed_rows = changes(one, other)
    changed = [f"{row.what} {row.one} to {row.other}" for row in changed_rows.itertuples(index=False)]
    yield f"Changed: {'; '.join(changed)}." if changed else "Changed: nothing that the records tell."
    for by, rows in compared.groupby("matched_by", sort=False):
        if by not in ("hash", "factors"):
            yield f"Matched by all {by}: {some(list(dict.fromkeys(map(str, rows['configuration']))), MOST_NAMED)}."


def _verdicts(rows: pd.DataFrame) -> str:
    """One part for each verdict, the differences first."""
    parts = []
    by_verdict = rows.groupby("verdict", sort=False)
    for verdict, group in sorted(by_verdict, key=lambda item: item[0] in (SAME, TOO_FEW, "equal")):
        table = _rows(group)
        bare = verdict in (TOO_FEW, "equal")
        names = [row.configuration if bare else f"{row.configuration} {ratio_text(row)}" for row in table]
        why = f": {some(list(dict.fromkeys(str(row.why) for row in table)), 1)}" if verdict == TOO_FEW else ""
        parts.append(f"{verdict} in {len(group)} of {len(rows)} ({some(names, MOST_NAMED)}{why})")
    return ", ".join(parts)


def _rows(table: pd.DataFrame) -> list[ComparisonRow]:
    return [ComparisonRow(**{str(name): _known(cell) for name, cell in row.items()}) for row in table.to_dict("records")]


def _known(cell: Any) -> Any:
    """A cell of a table as rows have it: None where it is null."""
    return None if pd.isna(cell) else cell


def ratio_text(row: ComparisonRow) -> str:
    """The ratio of a row in words.

    Args:
        row: Of ``compare``'s table.

    Returns:
        ``1.12 x [1.08, 1.15]``, without brackets where there is no interval; ``-`` where there is no ratio.
    """
    if row.ratio is None:
        return "-"
    text = f"{_digits(row.ratio)} x"
    if row.ratio_low is None or row.ratio_high is None:
        return text
    return f"{text} [{_digits(row.ratio_low)}, {_digits(row.ratio_high)}]"


def _digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")


def _not_compared(table: pd.DataFrame) -> Iterator[str]:
    rows = table[table["quantity"].isna() | (table["verdict"] == NOT_COMPARABLE)]
    for (verdict, why), group in rows.groupby(["verdict", "why"], sort=False):
        titles = [QUANTITIES[name].title for name in group["quantity"].dropna().unique()]
        quantities = f"{', '.join(titles)} of " if titles else ""
        yield f"{str(verdict).capitalize()}: {quantities}{some(list(group['configuration']), MOST_NAMED)} ({why})."


def _parts(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows that could be compared: each quantity by itself, and apart where there are several kinds of energy."""
    rows = table[table["quantity"].notna() & (table["verdict"] != NOT_COMPARABLE)]
    several = rows["kind"].nunique() > 1
    for name, quantity in QUANTITIES.items():
        for kind, group in rows[rows["quantity"] == name].groupby("kind", sort=False):
            energy = f", {kind}" if name == "per_sample_J" else f", energy {kind}" if several else ""
            yield f"{quantity.title}{energy}", group


def _tables(table: pd.DataFrame, one: Study, other: Study) -> Iterator[tuple[str, pd.DataFrame]]:
    """Of every part a table as text."""
    heads = ["configuration", *names_of(one, other), "ratio", "p (Holm)", "verdict"]
    for title, rows in _parts(table):
        cells = [
            (
                row.configuration,
                f"{row.one_median:.4g} (n = {row.one_n})",
                f"{row.other_median:.4g} (n = {row.other_n})",
                ratio_text(row),
                "-" if row.p_holm is None else f"{row.p_holm:.2g}",
                row.verdict,
            )
            for row in _rows(rows)
        ]
        yield title, pd.DataFrame(cells, columns=heads)


def to_markdown(one: Study, other: Study, table: pd.DataFrame) -> str:
    """The comparison as a page: its lines, then a table of every quantity.

    Args:
        one: The base of the ratios.
        other: The study that is compared with it.
        table: Of both (``compare``).

    Returns:
        Markdown, with a line break at its end.
    """
    names = names_of(one, other)
    lines = [f"# {names[1]} against {names[0]}", "", *(f"- {line}" for line in report_lines(one, other, table))]
    for title, rows in _tables(table, one, other):
        lines += ["", f"## {title}", "", _line(list(rows.columns)), _line(["---"] * len(rows.columns))]
        lines += [_line(list(map(str, row))) for row in rows.itertuples(index=False)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
