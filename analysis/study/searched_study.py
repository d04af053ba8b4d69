"""Whether a study is a part of a grid that was chosen point by point (``campaign.search``), and how much was not tried."""

from __future__ import annotations

import json

from analysis.study.count_phrases import counted
from analysis.study.study import Study
from bench.common.user_error import UserError
from bench.record.study_folder import SEARCH, SEARCH_FILE


def search_sentence(study: Study) -> str | None:
    """One sentence about the search, for the report.

    Args:
        study: Lies in its folder.

    Returns:
        Budget, sampler and what was not tried; null for a study that was not searched.

    Raises:
        UserError: There is a log of a search that this version cannot read.
    """
    path = study.folder / SEARCH_FILE
    if not path.exists():
        return None
    try:
        log = json.loads(path.read_text())
        if log["schema"] != SEARCH:
            raise ValueError(f"schema {log['schema']!r}, not {SEARCH!r}")
        choices, size = log["choices"], log["combinations"]
        refused = sum(choice["point"] is None for choice in choices)
        untried = "of an interval there is always more to try" if size is None else f"{size - len(choices)} were not tried"
        of_all = "" if size is None else f" of {size}"
        return (
            f"This study was searched, not run in full: {counted(len(choices) - refused, 'combination')}{of_all} chosen by the "
            f"sampler {log['sampler']} (budget {log['budget']}, seed {log['seed']}, for {' and '.join(log['objectives'])}); "
            f"{refused} cannot run, {untried}. Its points are not balanced over their factors, and those near the front have "
            "more repeats."
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); move it away to report the points without it") from None
