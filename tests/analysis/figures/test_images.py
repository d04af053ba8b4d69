"""Figures of made records as pictures: nothing moves that nobody moved, and the same records give the same bytes.

A change that is meant renews the pictures: ``python -m tests.analysis.figures.test_images renew``. Look at them
before you commit them.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.testing.compare import compare_images
from PIL import Image

from analysis.figures import (
    breakdown,
    energy_time,
    failure_timeline,
    learning_curves,
    peak_memory,
    power_over_time,
    predicted_measured,
    schedule_gantt,
    step_time_spread,
    traffic_bars,
)
from analysis.plotting import figure_style
from analysis.plotting.figure_style import DrawnFigure, close, drawing
from analysis.plotting.page_layouts import IEEE
from analysis.study.strategy_appearance import appearance_of
from analysis.study.study import Study, load_study
from strategies.common.appearance import Appearance
from tests.analysis.made_studies import failing_record, paper_study, rich_record, with_traces
from tests.project import ROOT

pytestmark = pytest.mark.slow

IMAGES = Path(__file__).with_name("images")
DPI = 100
TOLERANCE = 1.0
"""Root mean square of the difference over all pixels, of 255. One version of matplotlib brings its own FreeType and gives 0;
processors may differ in the last bit of a place, which changes the grey of a few edges, far below 1. Another marker or colour
of one strategy gives 2.3 and more, one more dot in the label of an axis 5 and more."""

FOUR = ("single", "data", "tensor", "pipeline")
FIGURES: dict[str, tuple[str, Callable[..., list[DrawnFigure]]]] = {
    "energy_time_modelled": ("four", energy_time.draw),
    "energy_time_modelled_gpt2_mini_lm": ("paper", energy_time.draw),
    "time_phases": ("four", breakdown.draw_time),
    "peak_memory": ("four", peak_memory.draw),
    "traffic": ("four", traffic_bars.draw),
    "loss_energy_modelled": ("four", learning_curves.draw_loss),
    "step_times": ("four", step_time_spread.draw),
    "power_modelled": ("four", power_over_time.draw),
    "schedule_interleaved_pipemode": ("four", schedule_gantt.draw),
    "prediction": ("four", predicted_measured.draw),
    "failure_timeline_modelled": ("failing", failure_timeline.draw),
}


def made(which: str, folder: Path) -> Study:
    if which == "paper":
        return load_study(with_traces(folder, paper_study()))
    if which == "failing":
        return load_study(with_traces(folder, [failing_record(strategy) for strategy in ("data", "pipeline")]))
    records = [rich_record(strategy, repeat) for repeat in range(3) for strategy in FOUR]
    lost = rich_record("data", status="oom", reason="out of memory on rank 3", ranks=4)
    return load_study(with_traces(folder, [*records, lost]))


@contextmanager
def figure(name: str, folder: Path) -> Iterator[DrawnFigure]:
    which, draw = FIGURES[name]
    found = {drawn.name: drawn for drawn in draw(made(which, folder), IEEE)}
    try:
        with drawing(IEEE):
            yield found[name]
    finally:
        for drawn in found.values():
            close(drawn)


@pytest.mark.parametrize("name", FIGURES)
def test_figures_look_as_they_did(name: str, tmp_path: Path) -> None:
    expected = IMAGES / f"{name}.png"
    with Image.open(expected) as image:
        made_with = image.info["made with"]
    if made_with != matplotlib.__version__:
        pytest.skip(f"the picture was made with matplotlib {made_with}, which breaks text otherwise than this one")
    with figure(name, tmp_path / "study") as drawn:
        _save(drawn, tmp_path / expected.name)
    difference = compare_images(str(expected), str(tmp_path / expected.name), tol=TOLERANCE)
    assert difference is None, difference


def test_a_small_difference_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest that matters: another marker for one strategy, in a figure with few of them."""

    def mistaken(strategy: str) -> Appearance:
        look = appearance_of(strategy)
        return replace(look, marker="o") if strategy == "tensor" else look

    monkeypatch.setattr(figure_style, "appearance_of", mistaken)
    with figure("prediction", tmp_path / "study") as drawn:
        _save(drawn, tmp_path / "other.png")
    assert compare_images(str(IMAGES / "prediction.png"), str(tmp_path / "other.png"), tol=TOLERANCE) is not None


@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_the_same_records_give_the_same_bytes(kind: str, tmp_path: Path) -> None:
    """Also in another process, whose sets have another order."""
    script = [sys.executable, "-m", "tests.analysis.figures.test_images", "digest", kind]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    other = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert digests(kind, tmp_path) == other.stdout.splitlines()


def digests(kind: str, folder: Path) -> list[str]:
    found = []
    for name in FIGURES:
        with figure(name, folder / name) as drawn:
            buffer = io.BytesIO()
            dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
            drawn.figure.savefig(buffer, format=kind, metadata=dates[kind])
            found.append(f"{name} {hashlib.sha256(buffer.getvalue()).hexdigest()}")
    return found


def _save(drawn: DrawnFigure, path: Path) -> None:
    drawn.figure.savefig(path, dpi=DPI, metadata={"Software": None, "made with": matplotlib.__version__})


def main(words: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        if words == ["renew"]:
            IMAGES.mkdir(exist_ok=True)
            for name in FIGURES:
                with figure(name, Path(folder) / name) as drawn:
                    _save(drawn, IMAGES / f"{name}.png")
        elif words[:1] == ["digest"] and words[1:] in (["svg"], ["pdf"]):
            print("\n".join(digests(words[1], Path(folder))))
        else:
            print("usage: python -m tests.analysis.figures.test_images renew", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
