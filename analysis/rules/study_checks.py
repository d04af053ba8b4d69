"""Validity of a study as a whole: what no single point can tell. Findings have the form of a record's checks.

Points are compared within a work: one kind of energy, one model, one task (``analysis/study/sweeps.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from analysis.study.configuration_labels import plain
from analysis.study.study import Study, label_of
from bench.common.median_interval import SMALLEST_N
from bench.common.user_error import UserError
from bench.record.checks import Check, finding, skipped
from bench.record.repeat_spread import MOST_HALF_WIDTH, QUANTITIES, spread_share
from bench.record.study_folder import FINISHED

Record = Mapping[str, Any]
Facts = dict[str, dict[str, list[str]]]
"""By what it is about, by what was found, the points."""
SAME_MEMORY = 0.02
"""What a kernel keeps for itself changes with its version; a board of another size has twice as much."""


def study_checks(study: Study) -> list[Check]:
    """All checks of the study."""
    return [
        finding(
            "every record can be read", not study.problems, "; ".join(study.problems) or counted(len(study.records), "record")
        ),
        every_point_finished(study),
        *(_same(study, name, found) for name, found in (("code", code), ("software", software), ("hosts", hosts))),
        repeats_complete(study),
        repeats_agree(study),
        finding("no smoke runs", not study.smoke, _smoke(study), "warned"),
        one_kind(study),
    ]


def refuse_mixed(study: Study, allow: bool) -> list[str]:
    """Lines about comparisons whose points ran with different code or software, or on hosts that changed.

    UserError, one line, unless ``allow``: a difference between such points may come from that and not from what was varied.
    """
    found = [f"{name}: {line}" for name, records in compared(study) for line in mixed(records)]
    if not found or allow:
        return found
    more = f" (and {len(found) - 1} more differences)" if len(found) > 1 else ""
    raise UserError(
        f"{study.name} compares points that did not run under the same conditions: {found[0]}{more}; run the older points "
        "again, choose one commit (results/STUDY@COMMIT), or compare them all the same with --allow-mixed"
    )


def compared(study: Study) -> Iterator[tuple[str, list[Record]]]:
    """Good records that figures and words set side by side, and what they have in common."""
    works: dict[tuple[str, str, str], list[Record]] = {}
    for record in study.good:
        works.setdefault((record["energy"]["kind"], record["point"]["model"], record["point"]["task"]), []).append(record)
    for (kind, model, task), records in works.items():
        yield f"{model}, {task}, energy {kind}", records


def mixed(records: Sequence[Record]) -> list[str]:
    """What differs between records that is no factor of the study, each with its points."""
    return [line for facts in (code(records), software(records), hosts(records)) for line in _apart(facts)]


def code(records: Sequence[Record]) -> Facts:
    """By the contents of what the ranks imported; by commit where a record does not tell them."""
    by_content = all(_contents(record) for record in records)
    return _collect((record, {"code": _contents(record) if by_content else commit_of(record)}) for record in records)


def commit_of(record: Record) -> str | None:
    git = record["environment"].get("git") or {}
    return f"commit {git['commit'][:12]}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else None


def _contents(record: Record) -> str | None:
    """The code of every host; None where one does not tell it."""
    found = [host.get("code_hash") for host in record["environment"].get("hosts") or ()]
    return ", ".join(sorted(set(found))) if found and all(found) else None


def software(records: Sequence[Record]) -> Facts:
    """Versions of Python, of the packages that matter, and of MPI."""
    return _collect((record, software_of(record)) for record in records)


def software_of(record: Record) -> dict[str, str | None]:
    about = record["environment"]
    mpi = (about.get("mpi") or {}).get("library")
    return {"Python": about.get("python"), **(about.get("packages") or {}), "MPI": mpi and mpi.split(", package")[0]}


def hosts(records: Sequence[Record]) -> Facts:
    """Processor, cores and memory of every host, as a board of one class, in one cluster and power mode: those are factors."""
    found: Facts = {}
    sizes: dict[str, list[int]] = {}
    for record in records:
        point = record["point"]
        for host in record["environment"].get("hosts") or ():
            mode = point.get("power_mode")
            place = f"host {host['host']} of {point['cluster']} as {host['board']}{f' in {plain(mode)}' if mode else ''}"
            what = (
                f"{host.get('cpu') or 'unknown CPU'}, {host.get('cores')} cores, {_memory(host, sizes.setdefault(place, []))}"
            )
            found.setdefault(place, {}).setdefault(what, []).append(point["name"])
    return found


def _memory(host: Mapping[str, Any], known: list[int]) -> str:
    """Sizes within 2 % of one that is known have its name."""
    own = host.get("memory_bytes")
    if own is None:
        return "memory unknown"
    like = next((size for size in known if abs(size - own) <= SAME_MEMORY * size), None)
    if like is None:
        known.append(own)
    return f"{(like or own) / 2**30:.3g} GiB"


def _collect(told: Iterable[tuple[Record, Mapping[str, str | None]]]) -> Facts:
    found: Facts = {}
    for record, facts in told:
        for name, value in facts.items():
            if value:
                found.setdefault(name, {}).setdefault(value, []).append(record["point"]["name"])
    return found


def _apart(facts: Facts) -> list[str]:
    """One line for everything that has more than one value."""
    return [
        f"{name} "
        + " against ".join(f"{value} ({counted(len(points), 'point')}: {some(points)})" for value, points in values.items())
        for name, values in facts.items()
        if len(values) > 1
    ]


def counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def some(names: Sequence[str], most: int = 2) -> str:
    """The first few of many names."""
    shown, left = ", ".join(names[:most]), len(names) - most
    return f"{shown} and {left} more" if left > 0 else shown


def _same(study: Study, what: str, found: Any) -> Check:
    """Failed where points that are compared differ; warned where points of different works do."""
    name = f"same {what} in all points"
    whole = found(study.good)
    if not whole:
        return skipped(name, f"no record tells its {what}")
    if lines := [f"{work}: {line}" for work, records in compared(study) for line in _apart(found(records))]:
        return finding(name, False, "; ".join(lines))
    if lines := _apart(whole):
        return finding(name, False, f"in points that are not compared: {'; '.join(lines)}", "warned")
    if what == "hosts":
        kinds = Counter(value for values in whole.values() for value in values)
        return finding(name, True, ", ".join(f"{count} x {value}" for value, count in kinds.items()))
    detail = ", ".join(f"{key} {value}" for key, values in whole.items() for value in values)
    if what == "code" and "with changes" in detail:
        return finding(name, False, f"{detail}: whether the changes were the same cannot be told", "warned")
    return finding(name, True, detail)


def every_point_finished(study: Study) -> Check:
    """Every point ran, or was shown to need more memory than its boards have."""
    counts = Counter(record["status"] for record in study.records)
    bad = [f"{r['point']['name']} {r['status']}: {r['reason']}" for r in study.records if r["status"] not in FINISHED]
    detail = f"{counted(len(study.records), 'point')}: {', '.join(f'{count} {status}' for status, count in counts.items())}"
    return finding("every point finished", not bad, f"{detail}; {some(bad)}" if bad else detail)


def repeats_of(study: Study) -> dict[str, list[int]]:
    """The repeats of each configuration that have a record, by label."""
    found: dict[str, list[int]] = {}
    for record in study.records:
        found.setdefault(label_of(record["point"]), []).append(record["point"]["repeat"])
    return found


def missing_repeats(study: Study) -> list[str]:
    """Repeats of which a later one has a record: they ran, or were to run, and are not there."""
    gaps = {label: sorted(set(range(max(own))) - set(own)) for label, own in repeats_of(study).items()}
    return [f"{label} lacks repeat {', '.join(map(str, gap))}" for label, gap in gaps.items() if gap]


def repeats_complete(study: Study) -> Check:
    """No repeat is missing before the last one: failed. Configurations with fewer good repeats than others: warned."""
    if gaps := missing_repeats(study):
        return finding("repeats are complete", False, some(gaps, 5))
    good = Counter((r["energy"]["kind"], label_of(r["point"])) for r in study.good)
    if not good:
        return skipped("repeats are complete", "no point has a valid record")
    most = max(good.values())
    fewer = [f"{label} has {count} of {most}" for (_, label), count in good.items() if count < most]
    return finding("repeats are complete", not fewer, some(fewer, 5) or f"{most} of each configuration", "warned")


def repeats_agree(study: Study) -> Check:
    """The last word on what a record's check of the same name could say of the repeats before it."""
    frame, name = study.points, "repeats agree"
    worst: list[tuple[float, str]] = []
    for (kind, label), group in frame.groupby(["kind", "label"], sort=False) if not frame.empty else ():
        for _, column in QUANTITIES:
            values = group[column].dropna().tolist()
            if len(values) > 1:
                share = spread_share(values)
                worst.append((share, f"{label} {column} ±{100 * share:.1f} % (n = {len(values)}, energy {kind})"))
    if not worst:
        return skipped(name, "no configuration has two repeats")
    wide = [text for share, text in sorted(worst, reverse=True) if share > MOST_HALF_WIDTH]
    good = f"at most {max(worst)[1]}; half the 95 % interval, below n = {SMALLEST_N} half the range"
    return finding(name, not wide, some(wide, 5) or good, "warned")


def _smoke(study: Study) -> str:
    count = sum(record["point"]["smoke"] for record in study.records)
    return f"{count} of {len(study.records)} points are smoke runs: too short for conclusions" if count else "none"


def one_kind(study: Study) -> Check:
    """Measured and modelled energy are drawn apart (warned). Energies of one kind that were taken at different places of the
    supply, or from different models, would be drawn together (failed)."""
    kinds: dict[str, Counter[str]] = {}
    for record in study.good:
        if record["energy"]["kind"] != "none":
            kinds.setdefault(record["energy"]["kind"], Counter())[basis_of(record)] += 1
    if not kinds:
        return skipped("one kind of energy", "no point has energy")
    detail = "; ".join(f"{counted(n, 'point')} {kind}, {basis}" for kind, found in kinds.items() for basis, n in found.items())
    alike = all(len(found) == 1 for found in kinds.values())
    return finding("one kind of energy", alike and len(kinds) == 1, detail, "warned" if alike else "failed")


def basis_of(record: Record) -> str:
    """Where energy was taken; of modelled energy by which model too. Boards of one shelf may have different meters."""
    energy = record["energy"]
    model = f" by {energy['source']}" if energy["kind"] == "modelled" else ""
    return f"at {' and '.join(energy['coverage']['levels'])}{model}"
