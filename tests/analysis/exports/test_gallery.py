"""The gallery can be made from the records that are committed beside it, and from those alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.exports.gallery import HERE
from analysis.rules.study_checks import refuse_mixed
from analysis.study.study import load_study
from bench.record.record_file import load_record
from tests.analysis.studies import full, write_study


def test_committed_records_are_whole_and_comparable() -> None:
    for folder in sorted((HERE / "records").iterdir()):
        study = load_study(folder)
        assert study.problems == ()
        assert refuse_mixed(study, allow=False) == []
        for record in study.records:
            assert record.folder is not None
            assert load_record(record.folder / "result.json").environment.published


def test_every_module_of_figures_is_shown() -> None:
    """What a report can draw, the gallery shows: by the names' beginnings, which the modules share with nobody."""
    text = (HERE / "gallery.yaml").read_text()
    titles = (HERE / "README.md").read_text()
    for word in (
        "energy_time", "energy_bars", "throughput_bars", "scaling", "participants", "topology", "links", "power_mode_",
        "sensitivity", "choice", "replication", "time_breakdown", "time_phases", "energy_breakdown", "power_modelled",
        "schedule", "peak_memory", "prediction", "traffic", "loss_energy", "accuracy_energy", "loss_step", "step_times",
        "timeline",
    ):  # fmt: skip
        assert f"figure: {word}" in text, word
    assert titles.count("\n## ") == text.count("figure:")
    for line in titles.splitlines():
        if line.startswith("!["):
            assert (HERE / line.partition("](")[2].rstrip(")")).exists(), line


def test_a_figure_of_emulated_boards_says_whether_their_time_was_dilated() -> None:
    """An out-of-memory record has no dilation, and does not make its study one without."""
    entries = (HERE / "README.md").read_text().split("\n## ")
    assert all("dilated time: " in entry for entry in entries if "From the study `case_study_" in entry)
    assert all("**Emulated without dilation**" in entry for entry in entries if "From the study `bandwidth`" in entry)
    assert not any("mulated with" in entry for entry in entries if "From the study `quickstart`" in entry)


@pytest.mark.slow
def test_a_small_gallery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures, captions and the study's command; a figure that is not there is named with those that are."""
    write_study(tmp_path / "records" / "four", full())
    (tmp_path / "gallery.yaml").write_text("- {figure: energy_time_modelled, study: four}\n")
    assert main(["gallery", str(tmp_path)]) == 0
    page = (tmp_path / "README.md").read_text()
    assert "![Energy against time](four-energy_time_modelled.png)" in page
    assert "energy is modelled" in page
    assert (tmp_path / "four-energy_time_modelled.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    (tmp_path / "gallery.yaml").write_text("- {figure: nonsense, study: four}\n")
    assert main(["gallery", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "four has no figure nonsense; it has accuracy_energy_modelled, energy_bars_modelled" in error
    (tmp_path / "gallery.yaml").write_text("figure: x\n")
    assert main(["gallery", str(tmp_path)]) == 2
    assert "must be a list of entries with figure: and study:" in capsys.readouterr().err
