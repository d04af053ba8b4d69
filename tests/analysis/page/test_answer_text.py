"""The answer in words: it says what the numbers say, and claims nothing that they do not show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from analysis.page.answer.answer_text import answer, answers
from analysis.page.answer.best_configuration import best_of
from analysis.page.answer.ratio_phrases import ratio_text
from analysis.study.study import Study, load_study
from analysis.tables.headline_table import shown
from tests.analysis.studies import full, study_of, write_study
from tests.records import make_record, metered


def study(records: list[dict[str, Any]]) -> Study:
    return study_of("s", Path("results/s"), records, [])


def measured_at(strategy: str, joules: list[float], rate: float, **changes: Any) -> list[dict[str, Any]]:
    """Repeats with these joules per sample, all at about ``rate`` samples per second."""
    records = [make_record(strategy, repeat, **changes) for repeat in range(len(joules))]
    for repeat, (record, value) in enumerate(zip(records, joules, strict=True)):
        record["energy"]["per_sample_J"] = value
        record["time"]["samples_per_s"] = rate * (1 + 0.001 * repeat)
    return records


def test_modelled_joules_that_only_restate_time_are_named() -> None:
    """Equal idle shares (14.1 of 27.4 W): twice as fast on the same power is half the joules, and no second result."""
    records = measured_at("single", near(2.0), 10, watts=27.4) + measured_at("data", near(1.0), 20, watts=27.4)
    (found,) = answers(study(records))
    restated = [sentence for sentence in found.others if "restate times" in sentence]
    assert restated == [
        "Modelled joules of data n=2 follow from those of single by time and number of boards alone (idle power is the same "
        "share of them): these ratios of energy restate times."
    ]
    other = measured_at("single", near(2.0), 10, watts=20.0) + measured_at("data", near(1.0), 20, watts=27.4)
    assert "restate" not in str(answers(study(other)))
    measured = [record | {"energy": record["energy"] | {"kind": "measured"}} for record in records]
    assert "restate" not in str(answers(study(measured)))


def near(value: float, n: int = 6) -> list[float]:
    return [value * (1 + 0.01 * number) for number in range(n)]


def test_words_say_what_the_numbers_say(tmp_path: Path) -> None:
    sentences = answer(load_study(write_study(tmp_path / "s", full())))
    single = [make_record("single", r)["energy"]["per_sample_J"] for r in range(3)]
    data = [make_record("data", r)["energy"]["per_sample_J"] for r in range(3)]
    ratio = sorted(data)[1] / sorted(single)[1]
    assert sentences[0].startswith("single: 0.964 J per sample (modelled) at 21.6 samples/s (median of n = 3 repeats")
    assert sentences[1].startswith(f"data n=2 used {ratio:.2f} x the energy per sample of single (modelled)")
    assert "overlap" not in sentences[1]
    assert "the ranges overlap, so a difference in energy is not shown" in sentences[3]


def test_the_lead_names_the_least_energy_and_the_fastest() -> None:
    """Six repeats each, 2 J, 1 J and 3 J per sample at 10, 15 and 40 samples/s: the ratios, with intervals, and modelled."""
    records = measured_at("single", near(2.0), 10) + measured_at("data", near(1.0), 15) + measured_at("tensor", near(3.0), 40)
    (found,) = answers(study(records))
    least, fastest = found.lead
    assert least.startswith("data n=2 used the least energy: 0.50 x that of single per sample (95 % interval 0.4")
    assert "modelled, n = 6 each), and it trained 1.50 x as fast (95 % interval 1.50 to 1.50, n = 6 each)." in least
    assert fastest.startswith("tensor n=2 was the fastest: 4.00 x the samples per second of single (95 % interval 3.99 to 4.01")
    assert "for 1.50 x the energy per sample (95 % interval 1.3" in fastest
    assert "modelled" in fastest
    modelled = "energy modelled as x86-mini-pc (uncertain by 30 %, one error of all boards of a class)"
    assert found.what == f"minilm, reviews; {modelled}; boards: x86-mini-pc"
    assert len(found.others) == 1
    assert found.others[0].startswith("single: 2.05 J per sample (modelled) at 10 samples/s (95 % interval 2 to 2.1 J, n = 6)")


def test_one_that_is_best_in_both_is_described_once() -> None:
    records = measured_at("single", near(2.0), 10) + measured_at("data", near(1.0), 15) + measured_at("tensor", near(3.0), 12)
    (found,) = answers(study(records))
    assert found.lead[1].startswith("It was also the fastest: 1.50 x the samples per second of single")
    assert [sentence.split(" used ")[0].split(":")[0] for sentence in found.others] == ["single", "tensor n=2"]


def test_the_baseline_may_be_the_best() -> None:
    records = measured_at("single", near(1.0), 20) + measured_at("data", near(2.0), 10)
    (found,) = answers(study(records))
    assert found.lead[0] == "single used the least energy: 1.02 J per sample (modelled) (95 % interval 1 to 1.05 J, n = 6)."
    assert found.lead[1] == "It was also the fastest: 20 samples/s."
    assert [sentence.split(" used ")[0] for sentence in found.others] == ["data n=2"]


def test_no_winner_where_repeats_do_not_tell() -> None:
    """data and tensor interleave: neither is said to be best, both are named."""
    mixed = ([1.00, 1.02, 1.04, 1.06, 1.08, 1.10], [1.01, 1.03, 1.05, 1.07, 1.09, 1.11])
    records = measured_at("single", near(2.0), 10) + measured_at("data", mixed[0], 15) + measured_at("tensor", mixed[1], 15)
    (found,) = answers(study(records))
    assert found.lead[0].startswith("Which used the least energy is not decided: data n=2 has the lowest median, 0.5")
    assert found.lead[0].endswith("but tensor n=2 is not told apart from it.")
    assert found.lead[1].startswith("Which was fastest is not decided:")
    assert not any("used the least energy:" in sentence or "was the fastest" in sentence for sentence in found.lead)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_repeats_show_nothing(n: int) -> None:
    """However far apart: one to three repeats give no interval of a ratio, so there is no claim."""
    (found,) = answers(study(measured_at("single", near(9.0, n), 1) + measured_at("data", near(1.0, n), 9)))
    for sentence in found.lead:
        assert "The repeats are too few to show that this is" in sentence
        assert "no interval" in sentence
        assert f"n = {n} each" in sentence


def test_a_ratio_whose_interval_has_1_in_it_is_no_difference() -> None:
    mixed = ([1.00, 1.02, 1.04, 1.06, 1.08, 1.10], [1.01, 1.03, 1.05, 1.07, 1.09, 1.11])
    sentences = answer(study(measured_at("single", mixed[0], 10) + measured_at("data", mixed[1], 20)))
    assert "the interval of the ratio contains 1, so a difference in energy is not shown" in sentences[1]
    assert "a difference in speed is not shown" not in sentences[1]


def test_every_sentence_with_joules_says_what_kind_they_are() -> None:
    other = {"model": "gpt2-mini", "task": "lm"}
    records = full(6) + full(3, kind="measured") + [make_record("data", point=other), make_record("single", point=other)]
    found = answers(study(records))
    assert len(found) == 3
    for one in found:
        kind = "measured" if "energy measured" in one.what else "modelled"
        for sentence in (*one.lead, *one.others):
            if re.search(r"energy|\bJ\b", sentence):
                assert kind in sentence, sentence
                assert ("modelled" if kind == "measured" else "measured") not in sentence


def test_measured_and_modelled_are_never_compared() -> None:
    records = measured_at("single", near(2.0), 10) + measured_at("data", near(1.0), 15, kind="measured")
    found = answers(study(records))
    assert [len(one.lead) for one in found] == [1, 1]
    assert not any(" x " in sentence for one in found for sentence in (*one.lead, *one.others))


def test_many_configurations_have_twelve_sentences_and_a_count() -> None:
    records = full(1) + [make_record("data", point={"batch": 8 * number}) for number in range(1, 31)]
    (found,) = answers(study(records))
    assert len(found.others) == 1 + 12
    described = 1 + 12 + sum(found.lead[0].startswith(label) for label in ("tensor",))
    assert found.left == len(records) - described
    assert answer(study(records))[-1] == f"{len(records) - 13} more configurations are in the table."


def test_without_energy_speed_is_compared() -> None:
    (found,) = answers(study(full(6, kind="none")))
    assert found.lead == (
        "tensor n=2 was the fastest: 1.91 x the samples per second of single (95 % interval 1.81 to 2.01, n = 6 each).",
    )
    assert found.others == ("single trained 20.9 samples/s. No energy was asked for.",)
    assert not any("J per sample" in sentence for sentence in (*found.lead, *found.others))


def test_a_study_without_a_valid_point_compares_nothing() -> None:
    bad = study([make_record("data", status="failed", reason="exit code 1")])
    assert answers(bad) == []
    assert answer(bad) == ["No point of this study has a valid record, so there is nothing to compare."]


def test_winners_by_hand() -> None:
    """Of 4 and 4 repeats that do not overlap, the interval exists: 2/70 below 5 %. Of 3 and 3 it does not: 2/20."""
    apart = {"a": [1.0, 1.1, 1.2, 1.3], "b": [2.0, 2.1, 2.2, 2.3]}
    assert best_of(apart, more=False).label == "a"
    assert (best_of(apart, more=False).rivals, best_of(apart, more=True).rivals) == ((), ())
    assert best_of(apart, more=True).label == "b"
    few = {label: values[:3] for label, values in apart.items()}
    assert (best_of(few, more=False).rivals, best_of(few, more=False).too_few) == (("b",), True)


def test_ratios_are_written_with_two_decimals_or_two_digits() -> None:
    assert [ratio_text(ratio) for ratio in (0.0034, 0.0831, 0.7123, 1.0, 13.08, 1234.0)] == [
        "0.0034", "0.083", "0.71", "1.00", "13.1", "1234",
    ]  # fmt: skip


def test_smoke_runs_are_stamped(tmp_path: Path) -> None:
    assert "smoke" in answer(load_study(write_study(tmp_path / "smoke", full(1, smoke=True))))[-1]


def test_emulated_boards_are_called_so() -> None:
    record = make_record("data")
    record["energy"]["by_host"] = [metered("pi-1", source="emulated", kind="modelled")]
    assert answers(study([record]))[0].what.endswith("boards: x86-mini-pc, emulated")


def test_models_are_compared_with_themselves(tmp_path: Path) -> None:
    """Two models with a task each: one name tells them apart, and no ratio goes from one to the other."""
    records = []
    for number, strategy in enumerate(("single", "data")):
        for model, task in (("minilm", "reviews"), ("gpt2-mini", "lm")):
            record = make_record(strategy)
            code = f"{number}{model[:5]:0<7}"
            weights = "pretrained" if task == "reviews" else "random"
            more = {"model": model, "task": task, "weights": weights, "hash": code, "name": f"{strategy}-{model}"}
            record["point"] = {**record["point"], **more}
            record["learning"] = {**record["learning"], "metric_name": "accuracy" if task == "reviews" else "perplexity"}
            records.append(record)
    study = load_study(write_study(tmp_path / "study", records))
    assert sorted(set(study.points["label"])) == [
        "data n=2 model=gpt2-mini", "data n=2 model=minilm", "single model=gpt2-mini", "single model=minilm",
    ]  # fmt: skip
    sentences = answer(study)
    assert len(sentences) == 4
    for model in ("minilm", "gpt2-mini"):
        (ratio,) = [text for text in sentences if text.startswith(f"data n=2 model={model} used")]
        assert f"of single model={model} " in ratio
    assert "perplexity or accuracy" in shown(study)
