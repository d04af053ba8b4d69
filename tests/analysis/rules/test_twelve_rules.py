"""The twelve rules: a study that keeps all of them, and for each a way to break it. No rule that cannot fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.rules.twelve_rules import Rule, rules
from bench.common.median_interval import median_interval
from tests.analysis.studies import study_of
from tests.records import make_record, metered

Records = list[dict[str, Any]]
LINK = {"switch": None, "name": "ethernet-1g", "rate_bit_s": 1e9, "delay_s": None, "loss": None}


def board(number: int) -> dict[str, Any]:
    return {
        "host": f"pi-{number}", "board": "raspberry-pi-4", "cpu": "A72", "cores": 1, "kernel": "6.6", "memory_bytes": 4 << 30,
        "code_hash": "c0de", "governor": "performance", "frequency_Hz": 1.5e9, "temperature_C": 50.0, "throttled": False,
    }  # fmt: skip


def full(strategy: str, ranks: int, repeat: int) -> dict[str, Any]:
    """A record that says all that a reader may want to know: ``ranks`` boards with one core each."""
    names = [f"pi-{number}" for number in range(ranks)]
    links = {"kind": "stated", "links": [{"host": name, **LINK} for name in names], "uplink": None}
    made = make_record(
        strategy, repeat, ranks=ranks, steps=60, watts=20.0 + 10 * ranks, point={"network": links, "hosts": names}
    )
    made["environment"] |= {
        "packages": {"torch": "2.9"}, "mpi": {"library": "Open MPI v5.0.11"}, "overrides": [f"strategy={strategy}"],
        "hosts": [board(number) for number in range(ranks)],
        "ranks": [{"rank": n, "host": name, "threads": 1} for n, name in enumerate(names)],
    }  # fmt: skip
    made["time"]["clock"] = {"hosts_share_a_clock": False, "bound_s": 1e-4, "residual_s": 1e-5, "drift_ppm": {}}
    made["energy"]["by_host"] = [metered(name, samples=300, period_s=0.1) for name in names]
    made["energy"]["coverage"] |= {"hosts": ranks, "measured": ranks}
    return made


def good() -> Records:
    shapes = (("single", 1), ("data", 2), ("data", 3), ("data", 4))
    return [full(strategy, ranks, repeat) for repeat in range(6) for strategy, ranks in shapes]


def judged(records: Records, problems: tuple[str, ...] = ()) -> dict[int, Rule]:
    return {rule.number: rule for rule in rules(study_of("s", Path("s"), records, list(problems)))}


def test_a_study_can_keep_all_twelve() -> None:
    found = judged(good())
    assert list(found) == list(range(1, 13))
    assert {rule.number: rule.detail for rule in found.values() if rule.status != "passed"} == {}
    single = [record for record in good() if record["point"]["ranks"] == 1]
    speed = sorted(record["time"]["samples_per_s"] for record in single)
    joules = sorted(record["energy"]["per_sample_J"] for record in single)
    expected = f"base single at {sum(speed[2:4]) / 2:.3g} samples/s and {sum(joules[2:4]) / 2:.3g} J per sample"
    assert found[1].detail == f"minilm, reviews, energy modelled: {expected}"
    assert "2 of 3 configurations differ from single in joules per sample" in found[7].detail
    assert "ranks (4)" in found[9].detail
    assert "clocks agree within 100 us" in found[10].detail
    assert found[12].detail == "data of minilm over ranks: 3 levels"


def test_planned_points_that_never_ran_are_missed() -> None:
    """A study that was stopped is not one with fewer points."""
    records = good()
    names = [record["point"]["name"] for record in records]
    complete = rules(study_of("s", Path("s"), records, [], names))
    assert {rule.status for rule in complete} == {"passed"}
    stopped = {rule.number: rule for rule in rules(study_of("s", Path("s"), records, [], [*names, "tensor-n4", "tensor-n3"]))}
    assert stopped[2].status == "failed"
    assert "2 of 26 planned points have no record: tensor-n4, tensor-n3" in stopped[2].detail


def unfinished(record: dict[str, Any], status: str = "failed") -> None:
    record.update(status=status, reason="no route to host")


def base_failed(records: Records) -> None:
    for record in records:
        if record["point"]["ranks"] == 1:
            unfinished(record)


def keep(which: Callable[[int, int], bool]) -> Callable[[Records], None]:
    """Only points for which ``which(ranks, repeat)`` holds are left."""

    def change(records: Records) -> None:
        records[:] = [record for record in records if which(record["point"]["ranks"], record["point"]["repeat"])]

    return change


def mean_of_rates(records: Records) -> None:
    records[0]["time"]["samples_per_s"] *= 1.01


def mean_of_ratios(records: Records) -> None:
    records[0]["energy"]["edp_Js"] *= 1.01


def bytes_moved(records: Records) -> None:
    records[1]["traffic"]["payload_bytes"] = {"data.all_reduce.backward": 1}


def mean_as_centre(records: Records) -> None:
    values = records[0]["time"]["step_s"]["values"]
    records[0]["time"]["step_s"]["median"] = 1.0001 * sum(values) / len(values)


def few_slow_steps(records: Records) -> None:
    """Six of sixty steps, of 0.98, take four times as long: mean 1.294, median 1.005."""
    time = records[0]["time"]
    values = [4 * value if index % 10 == 0 else value for index, value in enumerate(time["step_s"]["values"])]
    time.update(step_s={**median_interval(values), "values": values}, window_s=sum(values))


def versions_gone(records: Records) -> None:
    for record in records:
        del record["environment"]["packages"]


def clocks_gone(records: Records) -> None:
    records[-1]["time"]["clock"] = {}


def window_open(records: Records) -> None:
    records[-1]["time"]["windows"][0]["end_s"] += 0.01


def host_unread(records: Records) -> None:
    records[-1]["energy"]["coverage"]["measured"] -= 1


def no_limits(records: Records) -> None:
    keep(lambda ranks, repeat: ranks > 1)(records)
    for record in records:
        record["point"]["network"] = None


def levels_lost(records: Records) -> None:
    for record in records:
        if record["point"]["ranks"] > 2:
            unfinished(record, "timeout")


@pytest.mark.parametrize(
    ("number", "break_it", "words"),
    [
        (1, base_failed, "the single process did not finish (no route to host) for 3 of 3 configurations"),
        (
            2,
            keep(lambda ranks, repeat: (ranks, repeat) != (3, 2)),
            "repeats that should be there are not: data n=3 lacks repeat 2",
        ),
        (3, mean_of_rates, "rates that do not follow from their sums: single-n1-minilm-reviews-r0-"),
        (4, mean_of_ratios, "costs per sample and token that do not follow from their sums: single-n1"),
        (
            5,
            keep(lambda ranks, repeat: ranks != 3 or repeat < 1),
            "1 of 4 configurations have no 95 % interval (fewer than 6 repeats); 1 ran once: data n=3",
        ),
        (5, bytes_moved, "bytes differ between repeats of data n=2 (modelled)"),
        (6, mean_as_centre, "the step time is not the median of the steps, or its interval not by rank: single-n1"),
        (7, keep(lambda ranks, repeat: repeat < 2), "3 with too few repeats to show any difference"),
        (8, few_slow_steps, "median step within 28.8 % of the mean (worst in single-n1"),
        (9, versions_gone, "not in the records: packages (24 of 24 points)"),
        (10, clocks_gone, "clocks not compared, or by more than 1 % of a step: data-n4"),
        (10, window_open, "steps that do not add up to their windows in data-n4"),
        (10, host_unread, "hosts without power in data-n4"),
        (11, no_limits, "no single process for 1 of 1 works; no link rates in 18 of 18 parallel points"),
        (12, levels_lost, "data of minilm over ranks: 1 of 3 levels are left, too few for a line"),
    ],
)
def test_every_rule_can_fail(number: int, break_it: Callable[[Records], None], words: str) -> None:
    records = good()
    break_it(records)
    rule = judged(records)[number]
    assert rule.status == "failed"
    assert words in rule.detail


def uneven(records: Records) -> None:
    records[3]["time"]["by_rank"][0]["compute_s"] *= 1.5


def other_batch(records: Records) -> None:
    for record in records:
        if record["point"]["ranks"] == 2:
            record["point"]["batch"] = 8


def tailed(records: Records) -> None:
    """Three of sixty steps, of 0.98, take three times as long: mean 1.098, median 1."""
    time = records[0]["time"]
    values = [3 * value if index % 20 == 0 else value for index, value in enumerate(time["step_s"]["values"])]
    time.update(step_s={**median_interval(values), "values": values}, window_s=sum(values))


@pytest.mark.parametrize(
    ("number", "change", "words"),
    [
        (1, keep(lambda ranks, repeat: ranks > 1), "no single process with the same work for 3 of 3 configurations"),
        (1, other_batch, "no single process with the same work for 1 of 3 configurations"),
        (2, lambda rs: unfinished(rs[-1]), "24 points: 23 ok, 1 failed"),
        (2, lambda rs: rs[0]["environment"]["hosts"][0].update(cores=4), "cores left unused: pi-0 1 of 4"),
        (5, keep(lambda ranks, repeat: repeat < 5), "4 of 4 configurations have no 95 % interval"),
        (7, keep(lambda ranks, repeat: ranks != 4 or repeat < 1), "1 with too few repeats to show any difference"),
        (8, uneven, "straggler index up to 1.50 (longest computing rank by median), over 1.2 in 1 of 18 points"),
        (8, tailed, "median step within 9.8 % of the mean (worst in single-n1"),
        (9, lambda rs: rs[0]["environment"]["hosts"][0].update(governor=None), "governor of a host (1 of 24 points)"),
        (9, lambda rs: rs[-1]["point"].update(network=None), "network (1 of 24 points)"),
        (10, lambda rs: rs[0]["energy"]["by_host"][0].update(samples=59), "59 readings of power or more"),
        (10, lambda rs: rs[-1]["time"]["clock"].update(bound_s=1.0), "by more than 1 % of a step: data-n4"),
        (10, lambda rs: rs[0]["energy"]["sampler"].update(cost_fraction=0.02), "the sampler took at most 2.00 % of the cores"),
        (11, lambda rs: rs[-1]["point"].update(network=None), "no link rates in 1 of 18 parallel points"),
        (12, keep(lambda ranks, repeat: ranks < 4), "data of minilm over ranks: 2 levels, drawn as markers without a line"),
    ],
)
def test_what_a_reader_should_know_is_warned_about(number: int, change: Callable[[Records], object], words: str) -> None:
    records = good()
    change(records)
    rule = judged(records)[number]
    assert rule.status == "warned"
    assert words in rule.detail


def test_what_cannot_be_judged_is_skipped_with_the_reason() -> None:
    """One configuration has no ratio, no comparison, no bound and no line."""
    found = judged([full("single", 1, repeat) for repeat in range(6)])
    assert {number for number, rule in found.items() if rule.status == "skipped"} == {1, 7, 11, 12}
    assert found[1].detail == "minilm, reviews, energy modelled: no parallel configuration, so no ratio"
    assert found[11].detail == "no parallel point"
    assert found[12].detail == "no numeric factor is swept: points and bars, no lines"


def test_without_any_valid_record_every_rule_but_the_count_is_skipped() -> None:
    found = judged([make_record(status="failed", reason="no route")])
    assert {rule.status for number, rule in found.items() if number != 2} == {"skipped"}
    assert found[2].status == "warned"
    assert found[3].detail == "no point has a valid record"


def test_unreadable_records_are_points_left_out() -> None:
    rule = judged(good(), ("s/half/result.json is not a whole record",))[2]
    assert (rule.status, "1 folder without a whole record" in rule.detail) == ("failed", True)


def test_oom_is_a_result() -> None:
    records = good()
    unfinished(records[-1], "oom")
    assert judged(records)[2].status == "passed"


def test_emulated_boards_have_no_cores_of_their_own() -> None:
    records = good()
    for record in records:
        record["point"]["network"]["kind"] = "emulated"
        record["environment"]["hosts"][0]["cores"] = 64
    rule = judged(records)[2]
    assert rule.status == "passed"
    assert "emulated" in rule.detail


def test_smoke_runs_are_too_short_to_fail_for_their_centre() -> None:
    records = good()
    few_slow_steps(records)
    records[0]["point"]["smoke"] = True
    assert judged(records)[8].status == "warned"


def test_times_are_compared_where_there_is_no_energy() -> None:
    records = [make_record(strategy, repeat, kind="none") for strategy in ("single", "data") for repeat in range(6)]
    assert "1 of 1 configurations differ from single in samples per second" in judged(records)[7].detail


def test_normality_is_told_with_outliers() -> None:
    records = good()
    few_slow_steps(records)
    rule = judged(records)[6]
    assert rule.status == "passed"
    assert "6 outliers by Tukey's fences, kept" in rule.detail
    assert "of 4 sets not normal (Shapiro-Wilk, 5 %)" in rule.detail
    assert "repeats of a configuration: fewer than 8" in rule.detail
