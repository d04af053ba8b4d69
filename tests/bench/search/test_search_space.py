"""Which combinations a search may choose, and what is no key to choose. Pure."""

from __future__ import annotations

import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from bench.common.user_error import UserError
from bench.search.search_space import Space, read_space


def space(*words: str, groups: tuple[tuple[str, ...], ...] = ()) -> Space:
    return read_space(OverridesParser.create().parse_overrides(list(words)), groups)


def test_lists_ranges_and_choices_are_levels_and_the_rest_is_fixed() -> None:
    found = space("model=gpt2-tiny", "strategy=data,tensor", "ranks=range(1,4)", "train.batch=choice(8,16,8)", "task=lm")
    assert [str(one) for one in found.dimensions] == ["strategy (data, tensor)", "ranks (1, 2, 3)", "train.batch (8, 16)"]
    assert found.size == 12
    assert len(set(found.every())) == 12
    assert found.words((1, 2, 0)) == ("model=gpt2-tiny", "task=lm", "strategy=tensor", "ranks=3", "train.batch=8")
    assert found.candidate_of(found.words((1, 2, 0))) == (1, 2, 0)
    assert found.candidate_of(["strategy=tensor", "ranks=9", "train.batch=8"]) is None
    assert [one.ordered for one in found.dimensions] == [False, True, False]  # two levels have no order to learn from


def test_intervals_are_whole_numbers_where_cast() -> None:
    found = space("train.lr=tag(log,interval(1e-5,1e-3))", "ranks=int(interval(1,4))")
    assert found.size is None
    assert found.candidate_of(["train.lr=0.0001", "ranks=2"]) == (0.0001, 2)
    assert found.candidate_of(["train.lr=1", "ranks=2"]) is None
    for lr, ranks in found.spread(20, random.Random(1)):
        assert 1e-5 <= lr <= 1e-3
        assert ranks in (1, 2, 3, 4)
    assert space("ranks=int(interval(1,4))").size == 4


def test_a_spread_has_every_level_equally_often() -> None:
    found = space("strategy=data,tensor,pipeline", "ranks=1,2")
    drawn = found.spread(6, random.Random(7))
    assert sorted(strategy for strategy, _ in drawn) == [0, 0, 1, 1, 2, 2]
    assert sorted(ranks for _, ranks in drawn) == [0, 0, 0, 1, 1, 1]


def test_zipped_keys_are_one_choice() -> None:
    found = space("ranks=1,2", "train.batch=8,16", "strategy=data,tensor", groups=(("ranks", "train.batch"),))
    assert found.size == 4
    assert {found.words(one)[-2:] for one in found.every()} == {("ranks=1", "train.batch=8"), ("ranks=2", "train.batch=16")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("strategy=data", "ranks=2"), "campaign.search needs a key to choose"),
        (("strategy=a,b", "study=x,y"), "campaign.search cannot choose study: it is of the whole campaign; give it one value"),
        (("strategy=a,b", "seed=1,2"), "campaign.search cannot choose seed: it says how a point is measured"),
        (("strategy=a,b", "warmup.max_steps=1,2"), "campaign.search cannot choose warmup.max_steps"),
        (("ranks=range(4,4)",), "ranks=range(4,4) has no value to choose"),
        (("train.lr=interval(2,1)",), "has no length; give the smaller number first"),
        (("train.lr=tag(log,interval(0,1))",), "has no logarithm; begin above 0"),
    ],
)
def test_what_cannot_be_searched_is_one_line(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError) as error:
        space(*words)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
