"""Conclusions at half and at twice the dilation: the arithmetic by hand, and the words of the report."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from analysis.page.answer.answer_text import answers
from analysis.statistics.dilation_doubt import dilation_doubt, in_words, modelled_rate
from analysis.study.study_record import MeasuredStudyRecord
from tests.analysis.studies import study
from tests.records import make_record

STEPS, SAMPLES = 4, 32
DILATION = {
    "factor": 8.0, "low": 4.0, "high": 16.0, "source": "said", "latency_s": 1e-4, "latency_source": "said",
    "latency_by": "receives", "receive_delay_s": 7e-4, "quota_scale": 1.0, "machine_window_s": 100.0, "seq": 64, "samples": 8,
    "disturbance": 0.02, "boards": [],
}  # fmt: skip


def dilated(
    strategy: str, compute_s: float, messages_s: float, waits_s: float = 0.0, beside_s: float = 0.0, repeat: int = 0
) -> Any:
    """A record whose two ranks spend a step so, in seconds."""
    record = copy.deepcopy(make_record(strategy, steps=STEPS))
    window_s = STEPS * (compute_s + messages_s + waits_s)
    spent = {"compute_s": compute_s, "communicate_s": messages_s, "wait_s": waits_s, "overlapped_s": beside_s}
    record["time"] |= {
        "by_rank": [{"rank": rank, **{key: STEPS * value for key, value in spent.items()}} for rank in range(2)],
        "window_s": window_s, "samples": STEPS * SAMPLES, "samples_per_s": STEPS * SAMPLES / window_s,
    }  # fmt: skip
    return {**record, "dilation": DILATION}


def good(*records: Any) -> dict[str, list[MeasuredStudyRecord]]:
    by_label: dict[str, list[MeasuredStudyRecord]] = {}
    for record in study(records).good:
        by_label.setdefault(record.point.strategy, []).append(record)
    return by_label


def test_computation_and_waiting_scale_and_messages_stay() -> None:
    ((record,),) = good(dilated("data", 2.0, 0.5, 0.4)).values()
    assert modelled_rate(record, 1.0) == pytest.approx(SAMPLES / 2.9)
    assert modelled_rate(record, 2.0) == pytest.approx(SAMPLES / (1.2 + 0.5))
    assert modelled_rate(record, 0.5) == pytest.approx(SAMPLES / (4.8 + 0.5))


def test_what_ran_beside_needs_computation_to_hide_behind() -> None:
    """Twice as fast boards hide half of it, half as fast ones no more than all of it."""
    ((record,),) = good(dilated("data", 2.0, 0.5, beside_s=0.8)).values()
    assert modelled_rate(record, 2.0) == pytest.approx(SAMPLES / (1.0 + 0.5 + 0.4))
    assert modelled_rate(record, 0.5) == pytest.approx(SAMPLES / (4.0 + 0.5))


def test_the_report_says_where_a_conclusion_changes() -> None:
    """Little computation and many messages lose where boards are faster, and win where they are slower."""
    records = [dilated("tensor", 1.0, 1.0), dilated("data", 2.0, 0.2)]
    doubt = dilation_doubt(good(*records))
    assert doubt is not None
    assert (doubt.recorded, dict(doubt.modelled), doubt.holds) == ("tensor", {0.5: "tensor", 2.0: "data"}, False)
    (answer,) = answers(study(records))
    (sentence,) = [text for text in answer.others if "depends on how fast the boards are" in text]
    assert "were they twice as fast as taken, data n=2 would be the fastest and not tensor n=2" in sentence
    assert "modelled from the records" in sentence
    assert "their time dilated by 8 (by their classes' rates 4 to 16)" in answer.what


def test_the_report_says_where_it_holds() -> None:
    doubt = dilation_doubt(good(dilated("tensor", 1.0, 0.1), dilated("data", 2.0, 0.2)))
    assert doubt is not None
    assert doubt.holds
    assert in_words(doubt).startswith("tensor would stay the fastest were the boards half or twice as fast as taken")


def test_boards_with_the_machines_time_have_no_doubt() -> None:
    """Nothing is said of a study without dilation, nor of one configuration alone."""
    plain = dilated("data", 1.0, 1.0)
    del plain["dilation"]
    assert dilation_doubt(good(plain, dilated("tensor", 1.0, 1.0))) is None
    assert dilation_doubt(good(dilated("tensor", 1.0, 1.0))) is None
    (answer,) = answers(study([make_record("tensor"), make_record("data")]))
    assert not any("taken" in text for text in answer.others)
    assert "dilated" not in answer.what
