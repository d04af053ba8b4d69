"""Between what was measured, and which points a profile speaks of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.common.user_error import UserError
from bench.prediction.cluster_profile import Curve, Profile, all_reduce_s
from tests.bench.prediction import made_profiles as made

CURVE = Curve("block", 1, (1, 2, 8), (0.1, 0.2, 1.4), (0.3, 0.6, 4.2))


@pytest.mark.parametrize(
    ("samples", "seconds"),
    [(0, 0.0), (0.5, 0.05), (1, 0.1), (2, 0.2), (5, 0.8), (8, 1.4), (10, 1.8)],
)
def test_a_curve_between_below_and_beyond_its_sizes(samples: float, seconds: float) -> None:
    assert CURVE.at(samples, forward=True) == pytest.approx(seconds)
    assert CURVE.at(samples, forward=False) == pytest.approx(3 * seconds)


def test_a_curve_never_falls_beyond_its_sizes() -> None:
    """Noise may make a larger size look faster."""
    assert Curve("block", 1, (1, 2), (0.2, 0.1), (0.2, 0.1)).at(4, forward=True) == pytest.approx(0.1)


def test_one_size_alone_is_a_rate() -> None:
    assert Curve("block", 1, (4,), (0.4,), (0.8,)).at(6, forward=False) == pytest.approx(1.2)


@pytest.mark.parametrize(("share", "seconds"), [(1.0, 0.08), (0.5, 0.04), (0.75, 0.06), (0.25, 0.02)])
def test_shares_of_heads_between_those_measured(share: float, seconds: float) -> None:
    assert made.host("pi-1").seconds("block", 8, share, forward=True) == pytest.approx(seconds)


def test_the_ring_goes_at_the_pace_of_its_slowest_link() -> None:
    found = made.profile([made.host(name) for name in ("a", "b", "c")])
    slow = tuple(link if {link.one, link.other} != {"a", "c"} else type(link)("a", "c", 5e-3, 4e8, 1e8) for link in found.links)
    found = made.profile(found.hosts, links=slow)
    assert found.ring(["a", "b"]) == (1e-3, 1e8)
    assert found.ring(["a", "b", "c"]) == (5e-3, 1e8 / 8)  # it closes from c to a, at 100 Mbit/s
    assert found.ring(["c", "b", "a"]) == (5e-3, 4e8 / 8)  # and from a to c


def test_all_reduces_are_as_much_slower_as_those_measured() -> None:
    """Two ranks, 1 MB, 1 ms and 100 MB/s: 2 x 1 ms + 10 ms by the ring."""
    assert all_reduce_s("ring", 1e6, 2, 1e-3, 1e8) == pytest.approx(0.012)
    assert all_reduce_s("recursive_doubling", 1e6, 4, 1e-3, 1e8) == pytest.approx(2 * 0.011)
    assert all_reduce_s("mpi", 1e6, 4, 1e-3, 1e8) == pytest.approx(min(0.021, 0.022))
    found = made.profile([made.host("a"), made.host("b")], all_reduce={"ring": [(1_000, 0.00402), (1_000_000, 0.036)]})
    assert found.factor("ring", 1_000) == pytest.approx(2.0)
    assert found.factor("ring", 1e9) == pytest.approx(3.0)
    assert 2.0 < found.factor("ring", 30_000) < 3.0
    assert found.factor("mpi", 1_000) == 1.0


def test_a_profile_as_a_file_is_the_same(tmp_path: Path) -> None:
    overrides = made.cluster(tmp_path, 1.0, 2.0)
    path = made.written(tmp_path, overrides, (1.0, 2.0))
    again = Profile.from_dict(json.loads(path.read_text()))
    assert again.hosts == (made.host("pi-1", "raspberry-pi-4"), made.host("pi-2", "raspberry-pi-5", 2.0))
    assert json.loads(json.dumps(again.to_dict())) == json.loads(path.read_text())


def test_an_unknown_link_says_how_to_measure_it() -> None:
    with pytest.raises(UserError, match=r"no link from pi-1 to pi-9; measure it: python -m bench\.planner profile"):
        made.profile([made.host("pi-1")]).link("pi-1", "pi-9")


def test_files_that_are_none(tmp_path: Path) -> None:
    overrides = made.cluster(tmp_path, 1.0, 2.0)
    path = made.written(tmp_path, overrides, (1.0, 2.0))
    values = json.loads(path.read_text())
    for text, message in (
        ("not json", r"is no edgejoule\.profile/1 \(not JSON\); make one: python -m bench\.planner profile"),
        ("{}", r"is no edgejoule\.profile/1 \(no schema\)"),
        (json.dumps({**values, "schema": "edgejoule.profile/9"}), r"is no edgejoule\.profile/1 \(edgejoule\.profile/9\)"),
        (json.dumps({key: value for key, value in values.items() if key != "links"}), r"is incomplete \(KeyError: 'links'\)"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message) as caught:
            made.resolved(tmp_path, *overrides, f"planner.profile={path}")
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"planner\.profile=/no/file cannot be read \(No such file or directory\); make one: "):
        made.resolved(tmp_path, *overrides, "planner.profile=/no/file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["train.seq=32"], r"is of seq=64, and the point has 32; make one for it"),
        (["model=llama-tiny"], r"is of model=gpt2-tiny, and the point has llama-tiny"),
        (["train.dtype=float64"], r"is of dtype=float32, and the point has float64"),
        (["threads=2"], r"is of threads=None, and the point has 2"),
        (["planner.split=planed"], r"planner\.split=planed is unknown; use even or planned; did you mean planned\?"),
        (["planner.split=planned", "planner.profile=null"], r"planner\.split=planned needs planner\.profile=auto, or a file"),
    ],
)
def test_points_of_which_it_does_not_speak(changes: list[str], message: str, tmp_path: Path) -> None:
    overrides = made.cluster(tmp_path, 1.0, 2.0)
    path = made.written(tmp_path, overrides, (1.0, 2.0))
    with pytest.raises(UserError, match=message) as caught:
        made.resolved(tmp_path, *overrides, f"planner.profile={path}", *changes)
    assert "\n" not in str(caught.value)


def test_a_host_that_it_does_not_know(tmp_path: Path) -> None:
    path = made.written(tmp_path, made.cluster(tmp_path, 1.0, 2.0), (1.0, 2.0))
    with pytest.raises(UserError, match=r"has no host pi-3; make one for it"):
        made.resolved(tmp_path, *made.cluster(tmp_path, 1.0, 2.0, 2.0), f"planner.profile={path}")
    with pytest.raises(UserError, match=r"has pi-2 as raspberry-pi-5 with 1 slots, and the point as raspberry-pi-4 with"):
        made.resolved(tmp_path, *made.cluster(tmp_path, 1.0, 1.0), f"planner.profile={path}")
