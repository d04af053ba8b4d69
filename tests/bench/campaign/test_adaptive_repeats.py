"""What a campaign decides between its points: further repeats, their order, the time, the locks. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.campaign import duration_estimate, host_locks, point_order
from bench.campaign.adaptive_repeats import half_width, next_repeats, spread
from bench.campaign.campaign_settings import Settings
from bench.campaign.point_history import History, Result, duration_of, read_history, result_of
from bench.common.atomic_files import write_json
from bench.common.user_error import UserError
from bench.config.host_config import Host
from bench.config.point_config import PointConfig
from bench.config.testbed_config import Testbed as Boards  # pytest takes a class Test... for tests
from bench.record.record import Record
from tests.points import make_point
from tests.records import make_record


def point(code: str, **values: Any) -> PointConfig:
    """A resolved point of its own hash."""
    return make_point(hash=code, **values)


def results(*rates: float, joules: float | None = None) -> dict[tuple[str, int], Result]:
    return {("a", at): Result("ok", "ok", rate, joules or 10 / rate) for at, rate in enumerate(rates)}


def test_the_half_width_is_by_rank() -> None:
    """Six values: the whole range. Nine: the second to the eighth, so one value far off on each side does not count."""
    assert half_width([1.0] * 5) is None
    assert half_width([9.0, 9.5, 10.0, 10.0, 10.5, 11.0]) == pytest.approx(0.1)
    assert half_width([5.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 20.0]) == 0.0


def test_spreads_in_words() -> None:
    few = spread(list(results(10.0, 10.1).values()), ("time", "energy"))
    assert (few.n, str(few), few.reached(0.5)) == (2, "n=2 of at least 6", False)
    six = spread(list(results(9.0, 10.0, 10.0, 10.0, 10.0, 11.0).values()), ("time",))
    assert (str(six), six.reached(0.1), six.reached(0.09)) == ("time ±10 % (n=6)", True, False)
    failed = [*results(9.0).values(), Result("failed", "FAILED"), Result("invalid", "INVALID", 1.0, 1.0)]
    assert spread(failed, ("time",)).n == 1


ADAPTIVE = Settings(ci_target=0.025, max_repeats=8)


@pytest.mark.parametrize(
    ("history", "tried", "expected"),
    [
        (results(10.0, 10.0, 10.0), set(), {"a": 3}),  # below six repeats there is no interval
        (results(*[10.0] * 6), set(), {}),
        (results(*[10.0] * 5, 11.0), set(), {"a": 6}),
        (results(*[10.0] * 7, 11.0), set(), {}),  # eight: the range again, but max_repeats is reached
        ({("a", 0): Result("failed", ""), ("a", 1): Result("oom", "")}, set(), {}),  # none ok: it would fail again
        ({**results(10.0, 10.0, 10.0), ("a", 3): Result("failed", "")}, {("a", 3)}, {"a": 4}),
        ({**results(10.0, 10.0, 10.0), ("a", 3): Result("failed", "")}, set(), {"a": 3}),  # a campaign that goes on
        (results(*[10.0] * 5), set(), {"a": 5}),  # finished repeats count, whoever ran them
    ],
)
def test_which_points_need_more(history: History, tried: set[tuple[str, int]], expected: dict[str, int]) -> None:
    assert next_repeats({"a": 3}, history, tried, ADAPTIVE) == expected
    assert next_repeats({"a": 3}, history, tried, Settings()) == {}


def test_both_quantities_must_reach_their_target() -> None:
    history = results(*[10.0] * 6)
    history["a", 0] = Result("ok", "ok", 10.0, 1.5)
    assert next_repeats({"a": 3}, history, set(), ADAPTIVE) == {"a": 6}
    assert next_repeats({"a": 3}, history, set(), Settings(ci_target=0.025, target=("time",))) == {}


def test_further_blocks_are_shuffled_and_counted_on() -> None:
    points = {code: point(code) for code in "abcdef"}
    blocks = [point_order.further(points, dict.fromkeys("abcdef", 3), Path("r"), 1, block, 18) for block in (0, 1)]
    assert [p.order for p in blocks[0]] == list(range(18, 24))
    assert all(sorted(p.hash for p in block) == list("abcdef") for block in blocks)
    assert [p.hash for p in blocks[0]] != [p.hash for p in blocks[1]]
    assert blocks[0][0].point.startswith("s-n1-m-t-r3-")


# records and time


def timed(seconds: int, status: str = "ok") -> dict[str, Any]:
    record = make_record(status=status, reason=None if status == "ok" else "why")
    record["environment"].update(started="2026-01-01T10:00:00+00:00", finished=f"2026-01-01T10:00:{seconds:02}+00:00")
    return record


def test_what_is_known_of_a_record(tmp_path: Path) -> None:
    found = result_of(Record.from_dict(timed(40)))
    assert (found.finished, found.seconds, found.samples_per_s) == (True, 45.0, pytest.approx(38.0, rel=0.05))
    assert duration_of(Record.from_dict(timed(40, "failed"))) is None
    assert duration_of(Record.from_dict(make_record())) is None
    assert result_of(Record.from_dict(timed(40, "failed"))).samples_per_s is None
    named = point_order.expand([point("a")], [2], tmp_path, 0)
    write_json(named[1].folder / "result.json", timed(40))
    named[0].folder.mkdir()
    (named[0].folder / "result.json").write_text('{"half')
    assert list(read_history([point("a")], 2, tmp_path)) == [("a", named[1].repeat)]
    assert duration_estimate.of_studies(named) == [45.0]


def test_the_estimate_says_what_it_is_from() -> None:
    todo = [point("a"), point("b"), point("c", train={"steps": 50})]
    history = {("a", 0): Result("ok", "", 1.0, 1.0, 40.0), ("a", 1): Result("ok", "", 1.0, 1.0, 60.0)}
    assert (
        duration_estimate.estimate(todo[:1], history, [999.0])
        == "time: about 50 s for 1 points: 1 by records of the same configuration"
    )
    assert duration_estimate.estimate(todo[:2], history, [10.0, 30.0, 20.0]) == (
        "time: about 70 s for 2 points: 1 by records of the same configuration; 1 by the median of the study's 3 records"
    )
    assert duration_estimate.estimate(todo, {}, []) == (
        "time: about 2 min for 3 points: 3 by settings (start and warm-up 20 s, 2 x idle_s, window_s); the given train.steps "
        "take longer than that"
    )
    assert duration_estimate.estimate([], history, []) == "time: all points are finished"


# locks


def test_one_machine_has_one_lock() -> None:
    def cluster(*addresses: str, **more: Any) -> PointConfig:
        return make_point(cluster={"name": "c", "hosts": [Host(address).to_dict() for address in addresses], **more})

    assert host_locks.hosts_of([cluster("localhost"), cluster("127.0.0.1"), cluster("pi@localhost")]) == {"localhost": "c"}
    assert list(host_locks.hosts_of([cluster("192.0.2.7", "192.0.2.8"), cluster("192.0.2.7")])) == ["192.0.2.7", "192.0.2.8"]
    boards = Boards("x", "10.77.2.0/24", (), None, 1, None).to_dict()
    assert list(host_locks.hosts_of([cluster("10.77.2.1", emulated=boards)])) == ["localhost"]


def test_the_folder_of_locks_can_be_given(tmp_path: Path) -> None:
    assert host_locks.lock_folder({"EDGEJOULE_LOCKS": str(tmp_path)}) == tmp_path
    assert host_locks.lock_folder({}).name in ("edgejoule", "edgejoule-locks")
    (tmp_path / "file").write_text("")
    one = make_point(study="s")
    with pytest.raises(UserError, match="campaigns cannot be locked in"), host_locks.Locks([one], tmp_path / "file"):
        pass
