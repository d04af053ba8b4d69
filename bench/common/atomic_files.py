"""Files of a point: written whole or not at all."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

EVENT_TYPES = {
    "rank": pa.int32(),
    "step": pa.int32(),
    "kind": pa.string(),
    "axis": pa.string(),
    "op": pa.string(),
    "phase": pa.string(),
    "payload_bytes": pa.int64(),
    "thread": pa.string(),
    "match": pa.string(),
    "t0_s": pa.float64(),
    "t1_s": pa.float64(),
}


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` in one step: a reader sees the old file or the new one, never a part.

    Args:
        path: The file; its folders are made.
        text: The whole content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as JSON, in one step.

    Args:
        path: The file; its folders are made.
        value: Only what JSON has.

    Raises:
        ValueError: A number is not finite; the message has its key.
    """
    wrong = next(_not_finite(value, ""), None)
    if wrong is not None:
        raise ValueError(f"{path.name}: {wrong} is not a finite number")
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def _not_finite(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _not_finite(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _not_finite(inner, f"{path}[{index}]")


def write_events(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write operations and phases of all ranks as parquet.

    Args:
        path: The file.
        rows: A mapping for each event with the keys of ``EVENT_TYPES``; times in seconds on the common axis.
    """
    columns = {key: pa.array([row[key] for row in rows], kind) for key, kind in EVENT_TYPES.items()}
    _write_table(path, pa.table(columns))


def write_columns(path: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    """Write columns of one length as parquet.

    Args:
        path: The file.
        columns: The values of each, by its name: a sequence or an array.
    """
    _write_table(path, pa.table({name: pa.array(values) for name, values in columns.items()}))


def write_power(
    path: Path, traces: Sequence[Any], to_common_s: Callable[[int, float], float], in_total: Callable[[Any], Sequence[str]]
) -> None:
    """Write raw readings of all hosts as parquet, one row for each channel and sample.

    ``source`` is the meter's name, or the source's. ``t_before_ns`` and ``t_after_ns`` are the host's own clock; ``t_s`` is the
    middle on the common axis, in seconds from the start of the run. The schema's metadata has the channels, with the scale that
    makes joules or watts of the raw integers, the calibration, and which of them make the total.

    Args:
        path: The file.
        traces: A trace for each host and source; its ``raw`` is [samples, channels].
        to_common_s: From a rank and a time of its clock in ns to seconds on the common axis.
        in_total: From a trace to the ids of the channels that make its total.
    """
    parts = []
    for trace in traces:
        middle = (trace.t_before_ns + trace.t_after_ns) / 2
        common = [to_common_s(trace.rank, t_ns) for t_ns in middle.tolist()]
        for column, described in enumerate(trace.channels):
            rows = {
                "host": pa.array([trace.label] * len(common), pa.string()),
                "source": pa.array([trace.meter or trace.source] * len(common), pa.string()),
                "channel": pa.array([described.id] * len(common), pa.string()),
                "t_before_ns": pa.array(trace.t_before_ns, pa.int64()),
                "t_after_ns": pa.array(trace.t_after_ns, pa.int64()),
                "t_s": pa.array(common, pa.float64()),
                "raw": pa.array(trace.raw[:, column], pa.int64()),
            }
            parts.append(pa.table(rows))
    described = [
        {
            "host": t.label,
            "source": t.meter or t.source,
            "kind": t.kind,
            "channels": [asdict(channel) for channel in t.channels],
            "in_total": list(in_total(t)),
            "calibration": None if t.calibration is None else {"gain": t.calibration.gain, "offset_W": t.calibration.offset_W},
        }
        for t in traces
    ]
    _write_table(path, pa.concat_tables(parts).replace_schema_metadata({"channels": json.dumps(described)}))


def _write_table(path: Path, table: pa.Table) -> None:
    partial = path.with_name(f".{path.name}")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)
