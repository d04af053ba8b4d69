"""The figure to explore with: what each list shows, works apart, one file that needs nothing else."""

from __future__ import annotations

import builtins
import re
from pathlib import Path
from typing import Any

import pytest

from analysis.page.interactive_figure import explore_figure, write_explore
from analysis.study.study import Study
from bench.common.user_error import UserError
from tests.analysis.studies import full, study_of
from tests.records import make_record

graph_objects = pytest.importorskip("plotly.graph_objects", reason="plotly is an extra")


def study(records: list[dict[str, Any]], name: str = "s") -> Study:
    return study_of(name, Path("results/s"), records, [])


@pytest.fixture(scope="module")
def mixed() -> Study:
    """Modelled and measured energy, and another model."""
    other = {"model": "gpt2-mini", "task": "lm"}
    return study([*full(2), *full(1, kind="measured"), make_record("data", point=other)])


def test_works_are_never_shown_together(mixed: Study) -> None:
    """One trace for each strategy of each work; a choice shows those of one work and says which, and its kind of energy."""
    figure = explore_figure(mixed, graph_objects)
    assert sorted(trace.name for trace in figure.data) == sorted([*["single", "data", "tensor", "pipeline"] * 2, "data"])
    (_, _, works) = figure.layout.updatemenus
    shown = [list(button.args[0]["visible"]) for button in works.buttons]
    assert [sum(column) for column in zip(*shown, strict=True)] == [1] * 9
    assert [trace.visible for trace in figure.data] == shown[0]
    assert sorted(button.label for button in works.buttons) == [
        "gpt2-mini, lm: energy modelled", "minilm, reviews: energy measured", "minilm, reviews: energy modelled",
    ]  # fmt: skip
    assert [button.args[1]["title.text"] for button in works.buttons] == [button.label for button in works.buttons]


def test_lists_put_a_quantity_of_every_trace_on_an_axis(mixed: Study) -> None:
    figure = explore_figure(mixed, graph_objects)
    across, up, _ = figure.layout.updatemenus
    assert across.buttons[across.active].args[1] == {"xaxis.title.text": "Throughput (samples/s)"}
    assert up.buttons[up.active].args[1] == {"yaxis.title.text": "Energy per sample (J)"}
    (power,) = [button for button in up.buttons if button.label == "y: Power (W)"]
    points = mixed.points
    first = points[(points["kind"] == points["kind"].iloc[0]) & (points["model"] == points["model"].iloc[0])]
    own = first[first["strategy"] == figure.data[0].name]
    assert list(power.args[0]["y"][0]) == own["power_W"].tolist()
    assert len(power.args[0]["y"]) == len(figure.data)
    assert list(figure.data[0].y) == own["per_sample_J"].tolist()


def test_hovering_tells_label_repeat_and_factors() -> None:
    record = make_record("pipeline", 1, point={"options": {"schedule": "1f1b"}, "hosts": ["<pi>-1", "pi-2"]})
    (trace,) = explore_figure(study([record]), graph_objects).data
    (text,) = trace.text
    for words in ("<b>pipeline n=2</b>", "repeat 1, energy modelled", "schedule=1f1b", "batch=32", "hosts=&lt;pi&gt;-1,pi-2",
                  "Energy per sample (J): "):  # fmt: skip
        assert words in text
    assert "seed=0" in text
    assert "hash" not in text


def test_without_energy_steps_are_shown() -> None:
    figure = explore_figure(study(full(1, kind="none")), graph_objects)
    assert figure.layout.yaxis.title.text == "Time of a step (s)"
    assert "Energy per sample (J)" not in {button.label for button in figure.layout.updatemenus[1].buttons}
    assert figure.layout.title.text == "minilm, reviews: no energy"


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    write_explore(study(full(1), name="a <b> & c"), tmp_path / "explore.html")
    text = (tmp_path / "explore.html").read_text()
    assert '<html lang="en">' in text[:60]
    assert "<title>EdgeJoule: explore a &lt;b&gt; &amp; c</title>" in text
    assert len(text) > 3_000_000
    assert re.findall(r"<(?:script|link)[^>]*(?:src|href)=", text) == []


def test_without_plotly_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("plotly"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'edgejoule\[explore\]'"):
        write_explore(study(full(1)), tmp_path / "explore.html")
    assert not (tmp_path / "explore.html").exists()


def test_nothing_to_explore(tmp_path: Path) -> None:
    bad = study([make_record("data", status="failed", reason="exit code 1")])
    with pytest.raises(UserError, match="no valid point"):
        write_explore(bad, tmp_path / "explore.html")
