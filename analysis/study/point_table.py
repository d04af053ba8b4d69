"""Points as a table: one row for each, with its factors and its quantities.

Factors (what a sweep varies; null where a point has none): ``strategy, model, task, ranks, boards, cluster, device,
power_mode, hosts, link, link_rate_bit_s, link_delay_s, batch, micro_batches, seq, ...`` and the strategy's options under
``option.``. Lists are text: ``pi-1,pi-2``. ``label`` and ``hash`` name the configuration.

Quantities, with their unit at the end of the name:

- ``samples_per_s``, ``tokens_per_s``, ``step_s`` (median step), ``power_W`` (all hosts), ``idle_W``
- ``per_sample_J``, ``per_token_J``, ``edp_Js``, ``idle_per_sample_J`` (idle power over the time of a sample)
- ``random_share``, ``systematic_share``: standard uncertainties of the energy as shares of it: those that repeats average out,
  and those that all of them have in common
- ``peak_MiB``, ``predicted_MiB``: of the largest rank
- ``compute_s, communicate_s, wait_s``: of a step, mean over ranks; ``..._J`` of a sample
- ``forward_s, backward_s, optimizer_s, other_s`` likewise; ``phase_..._J`` of a sample. Null in old records
- ``wire_bytes``: of a step, all ranks; ``replication_s, replication_J, replication_bytes``
- of a failure: ``recovery_s``, ``recovery_J`` and its parts ``recovery_notice_s, ..._shrink_s, ..._rebuild_s, ..._redo_s``
  (and ``_J``), ``lost_steps``, ``copy_s`` and ``copy_bytes`` (of one copy of the state, all ranks),
  ``copies_samples_per_s, copies_per_sample_J`` (steps with copies), ``after_ranks, after_samples_per_s, after_per_sample_J``.
  Everything else is of the time before. Null where nothing failed
- ``metric`` (its name is ``metric_name``), ``loss``
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.study.configuration_labels import factors_of, plain, short_label
from bench.common.phases import PHASES, STATES

DRAWN_PHASES = (*PHASES[1:4], PHASES[0], *PHASES[4:])
"""In the order of figures and columns: what has no name of its own after what has one."""
MIB = 2**20
RECOVERY = ("notice", "shrink", "rebuild", "redo")
NOT_COLUMNS = ("weights", "smoke")

COLUMNS = (
    *("label", "hash", "point", "repeat", "order", "kind", "smoke", "strategy", "model", "task", "ranks", "boards", "cluster"),
    *("samples_per_s", "tokens_per_s", "step_s", "per_sample_J", "per_token_J", "edp_Js", "power_W", "idle_W"),
    *("idle_per_sample_J", "random_share", "systematic_share", "peak_MiB", "predicted_MiB", "wire_bytes"),
    *("replication_s", "replication_J", "replication_bytes", "metric", "metric_name", "loss"),
    *(f"{state}_s" for state in (*STATES, *DRAWN_PHASES[:4])),
    *(f"{state}_J" for state in STATES),
    *(f"phase_{phase}_J" for phase in DRAWN_PHASES),
    *("recovery_s", "recovery_J", *(f"recovery_{part}_{unit}" for unit in "sJ" for part in RECOVERY), "lost_steps"),
    *("copy_s", "copy_bytes", "copies_samples_per_s", "copies_per_sample_J"),
    *("after_samples_per_s", "after_per_sample_J", "after_ranks"),
)


def points_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each record, which must have numbers, in their order. With no record, no rows and all columns."""
    if not records:
        return pd.DataFrame(columns=list(COLUMNS))
    found = pd.DataFrame([{**factor_row(record), **_quantities(record)} for record in records])
    return found.reindex(columns=[*found.columns, *(column for column in COLUMNS if column not in found)])


def factor_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """The factors of any record, also of one that has no numbers."""
    point = record["point"]
    options = point["options"]
    own = {key: value for key, value in factors_of(point).items() if key not in options and key not in NOT_COLUMNS}
    return {
        "label": point.get("label") or short_label(point),
        "hash": point["hash"],
        "point": point["name"],
        "repeat": point["repeat"],
        "order": point["order"],
        "smoke": point["smoke"],
        "strategy": point["strategy"],
        "ranks": point["ranks"],
        **{key: _cell(value) for key, value in own.items()},
        **{f"option.{key}": _cell(value) for key, value in options.items()},
    }


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return plain(value) if isinstance(value, list) else value


def _quantities(record: Mapping[str, Any]) -> dict[str, Any]:
    time, energy, learning = record["time"], record["energy"], record["learning"]
    final, steps, samples = learning["final"], time["steps"], time["samples"]
    total_J, idle_W, states_J = energy["total_J"], energy["idle_W"], energy["by_phase"]
    sent = record.get("replication") or {}
    phases_J = {row["phase"]: row["joules"] for row in energy["phases"] or ()}
    phases_s = time.get("phases") or {}
    return {
        "kind": energy["kind"],
        "samples_per_s": time["samples_per_s"],
        "tokens_per_s": time["tokens_per_s"],
        "step_s": time["step_s"]["median"],
        "per_sample_J": energy["per_sample_J"],
        "per_token_J": energy["per_token_J"],
        "edp_Js": energy["edp_Js"],
        "power_W": energy["mean_power_W"],
        "idle_W": idle_W,
        "idle_per_sample_J": None if idle_W is None else idle_W / time["samples_per_s"],
        "random_share": _share(energy["random_J"], total_J),
        "systematic_share": _share(energy["systematic_J"], total_J),
        "peak_MiB": max(record["memory"]["peak_bytes"]) / MIB,
        "predicted_MiB": max(record["memory"]["predicted_bytes"]) / MIB,
        "wire_bytes": sum(record["traffic"]["wire_bytes"].values()),
        "replication_s": sent.get("seconds"),
        "replication_J": sent.get("joules"),
        "replication_bytes": sent.get("payload_bytes"),
        "metric": None if final is None else final["value"],
        "metric_name": learning["metric_name"],
        "loss": learning["curve"]["loss"][-1] if learning["curve"]["loss"] else None,
        **{f"{state}_s": time["by_phase"][f"{state}_s"] for state in STATES},
        **{f"{phase}_s": phases_s.get(f"{phase}_s") for phase in DRAWN_PHASES[:4]},
        **{f"{state}_J": None if states_J is None else states_J[f"{state}_J"] / samples for state in STATES},
        **{f"phase_{phase}_J": phases_J[phase] / samples if phase in phases_J else None for phase in DRAWN_PHASES},
        "steps": steps,
        **_failure(record.get("fault")),
    }


def _failure(fault: Mapping[str, Any] | None) -> dict[str, Any]:
    """A part that there was none of took nothing: no step was lost, none was done again."""
    if fault is None:
        return {}
    copies, after, recovery = fault["copies"], fault["after"], fault["recovery"]
    spent = {row["name"]: row for row in fault["phases"]}
    known = recovery["joules"] is not None
    return {
        "recovery_s": recovery["seconds"],
        "recovery_J": recovery["joules"],
        **{f"recovery_{part}_s": row["end_s"] - row["start_s"] if (row := spent.get(part)) else 0.0 for part in RECOVERY},
        **{f"recovery_{part}_J": (spent[part]["joules"] if part in spent else 0.0 if known else None) for part in RECOVERY},
        "lost_steps": fault["lost_steps"],
        "copy_s": sum(copies["seconds"]) / len(copies["seconds"]),
        "copy_bytes": copies["payload_bytes"] / len(copies["seconds"]),
        "copies_samples_per_s": copies["samples_per_s"],
        "copies_per_sample_J": copies["per_sample_J"],
        "after_samples_per_s": after["samples_per_s"],
        "after_per_sample_J": after["per_sample_J"],
        "after_ranks": after["ranks"],
    }


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
