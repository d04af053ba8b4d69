"""How repeats are spread, and how well the joules are known: the headline's medians rest on both.

``docs/explanation/statistics.md`` has the formulas.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.statistics.joule_uncertainty import energy_uncertainty
from analysis.statistics.rank_tests import many
from analysis.statistics.repeat_summary import Mean, Olympic, mean_interval, normality, olympic_mean, outliers, summarise
from analysis.study.comparability import Work, works
from analysis.study.configuration_labels import names_in
from analysis.study.study import Study
from analysis.tables.table import NUMBER, Column, Table, TableRow, join, significant
from analysis.tables.table_registry import TableOptions, study_table

COSTS = {"step_s": ("Step", "s"), "per_sample_J": ("Energy per sample", "J")}
MOST_COMPARED = 12
"""Configurations that are tested against each other: the corrected pairs of more need more repeats than anybody makes."""


@study_table("repeats", order=40)
def repeats(study: Study, options: TableOptions) -> Table | None:
    """Median, mean where it may have an interval, normality and outliers of every configuration that was repeated.

    Args:
        study: The study that the report is about.
        options: With ``olympic`` also the mean without the fastest and the slowest repeat.

    Returns:
        A row for each configuration and quantity; null where nothing was repeated.
    """
    rows = [row for work in works(study.points) for row in _rows(study, work, options.olympic)]
    if not rows:
        return None
    data = pd.DataFrame(rows)
    several = [key for key in ("work", "kind") if data[key].nunique() > 1]
    columns = (
        *(Column(key, key.capitalize()) for key in several),
        Column("configuration", "Configuration"),
        Column("quantity", "Quantity"),
        Column("n", "n", kind=NUMBER),
        Column("median", "Median", kind=NUMBER, interval=True, print_interval=True),
        Column("mean", "Mean", kind=NUMBER, interval=True, print_interval=True),
        *((Column("olympic", "Olympic mean", kind=NUMBER),) if options.olympic else ()),
        Column("normal_p", "Normality, p", kind=NUMBER, digits=2),
        Column("outliers", "Outliers", kind=NUMBER),
    )
    return Table("repeats", "Spread of the repeats", _caption(study, data, options.olympic), columns, data)


def _rows(study: Study, work: Work, olympic: bool) -> Iterator[TableRow]:
    names = names_in(list(dict.fromkeys(work.points["label"])))
    for label, group in work.points.groupby("label", sort=False):
        for column, (title, unit) in COSTS.items():
            values = group[column].dropna().tolist()
            if len(values) < 2:
                continue
            summary, average = summarise(values), mean_interval(values)
            shown = average if isinstance(average, Mean) else None
            row: TableRow = {
                "work": work.name, "kind": work.kind, "configuration": names[str(label)], "quantity": f"{title} ({unit})",
                "n": summary.n, "median": summary.median, "median_low": summary.low, "median_high": summary.high,
                "mean": shown.mean if shown else None, "mean_low": shown.low if shown else None,
                "mean_high": shown.high if shown else None, "why_no_mean": None if isinstance(average, Mean) else average,
                "normal_p": normality(values), "outliers": len(outliers(values).indices),
            }  # fmt: skip
            if olympic:
                trimmed = olympic_mean(values, "cost")
                row["olympic"] = trimmed.mean if isinstance(trimmed, Olympic) else None
            yield row


def _caption(study: Study, data: pd.DataFrame, olympic: bool) -> str:
    sentences = [
        "Medians with 95 % intervals by rank from six repeats on; means with Student's interval where Shapiro and Wilk's test "
        "was made (from eight repeats on) and did not reject, else none, with the reason in the CSV. Outliers lie outside of "
        "Tukey's fences: they are counted, nothing is dropped.",
        *(["Olympic means leave the smallest and the largest repeat out, as MLPerf does."] if olympic else []),
        *(line for work in works(study.points) for line in _tests(work)),
    ]
    kinds = sorted(set(data["kind"]) - {"none"})
    return " ".join([*sentences, *([f"Energy is {join(kinds)}."] if kinds else [])])


def _tests(work: Work) -> Iterator[str]:
    """Kruskal and Wallis's test of all configurations of a work, in words."""
    labels = list(dict.fromkeys(work.points["label"]))
    if len(labels) < 2:
        return
    if len(labels) > MOST_COMPARED:
        yield f"{work.name}: {len(labels)} configurations are too many to test all of them against each other."
        return
    for column, (title, _) in COSTS.items():
        groups = {str(label): rows[column].dropna().tolist() for label, rows in work.points.groupby("label", sort=False)}
        groups = {label: values for label, values in groups.items() if values}
        if len(groups) > 1:
            test = many(groups)
            p = f"p = {significant(test.p, 2)}" if test.p is not None else test.why
            yield f"{work.name}, {title.lower()}: {test.verdict} (Kruskal and Wallis over {len(groups)} configurations, {p})."


@study_table("uncertainty", order=50)
def energy_known(study: Study, options: TableOptions) -> Table | None:
    """Uncertainty of measurement and spread between repeats, apart and combined; None where no point has energy.

    Args:
        study: The study that the report is about.
        options: Choices of the report; none matters here.

    Returns:
        A row for each configuration, half-widths in J per sample.
    """
    if study.points.empty:
        return None
    data = energy_uncertainty(study.points)
    if data.empty:
        return None
    data["median_J_low"], data["median_J_high"] = data["spread_low_J"], data["spread_high_J"]
    several = [Column("kind", "Kind")] if data["kind"].nunique() > 1 else []
    columns = (
        Column("configuration", "Configuration"),
        *several,
        Column("n", "n", kind=NUMBER),
        Column("median_J", "Energy per sample, spread", "J", NUMBER, interval=True, print_interval=True),
        Column("random_half_width_J", "Reading, one repeat", "J", NUMBER, 2),
        Column("systematic_half_width_J", "Common to all", "J", NUMBER, 2),
        Column("combined_half_width_J", "Combined", "J", NUMBER, 2),
    )
    kinds = sorted(set(data["kind"]))
    caption = (
        "In brackets the 95 % interval of the median from the spread of the repeats, which has the error of reading in it; "
        "then the half-widths (95 %) that the records state: of reading in one repeat, and of what all repeats have in "
        f"common. Combined: spread and common part in quadrature; none below six repeats. Energy is {join(kinds)}."
    )
    if "modelled" in kinds:
        caption += (
            " Of modelled energy the common part has the model's uncertainty: one error of all boards of a class, which ratios "
            "of configurations on them share as far as they idle for the same part of their energy."
        )
    return Table("uncertainty", "How well the energy is known", caption, columns, data)
