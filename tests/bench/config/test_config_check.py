"""Every key of the configuration: a value of a wrong type and one out of range are refused in one line that names the key."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from omegaconf import OmegaConf

from bench.common.paths import CONF
from bench.common.user_error import UserError
from bench.config.config_check import read_run_config
from bench.config.config_field import check_value, default_of, kind_of, leaves, must_be, nullable, setting_of
from bench.config.config_json import to_json
from bench.config.config_reference import rows
from bench.config.run_config import RunConfig

KEYS = {key: field for key, field in leaves(RunConfig) if not setting_of(field).flat}
WRONG: dict[str, list[Any]] = {
    "int": ["abc", "16", 1.5, True, float("nan"), float("inf"), [1]],
    "float": ["abc", "0.1", True, float("nan"), float("inf"), [1.0]],
    "bool": ["maybe", "true", 1, [True]],
    "str": [True, [], {}, "", " "],
    "list": ["abc", 1, True, {}],
    "Any": [True, []],
}


def plain_with(key: str, value: Any) -> dict[str, Any]:
    """A configuration of defaults with one other value."""
    plain: dict[str, Any] = to_json(RunConfig())
    plain["model"]["spec"] = {}
    *blocks, name = key.split(".")
    place = plain
    for block in blocks:
        place = place[block]
    place[name] = value
    return plain


def wrong_types() -> list[tuple[str, Any]]:
    """Each key with each value that its type refuses, and null where it may not be null."""
    cases = []
    for key, field in KEYS.items():
        kind = kind_of(field)
        cases += [(key, value) for value in WRONG.get(kind, [5, "abc", True, [1]])]
        cases += [] if nullable(field) else [(key, None)]
    return cases


def wrong_ranges() -> list[tuple[str, Any]]:
    """Each key that has a range or choices, with values just outside."""
    cases: list[tuple[str, Any]] = []
    for key, field in KEYS.items():
        rule = setting_of(field)
        step = 1 if kind_of(field) == "int" else 1e-6
        cases += [] if rule.least is None else [(key, type(step)(rule.least) - step)]
        cases += [] if rule.above is None else [(key, type(step)(rule.above))]
        cases += [] if rule.most is None else [(key, rule.most + step)]
        cases += [] if rule.below is None else [(key, rule.below)]
        cases += [(key, ["somethng"] if kind_of(field) == "list" else "somethng")] if rule.choices else []
    return cases


@pytest.mark.parametrize(("key", "value"), wrong_types(), ids=lambda part: str(part))
def test_a_wrong_type_is_refused(key: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        read_run_config(plain_with(key, value))
    assert str(caught.value).startswith(f"{key}=")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("key", "value"), wrong_ranges(), ids=lambda part: str(part))
def test_a_wrong_range_is_refused(key: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        read_run_config(plain_with(key, value))
    assert str(caught.value).startswith(f"{key}=")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", KEYS)
def test_each_default_is_a_good_value_and_is_described(key: str) -> None:
    check_value(key, KEYS[key], default_of(KEYS[key]))
    assert setting_of(KEYS[key]).meaning
    assert must_be(KEYS[key])


def test_numbers_in_quotes_are_shown_as_such() -> None:
    with pytest.raises(UserError, match=r"^train\.batch='16' must be a whole number of at least 1$"):
        read_run_config(plain_with("train.batch", "16"))


def test_unknown_keys_and_blocks_that_are_none() -> None:
    with pytest.raises(UserError, match=r"^unknown key train\.bacth; did you mean train\.batch\?"):
        read_run_config({"train": {"bacth": 4}})
    with pytest.raises(UserError, match=r"^comm=5 must be a block of keys, such as comm\.wait=\.\.\.$"):
        read_run_config({"comm": 5})


def test_what_is_read_is_what_was_given() -> None:
    run = read_run_config({"train": {"batch": 4}, "strategy": {"name": "data", "zero": 1}, "study": 2024, "window_s": 5})
    assert (run.train.batch, run.strategy.options, run.study, run.window_s) == (4, {"zero": 1}, "2024", 5)
    assert read_run_config(to_json(run)) == run
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.train.batch = 5  # type: ignore[misc]


def test_the_reference_has_every_key() -> None:
    assert [row.key for row in rows()] == list(KEYS)


def test_the_file_of_defaults_has_those_of_the_classes() -> None:
    """conf/config.yaml is what users read and edit; help and reference say the defaults of the classes."""
    plain = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    assert isinstance(plain, dict)
    blocks = {key: value for key, value in plain.items() if key not in ("defaults", "hydra")}
    defaults = to_json(RunConfig())
    assert blocks == {key: defaults[key] for key in blocks}
    clusters = OmegaConf.to_container(OmegaConf.load(CONF / "launch/defaults.yaml"))
    assert clusters == {key: defaults["cluster"][key] for key in clusters}
    energy = OmegaConf.to_container(OmegaConf.load(CONF / "energy/auto.yaml"))
    assert energy == defaults["energy"]
