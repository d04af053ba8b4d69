"""Colours, markers, hatches and order of strategies come from the strategies themselves; records may name others."""

from __future__ import annotations

from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from analysis.plotting.figure_style import colour, hatch, line_styles, marker
from analysis.study.strategy_appearance import appearance_of, place
from strategies.base import appearances, get
from strategies.common.appearance import Appearance


def test_a_strategy_looks_as_it_says() -> None:
    tensor = get("tensor").appearance
    assert isinstance(tensor, Appearance)
    assert (colour("tensor"), marker("tensor"), hatch("tensor")) == (tensor.colour, tensor.marker, tensor.hatch)
    assert line_styles(["tensor"])[0]["color"] == tensor.colour


def test_strategies_stand_in_the_order_that_they_say_and_others_last_by_name() -> None:
    names = ["zeta", "hybrid", "tensor", "alpha", "single", "data"]
    assert sorted(names, key=place) == ["single", "data", "tensor", "hybrid", "alpha", "zeta"]


def test_a_strategy_that_is_not_installed_has_the_same_look_everywhere() -> None:
    """The expected look is written down: it must not depend on the process, the study, or the other strategies in it."""
    look = appearance_of("ring_of_rings")
    assert look == appearance_of("ring_of_rings")
    assert (look.colour, look.marker, look.hatch, look.label) == EXPECTED
    known = appearances().values()
    assert look.colour not in {other.colour for other in known}
    assert look.marker not in {other.marker for other in known}
    assert look.hatch not in {other.hatch for other in known}
    assert len(to_rgb(look.colour)) == 3
    assert look.marker in Line2D.markers


EXPECTED = ("#AA4499", "X", "||", "ring_of_rings")
