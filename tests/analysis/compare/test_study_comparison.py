"""Two studies side by side: what is matched, what is not, what is real, and what changed between them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.compare.study_comparison import changes, compare, compare_verb, report_lines, select, to_markdown
from analysis.study.study import Study
from bench.common.user_error import UserError
from tests.analysis.studies import study_of, write_study
from tests.records import make_record

OLD, NEW = "1111aaaa" * 5, "2222bbbb" * 5


def committed(strategy: str, repeat: int, commit: str = OLD, **changes: Any) -> dict[str, Any]:
    record = make_record(strategy, repeat, **changes)
    record["environment"]["git"] = {"commit": commit, "dirty": False}
    return record


def study(name: str, records: list[dict[str, Any]]) -> Study:
    return study_of(name, Path(name), records, [])


def repeats(strategy: str = "data", n: int = 6, **changes: Any) -> list[dict[str, Any]]:
    return [committed(strategy, repeat, **changes) for repeat in range(n)]


def cell(table: pd.DataFrame, quantity: str, configuration: str = "data n=2") -> dict[str, Any]:
    rows = table[(table["quantity"] == quantity) & (table["configuration"] == configuration)]
    assert len(rows) == 1
    return rows.iloc[0].to_dict()


def test_golden_numbers_of_a_real_difference() -> None:
    """The second study is 1.25 times as fast at the same watts, in every repeat: ratio 1.25 and 0.8 to the digit, all pairs in
    one order but for the 10 % by which repeats drift."""
    table = compare(study("a", repeats()), study("b", repeats(samples_per_s=1.25 * 38.0)))
    speed, energy = cell(table, "samples_per_s"), cell(table, "per_sample_J")
    assert speed["ratio"] == pytest.approx(1.25)
    assert energy["ratio"] == pytest.approx(0.8)
    assert speed["ratio_low"] < 1.25 < speed["ratio_high"]
    assert (speed["verdict"], energy["verdict"]) == ("faster", "less energy")
    assert speed["p"] == pytest.approx(2 / math.comb(12, 6))
    assert (speed["chance"], speed["one_n"], speed["other_n"], speed["matched_by"]) == (1.0, 6, 6, "hash")
    assert speed["other_median"] == pytest.approx(1.25 * speed["one_median"])
    memory = cell(table, "peak_MiB")
    assert (memory["verdict"], memory["ratio"], memory["p"]) == ("no difference shown", 1.0, 1.0)


def test_the_same_numbers_show_no_difference() -> None:
    table = compare(study("a", repeats()), study("b", repeats()))
    assert set(table["verdict"]) == {"no difference shown", "equal"}


def test_too_few_repeats_say_so_and_show_the_ratio_alone() -> None:
    table = compare(study("a", repeats(n=3)), study("b", repeats(n=3, samples_per_s=76.0)))
    speed = cell(table, "samples_per_s")
    assert (speed["verdict"], speed["ratio"]) == ("too few repeats", pytest.approx(2.0))
    assert speed["why"] == "3 and 3 repeats: the smallest possible p is 0.1, more than 0.05"
    assert pd.isna(speed["p"])
    assert pd.isna(speed["ratio_low"])


def test_verdicts_hold_together_over_all_configurations() -> None:
    """One of thirty configurations differs with p = 2/70: alone that shows it; among thirty it cannot."""

    def side(fast: float) -> list[dict[str, Any]]:
        return [
            committed("data", r, point={"batch": batch}, samples_per_s=fast if batch == 0 else None)
            for batch in range(30)
            for r in range(4)
        ]  # fmt: skip

    table = compare(study("a", side(38.0)), study("b", side(76.0)))
    speed = cell(table, "samples_per_s", "data n=2 batch=0")
    assert speed["p"] == pytest.approx(2 / 70)
    assert speed["verdict"] == "too few repeats"
    assert speed["why"] == "30 comparisons: their smallest possible p is 0.86 once corrected, more than 0.05"
    alone = compare(study("a", side(38.0)[:4]), study("b", side(76.0)[:4]))
    assert cell(alone, "samples_per_s", "data n=2")["verdict"] == "faster"


def test_bytes_are_the_same_or_they_are_not() -> None:
    """They follow from the plan, so one repeat is enough."""
    other = repeats(n=1)
    other[0]["traffic"]["wire_bytes"] = {"data.all_reduce.backward": 90_264_584.0}
    row = cell(compare(study("a", repeats(n=1)), study("b", other)), "wire_bytes")
    assert (row["ratio"], row["verdict"], row["why"]) == (0.5, "fewer bytes", "the same in every repeat")
    equal = cell(compare(study("a", repeats(n=1)), study("b", repeats(n=1))), "wire_bytes")
    assert equal["verdict"] == "equal"


def test_measured_is_never_compared_with_modelled() -> None:
    """Time, memory and bytes are; joules are listed as not comparable, with the reason. So are joules from another place."""
    one, other = study("a", repeats(kind="measured")), study("b", repeats(kind="modelled"))
    table = compare(one, other)
    energy = cell(table, "per_sample_J")
    assert (energy["verdict"], energy["why"]) == ("not comparable", "energy is measured in a and modelled in b")
    assert pd.isna(energy["ratio"])
    assert cell(table, "samples_per_s")["verdict"] == "no difference shown"
    lines = report_lines(one, other, table)
    assert "Not comparable: energy (J/sample) of data n=2 (energy is measured in a and modelled in b)." in lines
    wall = repeats(kind="measured")
    for record in wall:
        record["energy"]["coverage"]["levels"] = ["wall"]
    energy = cell(compare(one, study("b", wall)), "per_sample_J")
    assert energy["why"] == "energy at board in a and at wall in b"


def test_both_kinds_are_each_compared_with_their_own() -> None:
    both = [*repeats(kind="measured"), *repeats(kind="modelled")]
    table = compare(study("a", both), study("b", both))
    energy = table[table["quantity"] == "per_sample_J"]
    assert sorted(energy["kind"]) == ["measured", "modelled"]
    titles = [line for line in report_lines(study("a", both), study("b", both), table) if line.startswith("energy (J/sample)")]
    assert [title.split(":")[0] for title in titles] == ["energy (J/sample), measured", "energy (J/sample), modelled"]


def test_no_energy_leaves_the_times() -> None:
    table = compare(study("a", repeats(kind="none")), study("b", repeats(kind="none")))
    assert "per_sample_J" not in set(table["quantity"])
    one_sided = compare(study("a", repeats(kind="none")), study("b", repeats(kind="measured")))
    assert cell(one_sided, "per_sample_J")["verdict"] == "not comparable"


def test_what_has_no_partner_is_listed() -> None:
    one = study("a", [*repeats("data"), *repeats("tensor", n=1)])
    other = study("b", [*repeats("data"), *repeats("pipeline", n=2), committed("tensor", 0, status="oom", reason="memory")])
    table = compare(one, other)
    loose = table[table["quantity"].isna()].set_index("configuration")
    assert loose.loc["pipeline n=2", ["verdict", "other_n"]].tolist() == ["only in b", 2]
    assert loose.loc["pipeline n=2", "why"] == "no configuration of the other has these factors"
    assert loose.loc["tensor n=2", ["verdict", "why"]].tolist() == ["not comparable", "no valid numbers: 1 oom in b"]
    lines = report_lines(one, other, table)
    assert lines[0] == "b against a: 1 configuration in both. Ratios are the second over the first."
    assert "Only in b: pipeline n=2 (no configuration of the other has these factors)." in lines
    assert "Not comparable: tensor n=2 (no valid numbers: 1 oom in b)." in lines


def test_a_study_without_valid_points_is_no_error() -> None:
    one, other = study("a", repeats()), study("b", [committed("data", 0, status="failed", reason="no route")])
    for first, second in ((one, other), (other, one), (other, other)):
        table = compare(first, second)
        assert list(table["verdict"]) == ["not comparable"]
        assert "Changed: cannot be told, for one of them has no valid point." in report_lines(first, second, table)


def test_another_hash_with_the_same_factors_is_matched() -> None:
    """The hash also has what records do not say, such as the length of the window."""
    other = repeats()
    for record in other:
        record["point"] |= {"hash": "feedbeef"}
    row = cell(compare(study("a", repeats()), study("b", other)), "samples_per_s")
    assert row["matched_by"] == "factors"


def test_what_the_studies_as_a_whole_differ_in_is_what_changed() -> None:
    """Another cluster, and another batch in all of the second study: matched, and named. What each varied still tells apart."""
    shapes = [("data", 16), ("data", 32), ("tensor", 16)]
    one = study("a", [committed(s, r, point={"seq": seq}) for s, seq in shapes for r in range(4)])
    other = study(
        "b", [committed(s, r, point={"seq": seq, "batch": 8, "cluster": "shelf"}) for s, seq in shapes for r in range(4)]
    )
    table = compare(one, other)
    speeds = table[table["quantity"] == "samples_per_s"]
    assert list(speeds["configuration"]) == ["data n=2 seq=16", "data n=2 seq=32", "tensor n=2"]
    assert set(speeds["matched_by"]) == {"factors but batch, cluster"}
    found = changes(one, other).set_index("what")
    assert found.loc["batch"].tolist() == ["32", "8"]
    assert found.loc["cluster"].tolist() == ["local", "shelf"]
    assert "commit" not in found.index
    lines = report_lines(one, other, table)
    assert "Matched by all factors but batch, cluster: data n=2 seq=16, data n=2 seq=32, tensor n=2." in lines


@pytest.mark.parametrize("factor", ["model", "task", "strategy"])
def test_another_work_is_never_matched(factor: str) -> None:
    other = repeats()
    for record in other:
        record["point"] |= {factor: "another", "hash": "feedbeef"}
    table = compare(study("a", repeats()), study("b", other))
    assert sorted(table["verdict"]) == ["only in a", "only in b"]


def test_of_several_that_would_do_none_is_taken() -> None:
    """One study swept links, the other has none: which of them is it?"""

    def linked(rate: float) -> dict[str, Any]:
        link = {"host": "pi-1", "switch": None, "name": f"{rate:g}", "rate_bit_s": rate, "delay_s": None, "loss": None}
        return {"network": {"kind": "stated", "links": [link], "uplink": None}}

    one = study("a", [committed("data", 0, point=linked(rate)) for rate in (1e8, 1e9)])
    table = compare(one, study("b", [committed("data", 0)]))
    assert sorted(table["verdict"]) == ["only in a", "only in a", "only in b"]
    assert "2 of one and 1 of the other differ in link, link_rate_bit_s alone" in set(table["why"])


def test_changes_of_code_software_and_hosts() -> None:
    def ran(commit: str, torch: str, kernel: str) -> list[dict[str, Any]]:
        found = repeats(n=2, commit=commit)
        for record in found:
            host = {
                "host": "pi-1",
                "board": None,
                "cpu": "A72",
                "cores": 4,
                "kernel": kernel,
                "governor": None,
                "code_hash": commit[:6],
            }
            record["environment"] |= {"packages": {"torch": torch, "numpy": "2.0"}, "hosts": [host]}
        return found

    found = changes(study("a", ran(OLD, "2.8", "6.1")), study("b", ran(NEW, "2.9", "6.6"))).set_index("what")
    assert found.loc["commit"].tolist() == ["1111aaaa1111", "2222bbbb2222"]
    assert found.loc["torch"].tolist() == ["2.8", "2.9"]
    assert found.loc["code of the ranks"].tolist() == ["1111aa", "2222bb"]
    assert found.loc["host pi-1"].tolist() == ["A72, 4 cores, Linux 6.1", "A72, 4 cores, Linux 6.6"]
    assert len(found) == 4
    assert changes(study("a", repeats()), study("b", repeats())).empty
    lines = report_lines(study("a", repeats()), study("b", repeats()), compare(study("a", repeats()), study("b", repeats())))
    assert "Changed: nothing that the records tell." in lines


def test_dirty_code_and_smoke_runs_are_told() -> None:
    other = repeats(n=2, smoke=True)
    for record in other:
        record["environment"]["git"]["dirty"] = True
    one, two = study("a", repeats(n=2)), study("b", other)
    found = changes(one, two).set_index("what")
    assert found.loc["commit", "other"] == "1111aaaa1111 with changes"
    assert found.loc["smoke runs"].tolist() == ["no", "yes"]
    lines = report_lines(one, two, compare(one, two))
    assert "Some points are smoke runs: windows are too short for conclusions." in lines


def two_commits(folder: Path) -> Path:
    records = [*repeats(n=6), *(committed("data", 6 + r, commit=NEW, samples_per_s=76.0) for r in range(6))]
    return write_study(folder / "s", records)


def test_a_commit_of_a_study_is_selected_by_its_first_digits(tmp_path: Path) -> None:
    folder = two_commits(tmp_path)
    old = select(f"{folder}@1111")
    assert (old.name, len(old.records), old.folder) == ("s@1111", 6, folder)
    assert {record.environment.git.commit for record in select(f"{folder}@{NEW}").records} == {NEW}
    assert len(select(str(folder)).records) == 12
    for wrong, words in (("3333", "3333 is no commit"), ("", "no commit after @")):
        with pytest.raises(UserError, match=f"{words}; s has records of 1111aaaa1111, 2222bbbb2222"):
            select(f"{folder}@{wrong}")
    write_study(folder, [committed("tensor", 0, commit="1111cccc" * 5)])
    with pytest.raises(UserError, match="1111 could be several commits; s has records of 1111aaaa1111, 1111cccc1111, 2222"):
        select(f"{folder}@1111")
    with pytest.raises(UserError, match="is not a study"):
        select(str(tmp_path / "none"))


def test_a_folder_with_an_at_sign_is_a_folder(tmp_path: Path) -> None:
    folder = two_commits(tmp_path).rename(tmp_path / "s@home")
    assert len(select(str(folder)).records) == 12
    assert len(select(f"{folder}@2222").records) == 6


def test_the_verb_prints_the_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A difference is no failure: exit code 0."""
    folder = two_commits(tmp_path)
    assert compare_verb(f"{folder}@1111", f"{folder}@2222") == 0
    shown = capsys.readouterr().out
    for words in ("speed (samples/s)", "energy (J/sample), modelled", "faster", "s@1111", "36.18 (n = 6)", "0.0022"):
        assert words in shown
    assert "s@2222 against s@1111: 1 configuration in both." in shown
    assert "Changed: commit 1111aaaa1111 to 2222bbbb2222." in shown


def test_points_are_not_compared_with_themselves(tmp_path: Path) -> None:
    folder = two_commits(tmp_path)
    with pytest.raises(UserError, match="6 points are in both s and s@1111; give two studies, or two commits of one"):
        compare_verb(str(folder), f"{folder}@1111")


def test_mixed_code_inside_one_side_is_told(tmp_path: Path) -> None:
    folder = two_commits(tmp_path)
    other = write_study(tmp_path / "t", repeats())
    one, two = select(str(folder)), select(str(other))
    lines = report_lines(one, two, compare(one, two))
    assert any(
        line.startswith("Mixed conditions inside s: minilm, reviews, energy modelled: code commit 1111") for line in lines
    )


def test_markdown_has_the_lines_and_a_table_of_every_quantity() -> None:
    one, other = study("a", repeats()), study("b", repeats(samples_per_s=47.5))
    page = to_markdown(one, other, compare(one, other))
    assert page.startswith("# b against a\n\n- b against a: 1 configuration in both.")
    assert "| configuration | a | b | ratio | p (Holm) | verdict |\n| --- | --- | --- | --- | --- | --- |\n" in page
    row = next(line for line in page.splitlines() if line.startswith("| data n=2 |") and "faster" in line)
    assert row.startswith("| data n=2 | 36.18 (n = 6) | 45.22 (n = 6) | 1.25 x [1.")


def test_two_studies_of_one_name_are_told_apart() -> None:
    one, other = study("a", repeats("data", n=1)), study("a", repeats("tensor", n=1))
    assert sorted(compare(one, other)["verdict"]) == ["only in a (first)", "only in a (second)"]
