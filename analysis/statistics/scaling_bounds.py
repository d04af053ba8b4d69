"""Bounds of throughput and energy over the number of ranks (Hoefler and Belli, SC'15, rules 1 and 11).

T is the time of a sample in seconds, n the number of ranks, T(1) that of the single process:

    ideal          T(n) >= T(1) / n
    Amdahl's law   T(n)  = T(1) (s + (1 - s) / n)       s by least squares; strong scaling only (Amdahl, AFIPS 1967)
    communication  T(n) >= 8 bytes / (batch sum of r)   bytes that all ranks send in a step, r the rate of a rank's link, bit/s
    energy         E(n) >= P T(n) + D                   P idle watts of the n boards, D dynamic joules of the single process

The third holds whoever sends how much: no link can send more than its rate, so all of them cannot send more than the sum. Where
links are equal it is the bytes of the mean rank over the rate of its link. Latency and headers come on top of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeGuard, TypeVar

import numpy as np
import pandas as pd

from analysis.statistics.repeat_summary import summarise
from analysis.study.comparability import single_process_of
from analysis.study.sweeps import LEAST_FOR_LINE, Series, Sweep, short_labels, sweep
from bench.record.record import MeasuredRecord

COLUMNS = ("samples_per_s", "per_sample_J")
NONE = float("nan")


@dataclass(frozen=True)
class Line:
    """A configuration over the number of ranks.

    ``points`` are its own; ``base`` those of the single process that did the same work: none where there is no such process, or
    more than one.
    """

    strategy: str
    label: str
    points: pd.DataFrame
    base: pd.DataFrame

    @cached_property
    def all(self) -> pd.DataFrame:
        """From the single process on, unless the configuration itself has a point at one rank."""
        return self.points if (self.points["ranks"] == 1).any() else pd.concat([self.base, self.points])

    @cached_property
    def weak(self) -> bool:
        """Whether the batch grows with the ranks (weak scaling)."""
        return bool(self.points["batch"].nunique() > 1)

    @cached_property
    def ideal_rate(self) -> float:
        """Samples per second of the base; null where there is none.

        Also null where boards are of several classes: they have no common speed to scale from.
        """
        several = self.all["boards"].map(lambda classes: "," in str(classes)).any()
        return NONE if several or self.base.empty else float(self.base["samples_per_s"].median())

    @cached_property
    def serial_share(self) -> float | None:
        """The serial share s of Amdahl's law; None in weak scaling, without a base, and with too few levels."""
        if self.weak or np.isnan(self.ideal_rate) or self.all["ranks"].nunique() < LEAST_FOR_LINE:
            return None
        medians = self.points.groupby("ranks")["samples_per_s"].median()
        return amdahl([int(n) for n in medians.index], [1 / rate for rate in medians], 1 / self.ideal_rate)


Item = TypeVar("Item", Line, Series)


def lines_of(points: pd.DataFrame) -> tuple[list[Line], Sweep]:
    """The lines over the number of ranks.

    Args:
        points: Rows of one work.

    Returns:
        The lines with at least two numbers of ranks (that of the single process counts), and their sweep.
    """
    swept = sweep(points[points["strategy"] != "single"], "ranks", least=1)
    lines = [Line(one.strategy, one.label, one.points, single_process_of(points, one.points)) for one in swept.series]
    lines = [line for line in lines if line.all["ranks"].nunique() > 1]
    labels = short_labels(series_of(lines)) if lines else []
    return [replace(line, label=label) for line, label in zip(lines, labels, strict=True)], swept


def portions(items: Sequence[Item], most: int) -> list[tuple[str, list[Item]]]:
    """Lines that share a figure: all where ``most`` allows it, otherwise those of each strategy, in parts.

    Args:
        items: Lines, each with its ``strategy``.
        most: Lines that one figure may have, at least 1.

    Returns:
        Each with the ending of its figure's name.
    """
    if len(items) <= most:
        return [("", list(items))] if items else []
    parts = []
    for strategy in dict.fromkeys(item.strategy for item in items):
        of_strategy = [item for item in items if item.strategy == strategy]
        for number, start in enumerate(range(0, len(of_strategy), most)):
            parts.append((f"_{strategy}{f'_{number + 1}' if number else ''}", of_strategy[start : start + most]))
    return parts


def series_of(lines: Sequence[Line]) -> list[Series]:
    """The lines without their bases.

    Args:
        lines: Over the number of ranks.

    Returns:
        In the same order, with the same labels.
    """
    return [Series(line.strategy, line.label, line.points) for line in lines]


def amdahl(ranks: Sequence[int], seconds: Sequence[float], single_s: float) -> float:
    """The serial share s of T(n) = T(1) (s + (1 - s) / n) with T(1) = ``single_s``: unweighted least squares.

    It is outside of 0 to 1 where the law does not describe the points: below 0 they scale better than linearly, above 1 they
    are slower than the single process.

    Args:
        ranks: n of each point.
        seconds: T(n) of each point, s.
        single_s: T(1), s.

    Returns:
        The serial share, without unit.

    Raises:
        ValueError: No point has more than one rank.
    """
    gained = [1 - 1 / n for n in ranks]
    if not any(gained):
        raise ValueError("Amdahl's law needs a point with more than one rank")
    kept = [time / single_s - 1 / n for n, time in zip(ranks, seconds, strict=True)]
    return sum(a * b for a, b in zip(gained, kept, strict=True)) / sum(part * part for part in gained)


def lawful(share: float | None) -> TypeGuard[float]:
    """Whether Amdahl's law describes a line at all.

    Args:
        share: The line's serial share (``amdahl``); None where it is not known.

    Returns:
        True for a share from 0 to 1.
    """
    return share is not None and 0 <= share <= 1


def communication_s(record: MeasuredRecord) -> float:
    """Seconds that the bytes of a step need at least: all of them over the rates of its ranks' links together.

    Args:
        record: Of a parallel point.

    Returns:
        Seconds; null where the network is not known, where nothing is sent, and where ranks share a board, so that not all
        bytes leave it.
    """
    network = record.point.network
    hosts = [place.host for place in record.plan.placement if place.host is not None]
    sent_bytes = sum(record.traffic.wire_bytes.values())
    rates = {} if network is None else {link.host: link.rate_bit_s for link in network.links}
    known = len(hosts) == len(record.plan.placement) and all(host in rates for host in hosts)
    if not sent_bytes or not hosts or len(set(hosts)) < len(hosts) or not known:
        return NONE
    return float(8 * sent_bytes / sum(rates[host] for host in hosts))


def medians(rows: pd.DataFrame, by: str, columns: Sequence[str]) -> pd.DataFrame:
    """The medians of columns at each level of a factor, with their intervals.

    Args:
        rows: Points with all repeats.
        by: The column of the factor.
        columns: Columns of numbers.

    Returns:
        One row for each level: ``by``, ``n``, and of every column ``median_...``, ``low_...`` and ``high_...``; null where a
        repeat has no value, intervals also below six repeats.
    """
    summaries = []
    for level, repeats in rows.groupby(by):
        row: dict[str, object] = {by: level, "n": len(repeats)}
        for column in columns:
            summary = None if repeats[column].isna().any() else summarise(repeats[column].astype(float).tolist())
            values = (None, None, None) if summary is None else (summary.median, summary.low, summary.high)
            row |= dict(zip((f"median_{column}", f"low_{column}", f"high_{column}"), values, strict=True))
        summaries.append(row)
    return pd.DataFrame(summaries)


def levels_of(line: Line, floors_s: Mapping[str, float]) -> pd.DataFrame:
    """The medians of a line for each number of ranks, with the bounds.

    Args:
        line: Over the number of ranks.
        floors_s: Seconds that the communication of a step needs at least, of each point by its name.

    Returns:
        The columns of ``medians`` and those of the bounds, one row for each number of ranks; what is not known is null.
    """
    table, share, rate = medians(line.all, "ranks", COLUMNS), line.serial_share, line.ideal_rate
    ranks, levels = table["ranks"].astype(float), [rows for _, rows in line.all.groupby("ranks")]
    table["ideal_samples_per_s"] = ranks * rate
    table["amdahl_samples_per_s"] = rate / (share + (1 - share) / ranks) if lawful(share) else NONE
    floors = [rows["point"].map(floors_s).max(skipna=False) for rows in levels]
    table["communication_samples_per_s"] = [rows["batch"].iloc[0] for rows in levels] / np.array(floors)
    joules, idle = line.base["per_sample_J"].astype(float), line.base["idle_per_sample_J"].astype(float)
    dynamic = NONE if np.isnan(rate) else (joules - idle).median()
    table["bound_per_sample_J"] = [rows["idle_per_sample_J"].astype(float).median() + dynamic for rows in levels]
    return table
