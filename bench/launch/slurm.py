"""Inside a SLURM allocation: its hosts from the environment, and ranks started by srun. Pure but for looking for srun.

SLURM says what was allocated in variables; nothing is asked of its daemons, so no scontrol is needed:

    SLURM_JOB_NODELIST=node[01-03,07],gpu1     SLURM_TASKS_PER_NODE=2(x3),1,1     SLURM_CPUS_PER_TASK=4
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from bench.cluster.inventory import Host
from bench.common.user_error import UserError
from bench.launch.mpirun import Job, Launcher, check_emulates, check_survives, seats

GROUP = re.compile(r"\[([^\[\]]*)\]")
RANGE = re.compile(r"^(\d+)(?:-(\d+))?$")
COUNT = re.compile(r"^(\d+)(?:\(x(\d+)\))?$")
MOST_HOSTS = 10_000
BINDINGS = {"none": "none", "core": "cores", "socket": "sockets"}


def hosts_of(environ: Mapping[str, str], board: str, described: Sequence[Host] = ()) -> list[Host]:
    """The hosts of the allocation: slots are its tasks on each, threads its cores for each task.

    A host that an inventory describes keeps what that says of it, but for its slots. Raises UserError outside of an
    allocation, and for variables that cannot be understood.
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
    """``node[01-03,07],gpu1`` as names, in their order: zeros in front are kept. Raises UserError."""
    found = [name for part in _outside_brackets(nodes) for name in _expand_one(part, nodes)]
    if not found or len(set(found)) != len(found):
        raise UserError(f"SLURM_JOB_NODELIST={nodes} cannot be understood; names must be there, each once")
    return found


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
        found = RANGE.match(span.strip())
        if found is None or (found[2] and int(found[2]) < int(found[1])):
            raise UserError(f"SLURM_JOB_NODELIST={whole} cannot be understood at [{match[1]}]; it must be like [01-03,07]")
        first, last = found[1], found[2] or found[1]
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
    given = environ.get("SLURM_TASKS_PER_NODE")
    return [1] * hosts if not given else counts(given, hosts)


def counts(given: str, hosts: int) -> list[int]:
    """``2(x3),1`` as [2, 2, 2, 1]. Raises UserError where it is not one for each of ``hosts``."""
    found: list[int] = []
    for part in given.split(","):
        match = COUNT.match(part.strip())
        if match is None or int(match[1]) < 1:
            raise UserError(f"SLURM_TASKS_PER_NODE={given} cannot be understood at {part}; it must be like 2(x3),1")
        found += [int(match[1])] * int(match[2] or 1)
    if len(found) != hosts:
        raise UserError(f"SLURM_TASKS_PER_NODE={given} speaks of {len(found)} hosts, SLURM_JOB_NODELIST of {hosts}; unset one")
    return found


def _whole(environ: Mapping[str, str], name: str) -> int | None:
    given = environ.get(name)
    if not given:
        return None
    if not given.isdigit() or int(given) < 1:
        raise UserError(f"{name}={given} must be a whole number of at least 1")
    return int(given)


def find_srun() -> str:
    found = shutil.which("srun")
    if found is None:
        raise UserError("cluster.launcher=srun, but srun is not on PATH; start on a node of the allocation, or use mpirun")
    return found


class Srun(Launcher):
    """srun in an allocation: each rank's host by name, so that ranks fill the hosts as mpirun would. MPI must know PMIx."""

    name: ClassVar[str] = "SLURM srun"

    def hostfile(self, hosts: Sequence[Host]) -> str:
        return "".join(f"{host.address}\n" for host in hosts for _ in range(host.slots))

    def command(self, job: Job) -> list[str]:
        if job.agent:
            check_emulates(self)
        check_survives(self, job)
        self._check(job)
        seated = [host.address for host, ranks in seats(job, round_robin=job.oversubscribe) for _ in range(ranks)]
        threads = {host.threads for host in job.hosts}
        width = threads.pop() if len(threads) == 1 else None
        return [
            *(self.program, "--mpi=pmix", f"--ntasks={job.ranks}", "--distribution=arbitrary"),
            *(f"--nodelist={','.join(seated)}", f"--cpu-bind={BINDINGS[job.bind]}"),
            # Since SLURM 22.05 steps do not inherit it.
            *([f"--cpus-per-task={width}"] if width else []),
            *(["--overcommit"] if job.oversubscribe else []),
            "--kill-on-bad-exit=1",
            self._exports(job),
            *self.worker(job, job.hosts[0].python),
        ]

    @staticmethod
    def _check(job: Job) -> None:
        if len({(host.python, tuple(host.env.items())) for host in job.hosts}) > 1:
            raise UserError("hosts with different python or env need mpirun; use cluster.launcher=mpirun, or make them equal")
        users = [host for host in job.hosts if host.user]
        if users:
            raise UserError(f"user={users[0].user} of {users[0].label} is for ssh, which srun does not use; leave it out")

    @staticmethod
    def _exports(job: Job) -> str:
        """One word. ALL: what modules have set, and the values of what is forwarded, which stand on no command line."""
        values = {**job.environment, **job.hosts[0].env}
        if job.interface:
            values["OMPI_MCA_btl_tcp_if_include"] = job.interface
        for name, value in values.items():
            if "," in value:
                raise UserError(
                    f"{name}={value} has a comma, which srun's --export cannot carry; export it and use cluster.forward"
                )
        return ",".join(["--export=ALL", *(f"{name}={value}" for name, value in values.items())])
