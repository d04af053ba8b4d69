"""What is given away: every number, and nothing of one machine alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.study.study import load_study
from tests.analysis.studies import full, write_study


def study_of_a_machine(folder: Path) -> Path:
    records = full(2)
    for record in records:
        where = f"/data/me/suite/results/mine/{record['point']['name']}/config.json"
        record["environment"] |= {
            "command": f"/data/me/suite/.venv/bin/mpirun -x HOME=/home/me -n 2 python -m bench.run.worker {where}",
            "hosts": [
                {"host": "localhost", "boot_id": "11-22", "board": None},
                {"host": "b", "boot_id": "33-44", "board": None},
            ],
            "log": ["see /root/x and /home/me", "/home/me/notes", "/homely/kept"],
        }
    return write_study(folder / "mine", records)


def test_numbers_stay_and_places_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, into = study_of_a_machine(tmp_path), tmp_path / "given" / "mine"
    for folder in (path for path in source.iterdir() if path.is_dir()):
        (folder / "power.parquet").write_bytes(b"raw")
        (folder / "events.parquet").write_bytes(b"events")
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    assert main(["publish", str(source), "--into", str(into)]) == 0
    assert capsys.readouterr().out == f"8 records in {into}\n"
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
    old, new = load_study(source), load_study(into)
    assert new.points.equals(old.points)
    text = "".join(path.read_text() for path in into.glob("*/result.json"))
    for word in ("/data/me", "/home/me", "/root", "11-22", "33-44"):
        assert word not in text
    record = json.loads((into / "single-n1-minilm-reviews-r0-singmode" / "result.json").read_text())
    about = record["environment"]
    assert about["command"].startswith("./.venv/bin/mpirun -x HOME=~ -n 2 python -m bench.run.worker ./results/mine/single-n1-")
    assert [host["boot_id"] for host in about["hosts"]] == ["boot-1", "boot-2"]
    assert about["log"] == ["see ~/x and ~", "~/notes", "/homely/kept"]
    assert about["published"]["replaced"] == ["project folder", "home folders", "boot ids"]
    assert len(list(into.glob("*-r0-*/power.parquet"))) == 4
    assert not list(into.glob("*-r1-*/power.parquet"))
    assert not list(into.rglob("events.parquet"))


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = study_of_a_machine(tmp_path)
    (tmp_path / "there").mkdir()
    assert main(["publish", str(source), "--into", str(tmp_path / "there")]) == 2
    assert "there exists; choose another --into" in capsys.readouterr().err
    assert list((tmp_path / "there").iterdir()) == []
