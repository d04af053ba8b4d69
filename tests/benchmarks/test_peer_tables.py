"""The table of peers: words of the command line that mean nothing are refused, and Markdown follows from recorded seconds."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.common.user_error import UserError
from benchmarks.peers import peers_command
from benchmarks.peers.peer_pairs import PAIRS, Pair, chosen_pairs, options_for, peer_stages, workload
from benchmarks.peers.starting.peer_boards import link_of, testbed_of
from benchmarks.peers.starting.peer_order import Order
from benchmarks.peers.tables.peer_record import SHARED_MEMORY, Cell, PeerRecord, read_records, write_record
from benchmarks.peers.tables.peer_tables import markdown, meets_target, with_table
from benchmarks.peers.torch_side import peer_list
from benchmarks.peers.torch_side.torch_peer import PeerRefused
from strategies.common.plan_error import PlanError
from tests.project import ROOT

testbed_of.__test__ = False  # type: ignore[attr-defined]

FAST = Cell(
    "1gbit", 2, "minilm", "data", "data", ours_s=(0.8, 0.81, 0.82, 0.83, 0.84, 0.85), peer_s=(1.0,) * 6, limit_s=(0.75,) * 6
)
SLOW = replace(FAST, peer="zero", ours_s=(0.8, 0.81, 0.82, 0.83, 0.84, 0.95))
FEW = replace(FAST, peer="fsdp", ours_s=(0.8, 0.81), limit_s=())
LACKING = replace(FAST, peer="tensor", ours_s=(), peer_s=(), status="refused", reason="torch 1.0 lacks it")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--models", "minilmm"], "--models minilmm is unknown"),
        (["--pairs", "zeroo"], "did you mean zero?"),
        (["--rounds", "0"], "--rounds 0 must be at least 1"),
        (["--rate", "fast", "--boards", "2"], "--rate fast is neither a rate"),
        (["--rate", "0.2mbit", "--boards", "2"], "below 1mbit"),
        (["--boards", "1"], "--boards 1 must be from 2 to 16"),
        (["--boards", "two"], "--boards two is no whole number"),
        (["--ranks", "1"], "--ranks 1 must be at least 2"),
        (["--comm", "wiat=poll"], "did you mean wait?"),
        (["--comm", "poll"], "--comm poll has no value"),
        (["--out", "table.txt"], "must end with .json or .csv"),
        (["--out", "nowhere/peers.json"], "there is no folder nowhere"),
        (["--markdown", "nowhere.json"], "nowhere.json is no record of this benchmark"),
    ],
)
def test_bad_words_are_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is started: one line, exit code 2, no traceback."""
    assert peers_command.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert says in error
    assert error.count("\n") == 1


def test_rates_are_what_they_say() -> None:
    """Names of the issue, numbers, and links of conf/link; the table names the word, the kernel gets the rate."""
    assert [link_of(word).rate_bit_s for word in ("1gbit", "100mbit", "wifi-5", "2.5gbit")] == [1e9, 1e8, 1.08e8, 2.5e9]
    boards = testbed_of(4, link_of("wifi-5"))
    assert {board.link.name for board in boards.boards} == {"wifi-5"}
    assert len({board.address for board in boards.boards}) == 4
    assert {board.quota_cores for board in boards.boards} == {None}


def test_the_table_follows_from_seconds() -> None:
    """Medians, intervals by rank and targets; what has no ratio is named below with its reason."""
    text = markdown(PeerRecord(("2 cores",), (FAST, SLOW, FEW, LACKING)))
    lines = text.splitlines()
    first = (
        "| 1gbit | 2 | minilm | data | 825 | data | 1000 | 6 | 0.83 (0.80 to 0.85) | met (0.90) | 750 | 1.10 (1.07 to 1.13) |"
    )
    assert lines[4] == first.replace("0.83 (", "0.82 (")
    assert "0.82 (0.80 to 0.95) | missed (0.90)" in lines[5]
    assert "| 2 | 0.81 (no interval) | n < 6 | - | - |" in lines[6]
    assert "- 1gbit, 2 ranks, minilm, data / tensor: refused: torch 1.0 lacks it" in lines
    assert lines[-1].startswith(
        "1 of 2 intervals meet their target. 1 have fewer than 6 rounds and no interval. Missed: data / zero"
    )


def test_the_page_has_the_table_of_the_recorded_seconds() -> None:
    """Nobody edits numbers by hand: the page is made again from the record by the command that stands in its mark."""
    page = (ROOT / "docs/explanation/performance.md").read_text()
    assert with_table(page, markdown(read_records([ROOT / "benchmarks/recorded/peers.json"]))) == page
    with pytest.raises(UserError, match="has no lines"):
        with_table("# A page", "| a |")


def test_targets_by_network() -> None:
    """0.95 is good on shared memory and not over a network."""
    near = replace(FAST, ours_s=(0.95,) * 6)
    assert meets_target(near) is False
    assert meets_target(replace(near, network=SHARED_MEMORY)) is True
    assert meets_target(FEW) is None


def test_records_are_read_as_written(tmp_path: Path) -> None:
    """Later files win for the same line; CSV has a row for each round."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    write_record(PeerRecord(("2 cores",), (FAST, LACKING)), old)
    again = replace(FAST, ours_s=(0.7,) * 6)
    write_record(PeerRecord(("2 cores",), (again,)), new)
    assert read_records([old, new]) == PeerRecord(("2 cores",), (again, LACKING))
    assert peers_command.main(["--markdown", str(old), str(new), "--out", str(old)]) == 0
    assert read_records([old]) == PeerRecord(("2 cores",), (again, LACKING))
    write_record(PeerRecord((), (FAST, LACKING)), tmp_path / "all.csv")
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    assert [row["ours_s"] for row in rows] == ["0.8", "0.81", "0.82", "0.83", "0.84", "0.85", ""]
    assert rows[-1]["reason"] == "torch 1.0 lacks it"
    old.write_text(json.dumps({"schema": "another/1", "about": [], "cells": []}))
    with pytest.raises(UserError, match="another/1"):
        read_records([old])


def test_every_line_has_a_peer_that_exists() -> None:
    """A typing error in the list of lines would be found only when the ranks are up."""
    assert {pair.peer for pair in PAIRS if pair.peer} == set(peer_list.PEERS)
    assert [pair.title for pair in chosen_pairs(["zbv", "ulysses"])] == [
        "pipeline schedule=zero_bubble / pipeline-zbv",
        "sequence attention=ulysses",
    ]


def test_both_sides_of_a_pipeline_have_the_same_stages() -> None:
    """Else the ratio would compare how layers were dealt out."""
    minilm = workload("minilm").spec
    interleaved = next(pair for pair in PAIRS if pair.peer == "pipeline-interleaved")
    stages = peer_stages(interleaved, minilm, 2)
    assert options_for(interleaved, minilm, 2)["stages"] == [end - begin for begin, end in stages] == [1, 2, 2, 1]
    with pytest.raises(PlanError, match="6 layers of minilm are fewer than 2 stages on each of 4 ranks"):
        peer_stages(interleaved, minilm, 4)
    assert peer_stages(Pair("data", {}, "data"), minilm, 2) == ()


def test_a_peer_that_torch_lacks_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the module, of the class, or of gloo itself."""
    monkeypatch.setitem(peer_list.PEERS, "module", ("no_such_file", "Peer"))
    monkeypatch.setitem(peer_list.PEERS, "class", ("fsdp_peer", "Fsdp9"))
    for name in ("module", "class"):
        with pytest.raises(PeerRefused, match=f"lacks the peer {name} on this platform"):
            peer_list.peer_class(name)
    monkeypatch.setattr("torch.distributed.is_gloo_available", lambda: False)
    with pytest.raises(PeerRefused, match="has no gloo on this platform"):
        peer_list.start_gloo(0, 1, "nowhere")


def test_orders_pass_through_json() -> None:
    """The ranks get what the command line meant."""
    from dataclasses import asdict

    order = Order("1gbit", 1e9, (("minilm", 0), ("gpt2", 3)), comm={"wait": "poll"})
    assert Order.of(json.loads(json.dumps(asdict(order)))) == order
