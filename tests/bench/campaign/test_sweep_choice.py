"""Which combinations of a sweep a campaign runs, and what it takes as settings: zip, exclude, matrix. Pure."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from bench.campaign import zipped_keys
from bench.campaign.campaign_settings import Settings, settings_of, zip_groups
from bench.campaign.exclude import excluded_by, values_of
from bench.campaign.sweep_matrix import factors, matrix
from bench.common.user_error import UserError

BLOCK = {
    "fail_fast": False, "time_limit_s": None, "ci_target": None, "max_repeats": 20, "target": ["time", "energy"], "exclude": [],
    "zip": [],
}  # fmt: skip


def plain(strategy: str = "data", ranks: int = 2, batch: int = 16, repeats: int = 3, **block: Any) -> dict[str, Any]:
    """A composed configuration, as far as campaigns look at it."""
    options = {"wire": "float32", "zero": 0} if strategy == "data" else {}
    return {
        "strategy": {"name": strategy, **options}, "model": {"name": "gpt2-tiny", "spec": {"layers": 4}},
        "task": {"name": "lm"}, "cluster": {"name": "local"}, "energy": {"source": "auto", "meters": {}}, "ranks": ranks,
        "threads": None, "mesh": {"pipeline": None}, "train": {"batch": batch, "steps": None, "recompute": "none"},
        "smoke": False, "repeats": repeats, "campaign": {**BLOCK, **block},
    }  # fmt: skip


# zip


def swept(*words: str) -> tuple[dict[str, list[str]], list[list[str]]]:
    """The sweep by our reading, and the product by Hydra's."""
    parsed = OverridesParser.create().parse_overrides(list(words))
    return zipped_keys.sweep_of(parsed), BasicSweeper.split_arguments(parsed, None)[0]


def test_positions_follow_from_the_number_in_hydras_product() -> None:
    sweep, product = swept("a=1,2,2", "fixed=7", "b=range(0,2)", "c='x y',[1,2],{k: 3}", "a=3,4,4")
    assert len(product) == 18
    for number, words in enumerate(product):
        at = zipped_keys.positions(sweep, number)
        assert [word.split("=", 1)[1] for word in words] == [values[at[key]] for key, values in sweep.items()]


def test_zipped_keys_go_together_and_the_rest_stays_a_product() -> None:
    """Also where values repeat, which is what ranks=1,2,4 batch=8,8,16 needs."""
    sweep, product = swept("ranks=1,2,4", "strategy=data,tensor", "train.batch=8,8,16")
    kept = zipped_keys.chosen(product, 0, sweep, [("ranks", "train.batch")])
    pairs = [("1", "8"), ("2", "8"), ("4", "16")]
    expected = [(r, s, b) for (r, b), s in itertools.product(pairs, ("data", "tensor"))]
    assert sorted(tuple(w.split("=")[1] for w in words) for words in kept) == sorted(expected)
    assert zipped_keys.chosen(product, 0, sweep, []) == product  # no group pairs nothing
    halves = [zipped_keys.chosen(product[at : at + 9], at, sweep, [("ranks", "train.batch")]) for at in (0, 9)]
    assert halves[0] + halves[1] == kept  # Hydra may hand the product out in batches


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (("a", "c"), "campaign.zip needs as many values of each key: a has 2, c has 3; give lists of equal length"),
        (("a", "bb"), "campaign.zip names bb, which is not swept; give it values, as in -m bb=A,B; did you mean b?"),
    ],
)
def test_what_cannot_be_zipped(group: tuple[str, ...], message: str) -> None:
    sweep, product = swept("a=1,2", "b=3,4", "c=5,6,7")
    with pytest.raises(UserError) as error:
        zipped_keys.chosen(product, 0, sweep, [group])
    assert str(error.value) == message


def test_another_sweeper_is_not_zipped() -> None:
    sweep, product = swept("a=1,2", "b=3,4")
    with pytest.raises(UserError, match="needs Hydra's basic sweeper"):
        zipped_keys.chosen(product[1:], 0, sweep, [("a", "b")])


def test_groups_of_zip() -> None:
    assert zip_groups([["ranks", "train.batch"]]) == (("ranks", "train.batch"),)
    for bad, message in (
        (["ranks"], "must be a list of lists"),
        ([["ranks"]], "name at least two keys"),
        ([["a", "b"], ["b", "c"]], "names b twice"),
        ("x", "must be a list of lists"),
    ):
        with pytest.raises(UserError, match=message):
            zip_groups(bad)


# exclude

POINTS = [
    values_of(plain(strategy, ranks, batch))
    for strategy in ("single", "data", "pipeline") for ranks in (1, 2) for batch in (1, 16)
]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "excluded"),
    [
        ("ranks == 1 and strategy != single", 4),
        ("train.batch < ranks", 2),  # single has one rank, whatever was given
        ("strategy in (data, pipeline) and not ranks == 1", 4),
        ("strategy not in ('data', pipeline)", 4),
        ("model == gpt2-tiny", 12),
        ('model == "gpt2-tiny" and 1 < train.batch % 17 <= 4 * 4', 6),
        ("train.batch == ranks", 4),  # a word that names a value is that value
        ("strategy.zero == 0", 4),  # null for strategies without it
        ("strategy.zero < 1 or strategy.zero >= 1", 4),
        ("strategy.zero == null", 8),
        ("threads == none and smoke == false", 12),
        ("train.recompute == none and not smoke", 12),
        ("smoke or train.batch / ranks - 1 > 14", 4),
        ("mesh.pipeline * 2 == 4", 0),
        ("ranks == 3", 0),
        ("ranks > -1 + 2", 4),
    ],
)
def test_conditions(condition: str, excluded: int) -> None:
    assert [by for by in excluded_by(POINTS, [condition]) if by] == [condition] * excluded


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("rank == 1", "names the unknown value rank; did you mean ranks?; all values: python -m bench --help"),
        ("train.btach < 2", "names the unknown value train.btach; did you mean train.batch?; all values"),
        ("ranks == 1 and rank == 2", "names the unknown value rank"),
        ("ranks == rank", "compares ranks, which is 1, with the word rank; did you mean ranks?"),
        ("strategy < 3", "compares strategy, which is 'single', with 3; use a number"),
        ("strategy in single", "needs several values after 'in', as in: strategy in (A, B)"),
        ("ranks", "has ranks where a condition belongs; compare it, as in ranks == 1"),
        ("ranks = 1", "cannot be read ("),
        ("ranks ==", "cannot be read ("),
        ("(" * 300 + "1", "cannot be read ("),
        ("ranks == 1" * 100, "cannot be read (longer than 500 characters)"),
        ("ranks / 0 == 1", "cannot compute ranks / 0 with 1 and 0; write it in another way"),
        ("strategy * 3 == 1", "computes strategy * 3 with 'single'; use numbers"),
        ("ranks is 1", "uses 'is'; write == or !="),
        ("__import__('os').system('false') == 0", "which conditions do not know"),
        ("ranks ** 9 == 1", "has ranks ** 9, which conditions do not know"),
        ("[ranks for x in y] == 1", "which conditions do not know"),
        ("ranks.__class__ == 1", "names the unknown value ranks.__class__"),
    ],
)
def test_bad_conditions_are_one_line(condition: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        excluded_by(POINTS, [condition])
    assert str(error.value).startswith(f'campaign.exclude "{condition}" ')
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_matrix_says_what_is_left_out() -> None:
    composed = [plain(strategy, 2, batch) for strategy in ("data", "pipeline") for batch in (1, 16)]
    found = matrix(composed, Settings(exclude=("strategy == data and train.batch == 1", "ranks == 7")))
    assert found.kept == [1, 2, 3]
    assert found.lines == [
        "factor strategy: data, pipeline",
        "factor train.batch: 1, 16",
        "excluded 1 of 4 combinations by: strategy == data and train.batch == 1",
        "excluded: strategy=data train.batch=1",
        "excluded 0 of 4 combinations by: ranks == 7 (a typo?)",
    ]
    with pytest.raises(UserError, match=r"campaign.exclude \(ranks == 2\) leaves none of 4 combinations; mend the condition"):
        matrix(composed, Settings(exclude=("ranks == 2",)))


def test_an_option_of_one_strategy_is_a_factor_where_it_differs() -> None:
    one, other = values_of(plain("data")), values_of(plain("data"))
    assert factors([one, values_of(plain("pipeline"))]) == {"strategy": ["data", "pipeline"]}
    assert factors([one, {**other, "strategy.zero": 1}]) == {"strategy.zero": ["0", "1"]}


# settings


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"fail_fast": 1}, "campaign.fail_fast=1 must be true or false"),
        ({"time_limit_s": 0}, "campaign.time_limit_s=0 must be null or a positive number of seconds"),
        ({"ci_target": 2.5}, "campaign.ci_target=2.5 must be null or a share of the median between 0 and 1, such as 0.025"),
        ({"max_repeats": 0}, "campaign.max_repeats=0 must be a whole number of at least 1"),
        ({"target": ["enrgy"]}, "campaign.target=enrgy is unknown; use time or energy; did you mean energy?"),
        ({"target": []}, "campaign.target=[] must be a list of time and energy"),
        ({"exclude": "ranks == 1"}, "campaign.exclude=ranks == 1 must be a list of conditions, such as"),
        (
            {"ci_target": 0.1, "max_repeats": 5},
            "campaign.max_repeats=5 is too few for campaign.ci_target: a 95 % interval of a median needs 6 repeats; use at",
        ),
    ],
)
def test_bad_settings_are_one_line(block: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        settings_of([plain(**block)])
    assert str(error.value).startswith(message)


def test_settings_are_of_the_whole_campaign() -> None:
    assert settings_of([plain(), plain()]) == Settings()
    with pytest.raises(UserError, match=r"campaign.fail_fast=False and True in one sweep; it is of the whole campaign"):
        settings_of([plain(), plain(fail_fast=True)])
    without = {**plain(ci_target=0.1), "energy": {"source": "none"}}
    with pytest.raises(UserError, match=r"campaign.target has energy, but energy=none measures none"):
        settings_of([without])
