"""The host inventory: our YAML, or a plain hostfile of Open MPI or MPICH."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.errors import UserError

LINE = re.compile(r"^(?P<address>[^\s:=]+)(?::(?P<mpich>\d+))?(?P<rest>(\s+\S+=\S+)*)\s*$")
KEYS = ("address", "slots", "board", "python", "threads", "name")


@dataclass(frozen=True)
class Host:
    """One machine. ``slots`` are the ranks it takes; ``python`` (null: the same as here) must be the same path wherever
    it is null; ``threads`` (null: cores / slots) are those of one rank."""

    address: str
    slots: int = 1
    board: str = ""
    python: str | None = None
    threads: int | None = None
    name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_inventory(path: Path, board: str) -> list[Host]:
    """Hosts in their order; ``board`` is the class of those that name none. UserError, with the line, for a bad file."""
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"hostfile {path} cannot be read ({error.strerror}); give cluster.hostfile=PATH") from None
    hosts = _from_yaml(path, text) if path.suffix in (".yaml", ".yml") else _from_lines(path, text)
    if not hosts:
        raise UserError(f"hostfile {path} names no host; add a line such as: localhost slots=2")
    twice = [address for address, count in Counter(host.address for host in hosts).items() if count > 1]
    if twice:
        raise UserError(f"hostfile {path} names {twice[0]} twice; give it once with all of its slots")
    return [Host(**{**host.to_dict(), "board": host.board or board}) for host in hosts]


def _from_yaml(path: Path, text: str) -> list[Host]:
    try:
        rows = (yaml.safe_load(text) or {}).get("hosts") or []
    except (yaml.YAMLError, AttributeError) as error:
        raise UserError(f"hostfile {path} is not YAML with a list of hosts ({str(error).splitlines()[0]})") from None
    hosts = []
    for row in rows:
        unknown = sorted(set(row) - set(KEYS))
        if unknown or "address" not in row:
            wrong = f"unknown key {unknown[0]}" if unknown else "no address"
            raise UserError(f"hostfile {path}: {row} has {wrong}; keys are {', '.join(KEYS)}")
        hosts.append(Host(**{**row, "address": str(row["address"]), "slots": _slots(path, row.get("slots", 1))}))
    return hosts


def _from_lines(path: Path, text: str) -> list[Host]:
    hosts = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        match = LINE.match(line)
        if match is None:
            raise UserError(f"hostfile {path} line {number}: {line!r} is neither 'host slots=N' nor 'host:N'")
        given = dict(word.split("=", 1) for word in match["rest"].split())
        hosts.append(Host(match["address"], _slots(path, given.get("slots", match["mpich"] or 1))))
    return hosts


def _slots(path: Path, value: Any) -> int:
    if not str(value).isdigit() or int(value) < 1:
        raise UserError(f"hostfile {path}: slots={value} must be a whole number of at least 1")
    return int(value)


def check_slots(ranks: int, hosts: Sequence[Host], cluster: str, oversubscribe: bool) -> None:
    slots = sum(host.slots for host in hosts)
    if ranks > slots and not oversubscribe:
        each = ", ".join(f"{host.address}: {host.slots}" for host in hosts)
        raise UserError(
            f"ranks={ranks} needs {ranks} slots; cluster {cluster} has {slots} ({each}); use ranks={slots}, more hosts, "
            "or cluster.oversubscribe=true"
        )
