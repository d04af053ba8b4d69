"""The hosts of a SLURM allocation, from its environment. Pure.

SLURM says what was allocated in variables; nothing is asked of its daemons, so no scontrol is needed:

    SLURM_JOB_NODELIST=node[01-03,07],gpu1     SLURM_TASKS_PER_NODE=2(x3),1,1     SLURM_CPUS_PER_TASK=4
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.common.user_error import UserError
from bench.config.host_config import Host

GROUP = re.compile(r"\[([^\[\]]*)\]")
RANGE = re.compile(r"^(\d+)(?:-(\d+))?$")
COUNT = re.compile(r"^(\d+)(?:\(x(\d+)\))?$")
MOST_HOSTS = 10_000


def hosts_of(environ: Mapping[str, str], board: str, described: Sequence[Host] = ()) -> list[Host]:
    """The hosts of the allocation: slots are its tasks on each, threads its cores for each task.

    A host that an inventory describes keeps what that says of it, but for its slots.

    Args:
        environ: The environment variables.
        board: The class of hosts that no inventory describes.
        described: Hosts of an inventory, matched by address or name.

    Returns:
        The hosts in the order of the allocation.

    Raises:
        UserError: There is no allocation, or a variable cannot be understood.
    """
    nodes = environ.get("SLURM_JOB_NODELIST") or environ.get("SLURM_NODELIST")
    if not nodes:
        raise UserError(
            "cluster=slurm needs an allocation, and SLURM_JOB_NODELIST is not set; start it inside one: "
            "salloc -N 2 --ntasks-per-node=1 python -m bench ..., or from an sbatch script"
        )
    names = expand(nodes)
    slots = _slots(environ, len(names))
    threads = _whole(environ, "SLURM_CPUS_PER_TASK")
    known = {key: host for host in described for key in (host.address, host.name) if key}
    return [
        replace(
            known.get(name, Host(name, board=board)),
            slots=count,
            threads=(known[name].threads if name in known else None) or threads,
        )
        for name, count in zip(names, slots, strict=True)
    ]


def expand(nodes: str) -> list[str]:
    """Expand SLURM's short form of names, such as ``node[01-03,07],gpu1``.

    Args:
        nodes: The text of SLURM_JOB_NODELIST.

    Returns:
        The names in their order; zeros in front are kept.

    Raises:
        UserError: The text cannot be understood, or has a name twice.
    """
    names = [name for part in _outside_brackets(nodes) for name in _expand_one(part, nodes)]
    if not names or len(set(names)) != len(names):
        raise UserError(f"SLURM_JOB_NODELIST={nodes} cannot be understood; names must be there, each once")
    return names


def _outside_brackets(text: str) -> list[str]:
    """The text cut at commas, but not at those inside of brackets."""
    parts, depth = [""], 0
    for letter in text.strip():
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part]


def _expand_one(part: str, whole: str) -> list[str]:
    match = GROUP.search(part)
    if match is None:
        if "[" in part or "]" in part:
            raise UserError(f"SLURM_JOB_NODELIST={whole} cannot be understood at {part}; a bracket is not closed")
        return [part]
    numbers: list[str] = []
    for span in match[1].split(","):
        bounds = RANGE.match(span.strip())
        if bounds is None or (bounds[2] and int(bounds[2]) < int(bounds[1])):
            raise UserError(f"SLURM_JOB_NODELIST={whole} cannot be understood at [{match[1]}]; it must be like [01-03,07]")
        first, last = bounds[1], bounds[2] or bounds[1]
        if int(last) - int(first) >= MOST_HOSTS:
            raise UserError(f"SLURM_JOB_NODELIST={whole} names more than {MOST_HOSTS} hosts at [{span}]")
        numbers += [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    before, after = part[: match.start()], part[match.end() :]
    return [before + number + rest for number in numbers for rest in _expand_one(after, whole)]


def _slots(environ: Mapping[str, str], hosts: int) -> list[int]:
    """Tasks on each host: SLURM_NTASKS_PER_NODE where it was asked for, SLURM_TASKS_PER_NODE, else one."""
    each = _whole(environ, "SLURM_NTASKS_PER_NODE")
    if each is not None:
        return [each] * hosts
    per_node = environ.get("SLURM_TASKS_PER_NODE")
    return [1] * hosts if not per_node else counts(per_node, hosts)


def counts(text: str, hosts: int) -> list[int]:
    """Expand SLURM's short form of counts: ``2(x3),1`` as [2, 2, 2, 1].

    Args:
        text: The text of SLURM_TASKS_PER_NODE.
        hosts: How many hosts the allocation has.

    Returns:
        Slots of each host.

    Raises:
        UserError: The text cannot be understood, or is not one count for each host.
    """
    slots: list[int] = []
    for part in text.split(","):
        match = COUNT.match(part.strip())
        if match is None or int(match[1]) < 1:
            raise UserError(f"SLURM_TASKS_PER_NODE={text} cannot be understood at {part}; it must be like 2(x3),1")
        slots += [int(match[1])] * int(match[2] or 1)
    if len(slots) != hosts:
        raise UserError(f"SLURM_TASKS_PER_NODE={text} speaks of {len(slots)} hosts, SLURM_JOB_NODELIST of {hosts}; unset one")
    return slots


def _whole(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name)
    if not text:
        return None
    if not text.isdigit() or int(text) < 1:
        raise UserError(f"{name}={text} must be a whole number of at least 1")
    return int(text)
