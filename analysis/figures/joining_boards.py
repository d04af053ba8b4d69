"""Who takes part: boards join one after the other, and each adds something to the time and to the energy of a sample."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.figures.rank_scaling import base_words, draw_line, follow_words, line_handles
from analysis.plotting.captions import left_out, repeats_note, some
from analysis.plotting.figure_registry import report_figure
from analysis.plotting.figure_style import (
    Drawn,
    drawing,
    energy_label,
    legend_above,
    line_styles,
    new_figure,
    slug,
    text_in,
    wrapped,
)
from analysis.plotting.page_layouts import Layout
from analysis.statistics.scaling_bounds import Line, lines_of, medians, portions
from analysis.study.comparability import Work, works
from analysis.study.study import Study
from analysis.study.sweeps import Sweep

MOST_LINES = 6
MOST_IN_COLUMN, MOST_WITH_CLASS = 5, 10
"""Boards that one column has room for, and boards whose classes can stand below them."""
COLUMNS = ("per_sample_J", "seconds_per_sample")
UNITS = {"per_sample_J": "J", "seconds_per_sample": "s"}


def marginal(study: Study) -> pd.DataFrame:
    """What each board that joins adds: one row for each board of each line, beginning with the first alone.

    ``boards`` is their number, ``per_sample_J`` and ``seconds_per_sample`` are medians of ``n`` repeats, ``added_...`` their
    differences from the row before: null for the first. ``note`` says where the ranges of the two overlap (intervals where both
    have one), so that a difference is not shown. No rows where no line is of nested sets of hosts."""
    classes, parts = classes_of(study), []
    for work in works(study.points):
        for line in nested(work.points)[0]:
            rows = _rows(line)
            own = medians(rows, "boards", COLUMNS)
            first = rows.drop_duplicates("boards").set_index("boards")
            own["added"] = [", ".join(named(name, classes) for name in names) for names in joined(line)]
            own["ranks"] = own["boards"].map(first["ranks"])
            own["note"] = _notes(own, rows, alone=not line.base.empty)
            for column in COLUMNS:
                own[column] = own[f"median_{column}"].astype(float)
            own["added_J_per_sample"], own["added_s_per_sample"] = own["per_sample_J"].diff(), own["seconds_per_sample"].diff()
            about = {"kind": work.kind, "model": rows["model"].iloc[0], "task": rows["task"].iloc[0], "strategy": line.label}
            parts.append(own.assign(**about))
    order = ["kind", "model", "task", "strategy", "boards", "added", "ranks", "per_sample_J", "added_J_per_sample"]
    order += ["seconds_per_sample", "added_s_per_sample", "n", "note"]
    return pd.concat(parts, ignore_index=True)[order] if parts else pd.DataFrame(columns=order)


def nested(points: pd.DataFrame) -> tuple[list[Line], Sweep]:
    """Lines over the number of ranks on which hosts join and none leaves. The single process begins them if it ran on a host
    that all of them have."""
    if "hosts" not in points:
        return [], Sweep("ranks", (), ())
    found, swept = lines_of(points)
    lines = []
    for line in found:
        first = hosts_of(line.points.sort_values("ranks")["hosts"].iloc[0])
        fits = all(set(hosts_of(hosts)) < set(first) for hosts in line.base["hosts"])
        line = line if fits else replace(line, base=line.base.iloc[:0])
        sets = [{frozenset(hosts_of(hosts)) for hosts in own["hosts"]} for _, own in line.all.groupby("ranks")]
        one_each = all(len(own) == 1 for own in sets)
        if len(sets) > 1 and one_each and all(min(a) < min(b) for a, b in itertools.pairwise(sets)):
            lines.append(line)
    return lines, swept


def hosts_of(text: Any) -> list[str]:
    return str(text).split(",")


def joined(line: Line) -> list[list[str]]:
    """The hosts that are new at each level, in their order."""
    levels = [hosts_of(own["hosts"].iloc[0]) for _, own in line.all.groupby("ranks")]
    return [levels[0], *([host for host in b if host not in a] for a, b in itertools.pairwise(levels))]


def classes_of(study: Study) -> dict[str, str]:
    """The board class of every host that a record describes."""
    hosts = [host for record in study.good for host in record["environment"].get("hosts", [])]
    return {host["host"]: host["board"] for host in hosts if host.get("board")}


def named(host: str, classes: Mapping[str, str]) -> str:
    return f"{host} ({classes[host]})" if host in classes else host


@report_figure("participants", section="Scaling", order=50)
def draw(study: Study, layout: Layout) -> list[Drawn]:
    """A figure for each work and each order in which boards join."""
    found, table = [], marginal(study)
    for work in works(study.points):
        lines, swept = nested(work.points)
        orders: dict[str, list[Line]] = {}
        for line in lines:
            orders.setdefault(str(joined(line)), []).append(line)
        for number, own in enumerate(orders.values()):
            name = f"participants_{slug(f'{work.kind} {work.name}')}{f'_{number + 1}' if number else ''}"
            for part, chosen in portions(own, MOST_LINES):
                found.append(_draw(study, work, chosen, swept, table, name + part, layout))
    return found


def _draw(
    study: Study, work: Work, lines: Sequence[Line], swept: Sweep, table: pd.DataFrame, name: str, layout: Layout
) -> Drawn:
    panels = {"seconds_per_sample": "Time per sample (s)", "per_sample_J": energy_label(work.kind)}
    if work.kind == "none":
        panels.pop("per_sample_J")
    rows = [_rows(line) for line in lines]
    levels = [medians(own, "boards", COLUMNS) for own in rows]
    names, classes = joined(lines[0]), classes_of(study)
    with drawing(layout):
        page = len(names) > MOST_IN_COLUMN
        figure, axes = new_figure(layout, page=page, nrows=len(panels), sharex=True, squeeze=False)
        for own_axes, (column, label) in zip(axes[:, 0], panels.items(), strict=True):
            for own, level, style in zip(rows, levels, line_styles([line.strategy for line in lines]), strict=True):
                draw_line(own_axes, own, level, "boards", column, style)
            own_axes.set_ylabel(label)
            own_axes.set_ylim(0, 1.12 * max(own[column].max() for own in rows))
        room_in = (figure.get_figwidth() - 0.7) / len(names)
        texts = [_tick(own, classes, first=not at, room_in=room_in, many=len(names)) for at, own in enumerate(names)]
        wide_in = max(text_in(part) for text in texts for part in text.split("\n"))
        upright = wide_in > room_in
        figure.set_figheight(1.2 + 1.75 * len(panels) + (wide_in if upright else 0.3))
        below = axes[-1, 0]
        below.set_xticks([int(n) for n in levels[0]["boards"]], texts, rotation=90 if upright else 0)
        below.set_xlim(levels[0]["boards"].iloc[0] - 0.5, levels[0]["boards"].iloc[-1] + 0.5)
        below.set_xlabel("Boards that take part (each joins those to its left)")
        figure.align_ylabels()
        handles = line_handles(lines, levels)
        legend_above(figure, list(handles.values()), list(handles))
    points = tuple(dict.fromkeys(point for line in lines for point in line.all["point"]))
    own_table = table[
        (table["kind"] == work.kind)
        & (table["model"] + ", " + table["task"] == work.name)
        & table["strategy"].isin([line.label for line in lines])
    ]
    caption = _caption(work, lines, levels, swept, own_table) + left_out(study)
    return Drawn(name, f"Who takes part in {work.name}", caption, figure, _data(lines, rows, own_table, panels), points)


def _rows(line: Line) -> pd.DataFrame:
    own = line.all
    return own.assign(boards=own["hosts"].map(lambda hosts: len(hosts_of(hosts))), seconds_per_sample=1 / own["samples_per_s"])


def _tick(hosts: Sequence[str], classes: Mapping[str, str], first: bool, room_in: float, many: int) -> str:
    text = ("" if first else "+ ") + ", ".join(hosts)
    kinds = dict.fromkeys(classes[host] for host in hosts if host in classes)
    return text if many > MOST_WITH_CLASS or not kinds else f"{text}\n{wrapped(', '.join(kinds), room_in)}"


def _data(lines: Sequence[Line], rows: Sequence[pd.DataFrame], table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """One row for each repeat, beside the medians of its level and what its last board adds to them."""
    found = pd.concat(
        [own[["boards", "repeat", *columns]].assign(strategy=line.label) for line, own in zip(lines, rows, strict=True)]
    )
    levels = table.rename(columns={column: f"median_{column}" for column in COLUMNS})
    data = found.merge(levels, on=["strategy", "boards"])
    return data if "per_sample_J" in columns else data[[c for c in data if "_J" not in c]]


def _notes(levels: pd.DataFrame, rows: pd.DataFrame, alone: bool) -> list[str]:
    notes = []
    ranges = {column: [_range(levels.iloc[at], rows, column) for at in range(len(levels))] for column in COLUMNS}
    for at in range(len(levels)):
        words = ["the single process"] if alone and at == 0 else []
        if at and max(levels["n"].iloc[at - 1 : at + 1]) == 1:
            words.append("one repeat each: the spread is unknown")
        elif at:
            words += [f"ranges of {UNITS[column]} overlap" for column in COLUMNS if _overlap(*ranges[column][at - 1 : at + 1])]
        notes.append("; ".join(words))
    return notes


def _range(level: pd.Series, rows: pd.DataFrame, column: str) -> tuple[float, float] | None:
    """The interval of a level, else the range of its repeats; None where they have no value."""
    values = rows[rows["boards"] == level["boards"]][column]
    if values.isna().any():
        return None
    low, high = level[f"low_{column}"], level[f"high_{column}"]
    return (values.min(), values.max()) if pd.isna(low) else (low, high)


def _overlap(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    return one is not None and other is not None and one[0] <= other[1] and other[0] <= one[1]


def _caption(work: Work, lines: Sequence[Line], levels: Sequence[pd.DataFrame], swept: Sweep, table: pd.DataFrame) -> str:
    energy = "" if work.kind == "none" else f" and energy ({work.kind})"
    said = [
        f"Time{energy} of a sample of {work.name} as boards join from left to right, differences of medians in the table",
        repeats_note([int(n) for own in levels for n in own["n"]]).rstrip("."),
        *base_words(lines, work.kind),
        *follow_words(lines, swept),
    ]
    unclear = table[table["note"].str.contains("overlap")]
    for strategy, own in unclear.groupby("strategy", sort=False):
        which = some([name.split(" (")[0] for name in own["added"]])
        said.append(f"Of {strategy}, ranges overlap with the board before, so a difference is not shown, at {which}")
    return ". ".join(said) + "."
