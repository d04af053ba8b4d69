"""The case study's page says what the gallery's records say."""

from __future__ import annotations

from tests.docs.case_study_page import PAGE, SHELVES, lines, written


def test_the_tables_are_those_of_the_records() -> None:
    assert written() == PAGE.read_text(encoding="utf-8"), "python -m tests.docs.case_study_page writes them again"


def test_every_shelf_is_dilated_and_compared() -> None:
    """Each record with numbers says its dilation, and each line of several boards has at least two strategies to compare."""
    rows = lines()
    assert {key.shelf for key in rows} <= set(SHELVES.values())
    for key, cells in rows.items():
        records = [record for repeats in cells.values() for record in repeats]
        assert all(record.dilation is not None for record in records if record.status == "ok")
        assert len(cells) >= 2 or key.ranks == 1
