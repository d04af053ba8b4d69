"""The probe for printing finds what is wrong, and every figure of every layout passes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures import FIGURES
from analysis.records import load_study
from analysis.style import LAYOUTS, close
from tests.analysis.print_ready import assert_print_ready, overlaps
from tests.analysis.studies import full, write_study


def test_the_probe_sees_what_is_wrong() -> None:
    """Texts on each other, beyond the edge, and a legend on the data are found; a clean figure has none."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(3.5, 2.6), layout="constrained")
    axes.plot([0, 1], [0, 1], label="line")
    assert overlaps(figure) == []
    first = axes.text(0.5, 0.5, "one")
    axes.text(0.5, 0.5, "two")
    axes.text(1.5, 0.5, "far outside of it")
    axes.legend()
    figure.draw_without_rendering()
    found = overlaps(figure)
    assert any("'one' on 'two'" in line for line in found)
    assert any("cut off" in line for line in found)
    assert "a legend lies on the data" in found
    first.set_visible(False)
    assert not any("'one'" in line for line in overlaps(figure))
    plt.close(figure)


@pytest.mark.parametrize("name", LAYOUTS)
def test_figures_of_every_layout_are_ready(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    study = load_study(write_study(tmp_path / "study", full()))
    for draw in FIGURES:
        for figure in draw(study, layout):
            assert_print_ready(figure, layout, unitless=("Training loss", "Optimizer step", "Validation accuracy"))
            close(figure)
