"""The record's ``time.exposed``: the share of the timed windows in which ranks do not compute because of communication."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from bench.record.time_record import ExposedRecord, RankSecondsRecord
from bench.run.gathered_run import GatheredRun
from bench.timeline import rank_states


def exposed_block(gathered: GatheredRun, by_rank: Sequence[RankSecondsRecord]) -> ExposedRecord:
    """Shares of the windows, mean over ranks.

    Args:
        gathered: The run that is over.
        by_rank: Seconds of each rank in the windows.

    Returns:
        The block; zeros without operations where one rank ran.
    """
    share = 1 / (len(by_rank) * gathered.run.window_s)
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for states in gathered.by_state.values():
        for operation, seconds in rank_states.exposed_seconds(states, gathered.timeline.windows).items():
            spent[operation].append(seconds)
    shares = {operation: share * math.fsum(seconds) for operation, seconds in spent.items()}
    communicate_share = share * math.fsum(rank.communicate_s for rank in by_rank)
    wait_share = share * math.fsum(rank.wait_s for rank in by_rank)
    return ExposedRecord(
        share=communicate_share + wait_share,
        communicate_share=communicate_share,
        wait_share=wait_share,
        by_operation=dict(sorted(shares.items(), key=lambda item: (-item[1], item[0]))),
    )
