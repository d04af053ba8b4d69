"""One answer to "may these be compared?": rows and records are grouped alike, and every reason against it is told."""

from __future__ import annotations

from analysis.study.comparability import (
    base_settings,
    factors_that_changed,
    mixed_conditions,
    records_by_work,
    why_energies_differ,
    works,
)
from analysis.study.count_phrases import counted, repeat_counts, some
from bench.record.record import Record
from tests.analysis.studies import study
from tests.records import make_record


def test_rows_and_records_fall_into_the_same_works() -> None:
    """Figures take rows, checks take records: both must see the same points side by side."""
    kinds = [make_record("data", repeat, kind=kind) for kind in ("measured", "modelled") for repeat in (0, 1)]
    other_task = make_record("data", 2, kind="measured", point={"task": "lm"})
    of = study([*kinds, other_task])
    by_rows = {work.key: sorted(work.points["point"]) for work in works(of.points)}
    by_records = {key: sorted(record.point.name for record in group) for key, group in records_by_work(of.good).items()}
    assert by_rows == by_records
    assert {(key.kind, key.name) for key in by_rows} == {
        ("measured", "minilm, reviews"), ("measured", "minilm, lm"), ("modelled", "minilm, reviews")
    }  # fmt: skip


def test_works_without_energy_can_be_left_out() -> None:
    of = study([make_record("data", 0, kind="none"), make_record("data", 0, kind="measured")])
    assert [work.kind for work in works(of.points, with_energy=True)] == ["measured"]


def test_energy_of_two_kinds_or_places_is_not_compared() -> None:
    measured, modelled = (study([make_record("data", 0, kind=kind)]).good for kind in ("measured", "modelled"))
    assert why_energies_differ(measured, measured, ("a", "b")) is None
    assert why_energies_differ(measured, modelled, ("a", "b")) == "energy is measured in a and modelled in b"
    wall = make_record("data", 0, kind="measured")
    wall["energy"]["coverage"] = {**wall["energy"]["coverage"], "levels": ["elsewhere"]}
    assert "at elsewhere in b" in str(why_energies_differ(measured, study([wall]).good, ("a", "b")))


def test_a_base_has_the_settings_of_its_ratio() -> None:
    """Another learning rate is the same amount of work, another batch is not."""
    record = make_record("data", 0)
    changes = ({}, {"lr": 0.5}, {"batch": 999})
    (one, rate, batch) = (Record.from_dict({**record, "point": {**record["point"], **change}}) for change in changes)
    assert base_settings(one) == base_settings(rate) != base_settings(batch)
    assert base_settings(one, ("lr",)) != base_settings(rate, ("lr",))


def test_other_versions_are_other_conditions() -> None:
    changed = make_record("data", 1)
    changed["environment"] = {**changed["environment"], "python": "2.7"}
    one, other = study([make_record("data", 0), changed]).good
    assert mixed_conditions([one, one]) == []
    (line,) = mixed_conditions([one, other])
    assert line.startswith("Python ")
    assert " against 2.7 (1 point: " in line


def test_what_changed_as_a_whole_tells_nothing_apart() -> None:
    """A factor that was varied inside a study still tells its configurations apart; work and mesh always do."""
    one = [{"seq": "32", "lr": "1", "model": "a", "mesh.data": "2"}, {"seq": "64", "lr": "1", "model": "a", "mesh.data": "2"}]
    other = [{"seq": "32", "lr": "2", "model": "b", "mesh.data": "4", "new": "x"}]
    changed = factors_that_changed(one, other)
    assert {"lr", "new", "cluster"} <= changed
    assert not {"seq", "model", "mesh.data"} & changed


def test_counts_in_sentences() -> None:
    assert (counted(1, "point"), counted(0, "point")) == ("1 point", "0 points")
    assert (repeat_counts([6, 6]), repeat_counts([6, 3, 4])) == ("n = 6", "n = 3 to 6")
    assert (some(["a", "b"]), some(["a", "b", "c"])) == ("a, b", "a, b and 1 more")
