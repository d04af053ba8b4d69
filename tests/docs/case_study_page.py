"""The tables of ``docs/case-study.md``, made from the records of the gallery.

python -m tests.docs.case_study_page          writes them again
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import yaml

from analysis.study.study import load_study
from analysis.study.study_record import MeasuredStudyRecord, StudyRecord
from strategies.plan.model_spec import ModelSpec
from strategies.plan.training_work import training_flop
from tests.project import ROOT

PAGE = ROOT / "docs/case-study.md"
RECORDS = ROOT / "docs/gallery/records"
STRATEGIES = ("single", "data", "sequence", "tensor", "pipeline")
SHELVES = {
    "case_study_pi5": "Raspberry Pi 5, CPU",
    "case_study_nano": "Jetson Nano, GPU",
    "case_study_xavier_nx": "Jetson Xavier NX, GPU",
    "case_study_orin_nx": "Jetson Orin NX, GPU",
}
FACTORS = (0.5, 1.0, 2.0)


@dataclass(frozen=True, order=True)
class Setting:
    """What the strategies are compared in: one line of a table, in the order of ``bits_per_kflop``."""

    model: str
    batch: int
    seq: int
    ranks: int
    bits_per_kflop: float
    shelf: str
    link: str


def rate(record: MeasuredStudyRecord) -> float:
    """Samples a second."""
    return record.time.samples_per_s


def total_J(record: MeasuredStudyRecord) -> float:
    """Joules of a sample, idle power of all boards that take part inside."""
    assert record.energy.per_sample_J is not None
    return record.energy.per_sample_J


def dynamic_J(record: MeasuredStudyRecord) -> float:
    """Joules of a sample above idle power."""
    assert record.energy.dynamic_J is not None
    return record.energy.dynamic_J / record.time.samples


def waiting_idle_J(record: MeasuredStudyRecord) -> float:
    """Joules of a sample if boards drew idle power whenever they do not compute: dynamic energy by its share of time."""
    share = record.time.by_phase.compute_s / record.time.step_s.median
    return total_J(record) - dynamic_J(record) * (1 - min(1.0, share))


def rate_at(record: MeasuredStudyRecord, faster: float) -> float:
    """Samples a second if boards computed ``faster`` times as fast: all but communication, as it was exposed, shrinks."""
    exposed = record.time.by_phase.communicate_s
    step = record.point.batch / record.time.samples_per_s
    return record.point.batch / (exposed + (step - exposed) / faster)


def lines() -> dict[Setting, dict[str, list[StudyRecord]]]:
    """The records of all shelves: the repeats of each strategy by the setting that they are compared in."""
    found: dict[Setting, dict[str, list[StudyRecord]]] = {}
    for study in SHELVES:
        if not (RECORDS / study).is_dir():
            continue
        records = [one for one in load_study(RECORDS / study).records if one.status in ("ok", "oom")]
        speed = next(one.dilation.boards[0].class_flop_s for one in records if one.dilation is not None)
        assert speed is not None
        for record in records:
            found.setdefault(setting(record, speed), {}).setdefault(record.point.strategy, []).append(record)
    singles = {key: rows["single"] for key, rows in found.items() if key.ranks == 1 and "single" in rows}
    for key, rows in found.items():
        alone = replace(key, ranks=1, link="", bits_per_kflop=0)
        if alone in singles:
            rows["single"] = singles[alone]
    compared = {(key.model, key.batch, key.seq, key.shelf) for key in found if key.ranks > 1}
    return {
        key: found[key] for key in sorted(found) if key.ranks > 1 or (key.model, key.batch, key.seq, key.shelf) not in compared
    }


def setting(record: StudyRecord, class_flop_s: float) -> Setting:
    """The line that a record belongs to; a single process sends nothing, so its link does not matter."""
    point = record.point
    assert point.network is not None
    link = point.network.links[0]
    bits = 1e3 * link.rate_bit_s / class_flop_s
    shelf = SHELVES[point.study]
    if point.ranks == 1:
        return Setting(point.model, point.batch, point.seq, 1, 0, shelf, "")
    return Setting(point.model, point.batch, point.seq, point.ranks, bits, shelf, link.name)


def tables() -> dict[str, str]:
    """The tables of the page by name."""
    rows = lines()
    factors = [
        f"| {about(key)} | {dilation(cells)} | {class_share(cells)} | {' | '.join(winners(cells))} |"
        for key, cells in rows.items()
        if key.ranks > 1
    ]
    heads = " | ".join(f"at {factor:g} x" for factor in FACTORS)
    return {
        "samples a second": table(rows, lambda records: number(records, rate), max),
        "joules of a sample": table(rows, joules, min, total_J),
        "megabytes": megabytes(rows),
        "winners": f"{HEAD} | dilation | single / class | {heads} |\n{'| --- ' * (5 + len(FACTORS))}|\n" + "\n".join(factors),
    }


HEAD = "| model, tokens | boards, link | bit/kflop"


def table(
    rows: dict[Setting, dict[str, list[StudyRecord]]],
    text: Callable[[Sequence[MeasuredStudyRecord]], str],
    best: Callable[[Sequence[float]], float],
    quantity: Callable[[MeasuredStudyRecord], float] = rate,
) -> str:
    """A line for each setting, a column for each strategy, the best one bold."""
    out = [f"{HEAD} | {' | '.join(STRATEGIES)} |", "| --- " * (3 + len(STRATEGIES)) + "|"]
    for key, cells in rows.items():
        ok = {name: measured(cells.get(name, ())) for name in STRATEGIES}
        medians = {name: median(map(quantity, records)) for name, records in ok.items() if records}
        first = best(list(medians.values())) if medians else None
        line = []
        for name in STRATEGIES:
            if ok[name]:
                shown = text(ok[name])
                line.append(f"**{shown}**" if medians[name] == first else shown)
            else:
                line.append("out of memory" if cells.get(name) else "")
        out.append(f"| {about(key)} | {' | '.join(line)} |")
    return "\n".join(out)


def megabytes(rows: dict[Setting, dict[str, list[StudyRecord]]]) -> str:
    """What each strategy sends in a step, headers of no protocol inside: it depends on model and batch alone."""
    sent: dict[tuple[str, int, int, int], dict[str, float]] = {}
    for key, cells in rows.items():
        counted = sent.setdefault((key.model, key.batch, key.seq, key.ranks), {})
        counted |= {
            name: sum(ok[0].traffic.wire_bytes.values()) / 1e6 for name in STRATEGIES if (ok := measured(cells.get(name, ())))
        }
    out = [f"| model | tokens | boards | {' | '.join(STRATEGIES)} |", "| --- " * (3 + len(STRATEGIES)) + "|"]
    for (model, batch, seq, ranks), counted in sent.items():
        if not counted:
            continue
        cells_ = " | ".join(f"{counted[name]:.4g}" if name in counted else "" for name in STRATEGIES)
        out.append(f"| {model} | {batch} x {seq} | {ranks} | {cells_} |")
    return "\n".join(out)


def measured(records: Sequence[StudyRecord]) -> list[MeasuredStudyRecord]:
    """Those with numbers."""
    return [record for record in records if isinstance(record, MeasuredStudyRecord) and record.status == "ok"]


def about(key: Setting) -> str:
    """The first cells of a line."""
    bits = f"{key.bits_per_kflop:.3g}" if key.ranks > 1 else ""
    boards = f"{key.ranks} {key.shelf}{f', {key.link}' if key.link else ''}"
    return f"{key.model}, {key.batch} x {key.seq} | {boards} | {bits}"


def number(records: Sequence[MeasuredStudyRecord], quantity: Callable[[MeasuredStudyRecord], float]) -> str:
    """The median with the range of the repeats where there are several, and their number."""
    values = sorted(map(quantity, records))
    if len(values) == 1:
        return f"{values[0]:.3g}"
    return f"{median(values):.3g} ({values[0]:.3g} to {values[-1]:.3g}, n = {len(values)})"


def joules(records: Sequence[MeasuredStudyRecord]) -> str:
    """Total, dynamic and total with waiting at idle power."""
    return " / ".join(f"{median(map(quantity, records)):.3g}" for quantity in (total_J, dynamic_J, waiting_idle_J))


def dilation(cells: dict[str, list[StudyRecord]]) -> str:
    """The factor of a line: the least and the most that was measured, with the range of the class's rate."""
    found = [record.dilation for records in cells.values() for record in records if record.dilation is not None]
    factors = sorted(one.factor for one in found)
    return (
        f"{factors[0]:.3g} to {factors[-1]:.3g} ({min(one.low for one in found):.3g} to {max(one.high for one in found):.3g})"
    )


def class_share(cells: dict[str, list[StudyRecord]]) -> str:
    """How many times the training rate of its class the single board achieved: above 1 it is flattered."""
    ok = measured(cells.get("single", ()))
    if not ok:
        return ""
    point, dilation_ = ok[0].point, ok[0].dilation
    assert dilation_ is not None
    class_flop_s = dilation_.boards[0].class_flop_s
    assert class_flop_s is not None
    described = yaml.safe_load((ROOT / f"conf/model/{point.model}.yaml").read_text())
    spec = ModelSpec(name=point.model, **described["spec"], head="classifier", labels=2)
    return f"{training_flop(spec, point.batch, point.seq) / median(one.time.step_s.median for one in ok) / class_flop_s:.2f}"


def winners(cells: dict[str, list[StudyRecord]]) -> list[str]:
    """The fastest strategy at each of ``FACTORS``, and by how much it leads the second."""
    out = []
    for faster in FACTORS:
        rates = {
            name: median(rate_at(one, faster) for one in ok) for name in STRATEGIES if (ok := measured(cells.get(name, ())))
        }
        first, second = sorted(rates, key=rates.__getitem__, reverse=True)[:2]
        out.append(f"{first} ({rates[first] / rates[second]:.2f} x {second})")
    return out


def written() -> str:
    """The page with its tables as the records have them."""
    text = PAGE.read_text(encoding="utf-8")
    for name, rows in tables().items():
        between = rf"(<!-- {name}: .*? -->\n).*?(<!-- end of {name} -->)"
        text, count = re.subn(between, lambda found, rows=rows: f"{found[1]}\n{rows}\n{found[2]}", text, flags=re.DOTALL)
        assert count == 1, name
    return text


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
