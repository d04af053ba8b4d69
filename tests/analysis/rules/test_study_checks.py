"""Checks of a whole study: what is the same in all points, what is missing, and what must not be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.rules.study_checks import refuse_mixed, study_checks
from analysis.study.study import Study, load_study
from bench.common.atomic_files import write_json
from bench.common.user_error import UserError
from tests.analysis.studies import full, study_of, write_study
from tests.records import make_record

COMMIT = "1111aaaa" * 5


def hosted(
    strategy: str = "data", repeat: int = 0, code: str | None = "c0de", commit: str = COMMIT, **changes: Any
) -> dict[str, Any]:
    """A record of two hosts. ``code``: what they ran; ``changes`` go into the environment, ``host_...`` into each host."""
    made = {key: changes.pop(key) for key in ("kind", "status", "reason", "smoke", "point") if key in changes}
    record = make_record(strategy, repeat, **made)
    hosts = [
        {"host": f"pi-{n}", "board": "raspberry-pi-4", "cpu": "A72", "cores": 4, "memory_bytes": 4 << 30, "code_hash": code}
        for n in (1, 2)
    ]
    for key in [key for key in changes if key.startswith("host_")]:
        value = changes.pop(key)
        for host in hosts:
            host[key.removeprefix("host_")] = value
    environment = {"git": {"commit": commit, "dirty": False}, "packages": {"torch": "2.9"}, "hosts": hosts, **changes}
    return {**record, "environment": {**record["environment"], **environment}}


def study(*records: dict[str, Any], problems: tuple[str, ...] = ()) -> Study:
    return study_of("s", Path("s"), list(records), list(problems))


def check(found: Study, name: str) -> tuple[str, str]:
    return next((own.status, own.detail) for own in study_checks(found) if own.name == name)


def test_a_good_study_passes_everything() -> None:
    found = study(*(hosted(strategy, repeat) for strategy in ("single", "data") for repeat in range(6)))
    statuses = {own.name: own.status for own in study_checks(found)}
    assert statuses == dict.fromkeys(
        (
            *("every record can be read", "every point finished", "same code in all points", "same software in all points"),
            *("same hosts in all points", "repeats are complete", "repeats agree", "no smoke runs", "one kind of energy"),
        ),
        "passed",
    )
    assert check(found, "same hosts in all points")[1] == "2 x A72, 4 cores, 4 GiB"
    assert refuse_mixed(found, allow=False) == []


def test_another_code_is_refused_with_its_points() -> None:
    found = study(hosted("data", 0), hosted("data", 1), hosted("single", 0, code="beef"))
    with pytest.raises(UserError) as caught:
        refuse_mixed(found, allow=False)
    words = str(caught.value)
    assert "minilm, reviews, energy modelled: code c0de (2 points: data-n2-minilm-reviews-r0-datamode," in words
    assert "against beef (1 point: single-n1-minilm-reviews-r0-singmode)" in words
    assert "--allow-mixed" in words
    assert "results/STUDY@COMMIT" in words
    assert "\n" not in words
    assert len(refuse_mixed(found, allow=True)) == 1
    assert check(found, "same code in all points")[0] == "failed"


def test_another_commit_with_the_same_code_is_the_same_code() -> None:
    """What the ranks import decides: a commit to the documentation changes nothing."""
    found = study(hosted("data", 0), hosted("single", 0, commit="2222bbbb" * 5))
    assert refuse_mixed(found, allow=False) == []
    assert check(found, "same code in all points") == ("passed", "code c0de")


def test_without_contents_the_commit_decides() -> None:
    """Of records of an older version; also where only some tell their contents."""
    found = study(hosted("data", 0, code=None), hosted("single", 0, commit="2222bbbb" * 5))
    with pytest.raises(UserError, match=r"code commit 1111aaaa1111 .* against commit 2222bbbb2222 "):
        refuse_mixed(found, allow=False)
    changed = [hosted("data", r, code=None, git={"commit": COMMIT, "dirty": True}) for r in (0, 1)]
    assert check(study(*changed), "same code in all points") == (
        "warned",
        "code commit 1111aaaa1111 with changes: whether the changes were the same cannot be told",
    )
    nothing = study(hosted("data", 0, code=None, git={"commit": None, "dirty": None}))
    assert check(nothing, "same code in all points")[0] == "skipped"


def test_another_version_of_a_package_is_refused() -> None:
    found = study(hosted("data", 0), hosted("single", 0, packages={"torch": "2.10"}))
    with pytest.raises(UserError, match=r"torch 2\.9 .* against 2\.10 "):
        refuse_mixed(found, allow=False)
    assert check(found, "same software in all points")[0] == "failed"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"host_cores": 2}, False),
        ({"host_cpu": "A76"}, False),
        ({"host_memory_bytes": 8 << 30}, False),
        ({"host_memory_bytes": int(4.05 * 2**30)}, True),
        ({"host_cores": 2, "point": {"power_mode": "5W"}}, True),
        ({"host_cores": 2, "point": {"cluster": "another"}}, True),
        ({"host_cpu": "A76", "host_board": "raspberry-pi-5"}, True),
    ],
)
def test_a_host_must_stay_what_it_was(change: dict[str, Any], same: bool) -> None:
    """The same name in another cluster, power mode or board class is a factor; 1 % of memory is the kernel's own."""
    found = study(hosted("data", 0), hosted("single", 0, **change))
    if same:
        assert refuse_mixed(found, allow=False) == []
    else:
        with pytest.raises(UserError, match=r"host pi-1 of local as raspberry-pi-4 A72, 4 cores, 4 GiB .* against "):
            refuse_mixed(found, allow=False)
        assert check(found, "same hosts in all points")[0] == "failed"


def test_what_is_not_compared_may_differ() -> None:
    """Measured and modelled, or two models: drawn apart, so other code is told and not refused. Neither do points count whose
    numbers do not."""
    apart = study(hosted("data", 0, kind="measured"), hosted("data", 0, kind="modelled", code="beef"))
    assert refuse_mixed(apart, allow=False) == []
    status, detail = check(apart, "same code in all points")
    assert status == "warned"
    assert detail.startswith("in points that are not compared: code c0de")
    assert check(apart, "one kind of energy") == (
        "warned",
        "1 point measured, at board; 1 point modelled, at board by modelled",
    )
    failed = study(hosted("data", 0), hosted("tensor", 0, code="beef", status="failed", reason="no route"))
    assert refuse_mixed(failed, allow=False) == []


def test_energies_from_two_places_are_not_one_kind() -> None:
    records = [hosted("data", r, kind="measured") for r in (0, 1)]
    records[1]["energy"]["coverage"]["levels"] = ["wall"]
    assert check(study(*records), "one kind of energy") == ("failed", "1 point measured, at board; 1 point measured, at wall")
    models = [hosted("data", r) for r in (0, 1)]
    models[1]["energy"]["source"] = "tdp"
    assert check(study(*models), "one kind of energy")[0] == "failed"
    assert check(study(hosted(kind="none")), "one kind of energy")[0] == "skipped"


def test_points_that_did_not_finish_are_counted_and_named() -> None:
    found = study(
        hosted("data", 0),
        hosted("tensor", 0, status="oom", reason="memory"),
        hosted("pipeline", 0, status="timeout", reason="600 s"),
    )
    assert check(found, "every point finished") == (
        "failed",
        "3 points: 1 ok, 1 oom, 1 timeout; pipeline-n2-minilm-reviews-r0-pipemode timeout: 600 s",
    )
    assert check(study(hosted("tensor", 0, status="oom", reason="memory")), "every point finished")[0] == "passed"


def test_a_repeat_that_is_gone_is_missed() -> None:
    assert check(study(hosted(repeat=0), hosted(repeat=3)), "repeats are complete") == ("failed", "data n=2 lacks repeat 1, 2")
    fewer = study(hosted(repeat=0), hosted(repeat=1), hosted("single", repeat=0))
    assert check(fewer, "repeats are complete") == ("warned", "single has 1 of 2")
    ended = study(hosted(repeat=0), hosted(repeat=1), hosted("single", 0), hosted("single", 1, status="failed", reason="x"))
    assert check(ended, "repeats are complete") == ("warned", "single has 1 of 2")


def test_repeats_agree_by_their_interval_or_range() -> None:
    """Windows of repeats 0 and 1 are as 0.99833 to 1.02, which is 1.07 % around their middle; 0 and 20 as 1 to 1.4: 16.7 %."""
    near = study(hosted(repeat=0), hosted(repeat=1))
    status, detail = check(near, "repeats agree")
    assert (status, "±1.1 %" in detail) == ("passed", True)
    far = study(hosted(repeat=0), hosted(repeat=20), hosted("single", 0))
    status, detail = check(far, "repeats agree")
    assert status == "warned"
    assert "data n=2 per_sample_J ±16.7 % (n = 2, energy modelled)" in detail
    assert check(study(hosted()), "repeats agree")[0] == "skipped"


def test_smoke_runs_and_broken_records_are_told() -> None:
    found = study(hosted(smoke=True), hosted("single", 0), problems=("s/half/result.json is not a whole record",))
    assert check(found, "no smoke runs") == ("warned", "1 of 2 points are smoke runs: too short for conclusions")
    assert check(found, "every record can be read") == ("failed", "s/half/result.json is not a whole record")


def test_a_study_without_valid_points_is_checked_too() -> None:
    found = study(hosted(status="failed", reason="no route"))
    statuses = {own.name: own.status for own in study_checks(found)}
    assert statuses["every point finished"] == "failed"
    assert {statuses[name] for name in statuses if name.startswith("same")} == {"skipped"}
    assert refuse_mixed(found, allow=False) == []


def test_a_searched_study_says_how_much_was_not_tried(tmp_path: Path) -> None:
    """Without the sentence a reader takes what is missing for something that was run and is worse."""
    folder = write_study(tmp_path / "s", full(1))
    assert all(check.name != "all combinations ran" for check in study_checks(load_study(folder)))
    choices = [{"values": {}, "why": "", "point": point, "hash": None, "refused": None} for point in ("a", "b", None)]
    log = {"schema": "edgejoule.search/1", "sampler": "gp", "budget": 2, "seed": 0, "objectives": ["step_s", "sample_J"]}
    write_json(folder / "search.json", {**log, "combinations": 48, "choices": choices})
    check = study_checks(load_study(folder))[-1]
    assert (check.name, check.status) == ("all combinations ran", "warned")
    assert "2 combinations of 48 chosen by the sampler gp (budget 2, seed 0, for step_s and sample_J)" in check.detail
    assert "1 cannot run, 45 were not tried" in check.detail
    (folder / "search.json").write_text('{"half')
    with pytest.raises(UserError, match=r"search\.json cannot be read"):
        study_checks(load_study(folder))
