"""Markdown from what was measured: the table, whether each ratio meets its target, and what was not run and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from bench.common.median_interval import SMALLEST_N, median_interval
from bench.common.user_error import UserError
from benchmarks.peers.tables.peer_record import SHARED_MEMORY, Cell, PeerRecord

HEAD = (
    "| network | ranks | model | ours | ms | peer | ms | n | ours/peer (95 %) | target | limit ms | ours/limit (95 %) |\n"
    "| --- | ---: | --- | --- | ---: | --- | ---: | ---: | --- | --- | ---: | --- |"
)
BEGIN, END = "<!-- made by python -m benchmarks.peers --markdown -->", "<!-- end of the table -->"
TARGET_SHARED, TARGET_NETWORK = 1.00, 0.90


def target(cell: Cell) -> float:
    """The largest upper end of the interval of ours/peer that is good.

    Args:
        cell: One comparison.

    Returns:
        That ratio: a network leaves room for what is better than the peer's.
    """
    return TARGET_SHARED if cell.network == SHARED_MEMORY else TARGET_NETWORK


def ratios(cell: Cell) -> list[float]:
    """Ours over the peer's, round by round.

    Args:
        cell: One comparison.

    Returns:
        A ratio for each round; empty without a peer.
    """
    return [a / b for a, b in zip(cell.ours_s, cell.peer_s, strict=False)]


def meets_target(cell: Cell) -> bool | None:
    """Whether the upper end of the interval is at or under the target.

    Args:
        cell: One comparison.

    Returns:
        None where there is no peer, or where there are too few rounds for an interval.
    """
    high = median_interval(ratios(cell))["ci_high"] if ratios(cell) else None
    return None if high is None else round(high, 2) <= target(cell)


def interval(values: Sequence[float]) -> str:
    """A median with its interval by rank.

    Args:
        values: Ratios; may be empty.

    Returns:
        ``0.97 (0.95 to 0.99)``, or a dash.
    """
    if not values:
        return "-"
    found = median_interval(values)
    if found["ci_low"] is None:
        return f"{found['median']:.2f} (no interval)"
    return f"{found['median']:.2f} ({found['ci_low']:.2f} to {found['ci_high']:.2f})"


def row(cell: Cell) -> str:
    """A line of the table.

    Args:
        cell: One comparison that is ok.

    Returns:
        The line without a line break.
    """
    met = meets_target(cell)
    word = "-" if not ratios(cell) else "n < 6" if met is None else f"{'met' if met else 'missed'} ({target(cell):.2f})"
    limits = [a / b for a, b in zip(cell.ours_s, cell.limit_s, strict=False)]
    columns = [cell.network, str(cell.ranks), cell.model, cell.ours, _ms(cell.ours_s), cell.peer or "-", _ms(cell.peer_s)]
    columns += [str(len(cell.ours_s)), interval(ratios(cell)), word, _ms(cell.limit_s), interval(limits)]
    return f"| {' | '.join(columns)} |"


def _ms(seconds: Sequence[float]) -> str:
    return f"{1e3 * median(seconds):.0f}" if seconds else "-"


def not_run(cell: Cell) -> str:
    """A line for a cell without a ratio.

    Args:
        cell: One comparison that is not ok.

    Returns:
        The line, without a line break.
    """
    beside = "" if cell.peer is None else f" / {cell.peer}"
    return f"- {cell.network}, {cell.ranks} ranks, {cell.model}, {cell.ours}{beside}: {cell.status}: {cell.reason}"


def all_not_run(cells: Sequence[Cell]) -> list[str]:
    """As ``not_run``, with one line for those of one network that have one reason.

    Args:
        cells: Those that are not ok.

    Returns:
        The lines.
    """
    groups: dict[tuple[str, int, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.network, cell.ranks, cell.reason), []).append(cell)
    return [
        not_run(group[0]) if len(group) == 1 else f"- {network}, {ranks} ranks, {len(group)} lines: {group[0].status}: {reason}"
        for (network, ranks, reason), group in groups.items()
    ]


def markdown(record: PeerRecord) -> str:
    """The whole table with what it cannot say.

    Args:
        record: The cells, in the order of the lines.

    Returns:
        Markdown, which ends with a line break.
    """
    good = [cell for cell in record.cells if cell.status == "ok"]
    lines = [*record.about, "", HEAD, *map(row, good)]
    bad = [cell for cell in record.cells if cell.status != "ok"]
    if bad:
        lines += ["", "Not in the table:", "", *all_not_run(bad)]
    lines += ["", *summary(good)]
    return "\n".join(lines) + "\n"


def with_table(page: str, table: str) -> str:
    """A page of the documentation with another table between its marks.

    Args:
        page: Its text.
        table: Markdown.

    Returns:
        The text.

    Raises:
        UserError: The page has no marks.
    """
    begin, end = page.find(BEGIN), page.find(END)
    if not 0 <= begin < end:
        raise UserError(f"the page has no lines {BEGIN!r} and {END!r} for the table to stand between")
    return f"{page[: begin + len(BEGIN)]}\n\n{table}\n{page[end:]}"


def summary(cells: Iterable[Cell]) -> list[str]:
    """How many ratios meet their target, and which do not.

    Args:
        cells: Those that are ok.

    Returns:
        One line.
    """
    judged = [(cell, meets_target(cell)) for cell in cells if ratios(cell)]
    met, missed = sum(good is True for _, good in judged), [cell for cell, good in judged if good is False]
    few = sum(good is None for _, good in judged)
    names = "; ".join(f"{cell.ours} / {cell.peer}, {cell.model}, {cell.ranks} ranks, {cell.network}" for cell in missed)
    rest = f" {few} have fewer than {SMALLEST_N} rounds and no interval." if few else ""
    return [f"{met} of {met + len(missed)} intervals meet their target.{rest}" + (f" Missed: {names}." if names else "")]
