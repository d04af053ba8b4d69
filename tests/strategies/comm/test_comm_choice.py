"""Rules of ``auto``: by transport, eager limit and cores; what is asked for is never overruled. Sizes and tables of trials."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strategies.comm.all_reduce_trial import disjoint, fastest, table_of, trial_sizes
from strategies.comm.comm_choice import EagerLimit, GroupFacts, RankCores, Trial, choose_progress, choose_wait
from strategies.comm.comm_options import PROGRESSES, WAITS, AllReduceTable

NETWORK = GroupFacts(4, False, RankCores(4.0, 4, "affinity"), 1_000_000, EagerLimit(65536, "MPI_T"))
PAIRS = replace(NETWORK, point_to_point=True)
MEMORY = replace(NETWORK, shared_memory=True, eager=EagerLimit(4096, "MPI_T"))


@pytest.mark.parametrize(
    ("facts", "value", "reason"),
    [
        (NETWORK, "thread", "between nodes, messages of up to 1000000 B, beyond the eager limit of 65536 B (MPI_T)"),
        (replace(NETWORK, message_bytes=65536), "inline", "between nodes, messages of at most 65536 B, within the eager limit"),
        (replace(NETWORK, message_bytes=65537), "thread", "between nodes"),
        (replace(NETWORK, message_bytes=None), "thread", "between nodes, messages of unknown size"),
        (PAIRS, "inline", "between nodes, messages of at most 1000000 B, in pieces within the eager limit of 65536 B (MPI_T)"),
        (replace(PAIRS, message_bytes=2**20 + 1), "thread", "between nodes, messages of up to 1048577 B"),
        (replace(PAIRS, message_bytes=None), "thread", "between nodes, messages of unknown size"),
        (replace(PAIRS, eager=EagerLimit(4096, "MPI_T")), "thread", "between nodes"),
        (MEMORY, "inline", "shared memory, and no core to spare"),
        (replace(MEMORY, cores=RankCores(5.0, 4, "affinity")), "thread", "shared memory, and a core to spare: 5 cores"),
        (replace(NETWORK, ranks=1), "inline", "no group has two ranks"),
    ],
)
def test_progress_follows_the_transport(facts: GroupFacts, value: str, reason: str) -> None:
    """A message within the eager limit leaves without its receiver; a larger one needs both ranks inside MPI."""
    chosen, choice = choose_progress("data", "auto", facts)
    assert (chosen, choice.value, choice.chosen_by, choice.axis, choice.option) == (value, value, "auto", "data", "progress")
    assert choice.reason.startswith(reason)


@pytest.mark.parametrize(("cores", "value"), [(0.5, "poll"), (0.99, "poll"), (1.0, "spin"), (4.0, "spin")])
def test_wait_follows_the_cores(cores: float, value: str) -> None:
    chosen, choice = choose_wait("data", "auto", replace(NETWORK, cores=RankCores(cores, 1, "quota of the board")))
    assert (chosen, choice.chosen_by) == (value, "auto")
    assert f"{cores:g} cores (quota of the board)" in choice.reason


@pytest.mark.parametrize("facts", [NETWORK, MEMORY, replace(NETWORK, ranks=1)])
def test_what_a_user_asks_for_is_not_overruled(facts: GroupFacts) -> None:
    for progress in PROGRESSES:
        value, choice = choose_progress("data", progress, facts)
        assert (value, choice.value, choice.chosen_by, choice.reason) == (progress, progress, "user", "as given")
    for wait in WAITS:
        value, choice = choose_wait("data", wait, facts)
        assert (value, choice.value, choice.chosen_by) == (wait, wait, "user")


@pytest.mark.parametrize(
    ("payloads", "sizes"),
    [
        ([], []),
        ([0], []),
        ([100, 100], [100]),
        ([5_000_000, 3_000_000], [4_194_304]),  # cut into pieces, and not twice as large
        ([1_000, 30_000, 1_000_000], [1_000, 30_000, 1_000_000]),
        ([1_000, 2_000, 30_000, 40_000, 1_000_000], [1_000, 30_000, 1_000_000]),
    ],
)
def test_few_sizes_stand_for_all(payloads: list[int], sizes: list[int]) -> None:
    assert trial_sizes(payloads, 4_194_304) == sizes


def test_the_library_is_left_only_for_more_than_noise() -> None:
    assert fastest({"mpi": 1.0, "ring": 0.95, "recursive_doubling": 0.92}) == "mpi"
    assert fastest({"mpi": 1.0, "ring": 0.89, "recursive_doubling": 0.92}) == "ring"


def test_a_table_changes_between_the_sizes_that_were_tried() -> None:
    """Below the smallest and above the largest size the nearest trial decides."""
    seconds: dict[str, Any] = {}
    table = table_of([Trial(1_000, seconds, "mpi"), Trial(10_000, seconds, "mpi"), Trial(1_000_000, seconds, "ring")])
    assert [table.algorithm(size) for size in (1, 10_000, 99_999, 100_001, 10**9)] == ["mpi", "mpi", "mpi", "ring", "ring"]
    assert str(table) == "mpi up to 100000 B, ring above"
    assert str(AllReduceTable.always("ring")) == "ring"


def test_groups_that_try_at_once_share_no_rank() -> None:
    """Else two ranks would wait for each other, each in another group. The largest sums come first."""
    assert disjoint({(0, 2): 100, (1, 3): 100, (0, 1): 5, (2, 3): 200}) == [(2, 3), (0, 1)]


@pytest.mark.parametrize(
    ("facts", "segment_bytes"),
    [(NETWORK, 64512), (MEMORY, 0), (replace(NETWORK, eager=EagerLimit(4096, "MPI_T")), 0)],
)
def test_messages_between_nodes_are_cut_within_the_eager_limit(facts: GroupFacts, segment_bytes: int) -> None:
    """Such a piece needs no answer, with room for MPI's header; where the limit is tiny there would be too many of them."""
    assert facts.segment_bytes == segment_bytes
