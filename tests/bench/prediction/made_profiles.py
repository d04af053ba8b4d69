"""Profiles whose numbers are easy: what they predict can be computed by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.point import hydra_compose, resolved_point
from bench.prediction.cluster_profile import Curve, HostProfile, LinkProfile, Profile, subject

BLOCK_S, EMBED_S, HEAD_S = 0.010, 0.002, 0.004
"""Forward of one sample on a board of speed 1; a backward takes twice as long."""
UPDATE_S = 1e-9
LATENCY_S, RATE_BIT_S = 1e-3, 8e8
MEMORY = 4 * 2**30


def host(label: str, board: str = "pi", speed: float = 1.0, ends: bool = True, **changes: Any) -> HostProfile:
    """Times in proportion to samples and to the share of the heads. Without ``ends`` embedding and head cost nothing."""

    def curve(part: Any, tensor: int, seconds: float) -> Curve:
        each = seconds / speed / tensor
        return Curve(part, tensor, (1, 32), (each, 32 * each), (2 * each, 64 * each))

    curves = [
        curve(part, tensor, seconds)
        for tensor in (1, 2)
        for part, seconds in (("embed", EMBED_S * ends), ("block", BLOCK_S), ("head", HEAD_S * ends))
    ]
    values: dict[str, Any] = {
        "host": label, "board": board, "slots": 1, "threads": 4, "cores": 4.0, "busy_cores": 4.0,
        "waiting_cores": {"spin": 1.0, "poll": 0.0}, "optimizer_s": {"adamw": UPDATE_S / speed, "sgd": 0.0},
        "curves": tuple(curves), "watts": {"idle_W": 2.0, "busy_W": 6.0}, "memory_bytes": MEMORY, "baseline_bytes": 2**28,
    }  # fmt: skip
    return HostProfile(**{**values, **changes})


def profile(hosts: Sequence[HostProfile], about: Mapping[str, Any] | None = None, **changes: Any) -> Profile:
    """All pairs of hosts, and ranks of one host, on links of LATENCY_S and RATE_BIT_S."""
    labels = [one.host for one in hosts]
    links = tuple(
        LinkProfile(one, other, LATENCY_S, RATE_BIT_S, RATE_BIT_S) for i, one in enumerate(labels) for other in labels[i:]
    )
    given = {"made": "2026-11-29", "git": None, "kind": "made up", **(about or {})}
    return Profile(**{"about": given, "hosts": tuple(hosts), "links": links, "ranks": len(hosts), "all_reduce": {}, **changes})


def composed(*overrides: str) -> dict[str, Any]:
    return hydra_compose.composed(["model=gpt2-tiny", "task=lm", "energy=none", *overrides])


def resolved(folder: Path, *overrides: str) -> dict[str, Any]:
    return resolved_point.resolve(composed(*overrides), None, folder / "results")


def cluster(folder: Path, *speeds: float) -> list[str]:
    """Overrides for real boards, pi-1, pi-2, ...; those of another speed are of another class."""
    rows = [f"  - {{address: pi-{n}, slots: 1, board: {board_of(speed)}}}" for n, speed in enumerate(speeds, 1)]
    path = folder / "boards.yaml"
    path.write_text("\n".join(["hosts:", *rows, ""]))
    return [f"cluster.hostfile={path}", f"ranks={len(speeds)}"]


def board_of(speed: float) -> str:
    return {1.0: "raspberry-pi-4", 2.0: "raspberry-pi-5"}.get(speed, "jetson-orin-nano")


def written(folder: Path, overrides: Sequence[str], speeds: Sequence[float], **changes: Any) -> Path:
    """A profile of that cluster, as a file."""
    point = resolved(folder, *overrides)
    hosts = point.cluster.hosts
    made = profile(
        [host(one.label, one.board, speed, **changes) for one, speed in zip(hosts, speeds, strict=True)],
        {"subject": subject(point)},
    )
    path = folder / "profile.json"
    path.write_text(json.dumps(made.to_dict()))
    return path
