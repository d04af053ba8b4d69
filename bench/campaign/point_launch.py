"""One point: its files, its mpirun, and the judgement of how it ended."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from bench.common.atomic_files import write_json, write_text
from bench.common.paths import JOB_FOLDER, import_variables
from bench.conditions import environment
from bench.config.point_cluster_config import PointCluster
from bench.config.point_config import PointConfig
from bench.emulation import lifecycle
from bench.emulation.state_files import agent_command
from bench.launch.held_job import HELD, HeldJob
from bench.launch.launchers import forwarded, launcher_of
from bench.launch.mpirun import Job, Launcher, own_environment
from bench.launch.supervised_process import RUN_ID, Outcome, run, telling_line
from bench.record.point_block import point_block
from bench.record.record import Record, Status
from bench.record.record_file import load_record

OUT_OF_MEMORY = ("error: out of memory on rank", "oom-kill", "Out of memory")
STATUS_OF: dict[str, Status] = {"timeout": "timeout", "interrupted": "interrupted"}
WORKER = "bench.run.worker"


def job_of(point: PointConfig) -> tuple[Launcher, Job]:
    """The launcher of this machine and the job of a point. Nothing is started but ``mpirun --version``.

    Args:
        point: A resolved point; one without a ``run_id`` is for a dry run.

    Returns:
        The launcher, and the job for it.
    """
    launcher, job = cluster_job(point.cluster, point.energy, point.ranks, point.folder, point.run_id or "dry-run")
    return launcher, replace(job, survives=point.fault is not None)


def cluster_job(
    cluster: PointCluster, energy: Mapping[str, Any], ranks: int, folder: Path, run_id: str
) -> tuple[Launcher, Job]:
    """The launcher of this machine and a job of ``ranks`` ranks on a cluster.

    Args:
        cluster: Its hosts are filled in their order.
        energy: The ``energy`` block: passwords of its meters go to the ranks by name.
        ranks: How many ranks.
        folder: Where the job's files are: ``hostfile`` and ``config.json``.
        run_id: Marks the processes of the job.

    Returns:
        The launcher, and the job for it.
    """
    launcher = launcher_of(cluster)
    job = Job(
        ranks=ranks,
        hosts=list(cluster.hosts),
        hostfile=folder / "hostfile",
        module=os.environ.get("EDGEJOULE_WORKER", WORKER),
        arguments=[str(folder / "config.json")],
        environment={**cluster.env, RUN_ID: run_id, **import_variables()},
        python=sys.executable,
        interface=cluster.interface,
        oversubscribe=cluster.oversubscribe,
        root=os.geteuid() == 0,
        agent=agent_command(cluster.name) if cluster.emulated is not None else None,
        bind=cluster.bind,
        forward=forwarded(cluster, energy),
    )
    return launcher, job


@dataclass(frozen=True)
class HeldPoint:
    """A point whose job was started before its turn."""

    point: PointConfig
    job: HeldJob


def start_ahead(config: PointConfig) -> HeldPoint:
    """Start the job of a point, whose ranks load and wait. Its config.json is written when its turn comes.

    Args:
        config: The point; an unfinished try in its folder is removed.

    Returns:
        The point with its command and run id, and its job.

    Raises:
        OSError, UserError: It cannot be started.
    """
    if config.folder.exists():
        shutil.rmtree(config.folder)
    config.folder.mkdir(parents=True)
    point = replace(config, run_id=uuid.uuid4().hex)
    launcher, job = job_of(point)
    command = launcher.command(replace(job, environment={**job.environment, HELD: "1"}))
    point = replace(point, command=shlex.join(launcher.command(job)))
    write_text(job.hostfile, launcher.hostfile(job.hosts))
    held = HeldJob(command, point.folder / "mpirun.log", str(point.run_id), JOB_FOLDER, _environment(point))
    return HeldPoint(point, held)


def let_go(held: HeldPoint, config: PointConfig, measured: Callable[[], None]) -> Record:
    """Run a point whose job is waiting. Never raises for a failed job.

    Args:
        held: The waiting job.
        config: The point as it is to run.
        measured: Called once, when the point says that nothing more of it is measured.

    Returns:
        Its record, which then stands in its folder.
    """
    point = replace(config, run_id=held.point.run_id, command=held.point.command)
    started = datetime.now(timezone.utc)
    try:
        write_files(point)
    except BaseException:
        held.job.end()
        raise
    killed = oom_kills(point)
    outcome = held.job.run(point.timeout_s, measured)
    return judge(point, outcome, started, [board for board, count in oom_kills(point).items() if count > killed.get(board, 0)])


def launch(config: PointConfig) -> Record:
    """Run one point to its end. Never raises for a failed job.

    Args:
        config: The point; an unfinished try in its folder is removed.

    Returns:
        Its record, which then stands in its folder.
    """
    folder = config.folder
    if folder.exists():
        shutil.rmtree(folder)  # what an unfinished try left
    folder.mkdir(parents=True)
    point = replace(config, run_id=uuid.uuid4().hex)
    launcher, job = job_of(point)
    command = launcher.command(job)
    point = replace(point, command=shlex.join(command))
    write_text(job.hostfile, launcher.hostfile(job.hosts))
    write_files(point)
    started = datetime.now(timezone.utc)
    killed = oom_kills(point)
    outcome = run(command, folder / "mpirun.log", point.timeout_s, str(point.run_id), JOB_FOLDER, _environment(point))
    return judge(point, outcome, started, [board for board, count in oom_kills(point).items() if count > killed.get(board, 0)])


def write_files(config: PointConfig) -> None:
    """config.json for the worker, config.yaml to read, command.sh to run the point's mpirun again.

    Args:
        config: The point; without its ``command`` there is no command.sh.
    """
    plain, folder = config.to_json(), config.folder
    write_json(folder / "config.json", plain)
    write_text(folder / "config.yaml", yaml.safe_dump(plain, sort_keys=False))
    if config.command is not None:
        script = f"#!/bin/sh\ncd {shlex.quote(str(JOB_FOLDER))} && {RUN_ID}={config.run_id} {config.command}\n"
        write_text(folder / "command.sh", script)


def _environment(config: PointConfig) -> dict[str, str]:
    return own_environment(**{RUN_ID: str(config.run_id), **import_variables()})


def oom_kills(config: PointConfig) -> dict[str, int]:
    """How many processes of each emulated board the kernel has killed for memory.

    Args:
        config: A point.

    Returns:
        The count by board, since the boards are up; empty for real hosts.
    """
    testbed = config.cluster.emulated
    return {} if testbed is None else lifecycle.oom_kills(testbed)


def judge(config: PointConfig, outcome: Outcome, started: datetime, out_of_memory: Sequence[str] = ()) -> Record:
    """The record that the ranks wrote, or one that says how the job ended instead.

    Args:
        config: The point.
        outcome: How its mpirun ended, with the last lines of the log.
        started: When mpirun was started.
        out_of_memory: Emulated boards on which the kernel has ended a process for its memory limit.

    Returns:
        The record, which then stands in the point's folder.
    """
    path = config.folder / "result.json"
    if path.exists() and outcome.status == "ended":
        return load_record(path)
    text = "\n".join(outcome.log_tail)
    status: Status = STATUS_OF.get(outcome.status, "oom" if any(word in text for word in OUT_OF_MEMORY) else "failed")
    if out_of_memory and status != "interrupted":
        status = "oom"
    reasons = {
        "timeout": f"no end after timeout_s={config.timeout_s}; last line: {telling_line(outcome.log_tail)}",
        "interrupted": "interrupted by the user",
        "oom": over_limit(config, out_of_memory) if out_of_memory else telling_line(outcome.log_tail),
        "failed": f"exit code {outcome.exit_code}: {telling_line(outcome.log_tail)}",
    }
    about = replace(
        environment.collect_code(),
        hosts=[environment.collect_host("launch host", None)],
        command=config.command,
        overrides=None if config.overrides is None else list(config.overrides),
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    record = Record(
        status=status,
        reason=reasons[status],
        point=point_block(config),
        checks=[],
        environment=about,
        log_tail=outcome.log_tail,
    )
    write_json(path, record.to_dict())
    return record


def over_limit(config: PointConfig, boards: Sequence[str]) -> str:
    """The line for boards whose memory a point exceeded.

    Args:
        config: The point.
        boards: Names of emulated boards.

    Returns:
        The reason for the record, with the limits in MiB.
    """
    testbed = config.cluster.emulated
    limits = {} if testbed is None else {board.name: board.memory_bytes for board in testbed.boards}
    each = ", ".join(f"{board} ({limit / 2**20:.0f} MiB)" for board in boards if (limit := limits.get(board)))
    return f"out of memory: the kernel ended a process at the memory limit of {each or ', '.join(boards)}"
