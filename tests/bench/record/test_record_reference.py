"""The record's reference page is made from the classes, and has every key."""

from __future__ import annotations

from bench.record.record_reference import PAGE, reference_page


def test_the_committed_page_is_that_of_the_classes() -> None:
    """``python -m bench.record.record_reference`` writes it again."""
    assert PAGE.read_text(encoding="utf-8") == reference_page()


def test_the_page_answers_the_question_of_a_newcomer() -> None:
    page = reference_page()
    assert "## `energy.by_host[]`" in page
    assert "| **`by_host`** | list of object |  | joules of each host" in page
    assert "| **`total_J`** | number or null | J | all hosts |" in page
    assert "## `environment.hosts[].before.throttle`" in page
