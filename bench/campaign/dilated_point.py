"""Boards up for a point, and the dilation of their time: as given, or by what their shares achieve on the point's model."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from bench.campaign.point_launch import cluster_job
from bench.common.atomic_files import write_json, write_text
from bench.common.paths import JOB_FOLDER, import_variables
from bench.common.user_error import UserError
from bench.config.config_json import from_json, to_json
from bench.config.dilation_config import BY_CLASS, BoardSpeed, PointDilation
from bench.config.host_config import Host
from bench.config.point_cluster_config import PointCluster
from bench.config.point_config import PointConfig
from bench.config.testbed_config import Board, Testbed
from bench.emulation.dilated_testbed import dilation_by, in_machine_time, shelf_factor
from bench.emulation.kernel_network import try_out
from bench.emulation.state_files import STATE
from bench.launch.mpirun import own_environment
from bench.launch.supervised_process import RUN_ID, run, telling_line

MODULE = "bench.training.board_speed"
TURN_S = 1.0
MOST_TOKENS = 1024
LIMIT_S = 600.0
ROUNDS = 4
CLOSE = 0.97
"""A factor from here to 1 is taken as it is; below, the boards' shares are made smaller and measured again."""


class Boards(Protocol):
    """What brings boards up: ``bench.emulation.lease.Lease``."""

    def ready(self, cluster: PointCluster, dilation: PointDilation | None = None) -> None:
        """Bring the boards up, or to these rates and shares.

        Args:
            cluster: The cluster whose boards these are.
            dilation: The dilation of their time; None: none.
        """


def on_its_boards(point: PointConfig, boards: Boards) -> PointConfig:
    """Bring the boards of a point up, with the links and shares of its dilation.

    Args:
        point: A resolved point.
        boards: Brings them up; on real hosts it does nothing.

    Returns:
        The point with its dilation, where it has one.

    Raises:
        UserError: This machine cannot, or the speeds could not be measured.
    """
    testbed = point.cluster.emulated
    dilation = None if testbed is None else dilation_of(point, testbed, boards)
    boards.ready(point.cluster, dilation)
    return replace(point, dilation=dilation)


def dilation_of(point: PointConfig, testbed: Testbed, boards: Boards) -> PointDilation | None:
    """The dilation that a point's shelf asks for.

    Args:
        point: A resolved point.
        testbed: Its boards.
        boards: Brings them up for the measurement.

    Returns:
        The dilation: None for none; by a number; or by the classes, measured once while the boards are up.

    Raises:
        UserError: This machine cannot, or the speeds could not be measured.
    """
    if testbed.dilation is None:
        return None
    netem = try_out(["netem", "delay", "1ms"]) is None
    if testbed.dilation != BY_CLASS:
        return dilation_by(testbed, float(testbed.dilation), "given as a number", netem)
    return _kept(point, testbed) or _measured(point, testbed, boards, netem)


def whole_shelf(point: PointConfig, testbed: Testbed) -> PointConfig:
    """The point with a rank on every slot of every board, whoever takes part: a shelf has one dilation for all its points.

    Args:
        point: A resolved point.
        testbed: All boards of its cluster.

    Returns:
        A copy for the measurement.
    """
    known = {host.label: host for host in point.cluster.hosts}
    hosts = tuple(known.get(board.name) or _host(board) for board in testbed.boards)
    return replace(point, cluster=replace(point.cluster, hosts=hosts), ranks=sum(host.slots for host in hosts))


def _host(board: Board) -> Host:
    threads = None if board.quota_cores is None else max(1, math.ceil(board.quota_cores - 1e-9))
    return Host(board.address, board=board.board, name=board.name, threads=threads)


def samples_of(point: PointConfig) -> int:
    """Samples that a board computes at once in the measurement: the point's whole batch, as far as its memory is safe.

    Args:
        point: A resolved point.

    Returns:
        At least 1.
    """
    return max(1, min(point.train.batch, MOST_TOKENS // point.train.seq))


def _key(point: PointConfig, testbed: Testbed) -> str:
    """What a measurement belongs to: boards, model and what they compute at once."""
    about = (asdict(testbed), asdict(point.model.spec), point.train.seq, samples_of(point), point.threads)
    return json.dumps(about, sort_keys=True)


def _kept(point: PointConfig, testbed: Testbed) -> PointDilation | None:
    path = STATE / testbed.name / "dilations.json"
    try:
        known = json.loads(path.read_text())[_key(point, testbed)]
        return from_json(PointDilation, known, str(path))
    except (OSError, ValueError, KeyError, UserError):
        return None  # never measured, or by another version


def _keep(point: PointConfig, testbed: Testbed, dilation: PointDilation) -> None:
    path = STATE / testbed.name / "dilations.json"
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    write_json(path, {**known, _key(point, testbed): to_json(dilation)})


def _measured(point: PointConfig, testbed: Testbed, boards: Boards, netem: bool) -> PointDilation:
    """Measure, and where the classes are slower than the shares make these smaller until they are not."""
    scale = 1.0
    for _ in range(ROUNDS):
        trial = replace(dilation_by(testbed, 1.0, "", True), quota_scale=scale)
        boards.ready(point.cluster, trial)
        speeds = board_speeds(point, in_machine_time(testbed, trial))
        factor = shelf_factor(testbed, speeds)
        if factor >= CLOSE:
            break
        scale *= factor
    else:
        raise UserError(
            f"the boards of {testbed.name} stay faster than their classes, at {scale:.3g} of their shares too; is this machine "
            "busy? Give the dilation as a number (cluster.dilation=1)"
        )
    source = "training rates of the boards' classes over what their shares achieved on this model while all computed"
    dilation = replace(
        dilation_by(testbed, factor, source, netem, speeds, scale), seq=point.train.seq, samples=samples_of(point)
    )
    in_machine_time(testbed, dilation)  # a link that cannot be shaped is told before it is kept
    _keep(point, testbed, dilation)
    return dilation


def board_speeds(point: PointConfig, testbed: Testbed) -> list[BoardSpeed]:
    """What each board achieves now on the point's model. Its boards are up.

    Args:
        point: A resolved point.
        testbed: The boards as they are up.

    Returns:
        The speeds in the order of the testbed.

    Raises:
        UserError: The ranks did not come back with them.
        KeyboardInterrupt: The user ended it.
    """
    shelf = whole_shelf(point, testbed)
    folder, run_id = Path(tempfile.mkdtemp(prefix="edgejoule-speed-")), uuid.uuid4().hex
    try:
        answer = folder / "found.json"
        limits = [board.memory_bytes for board in testbed.boards if board.memory_bytes is not None]
        order = {
            "point": shelf.to_json(),
            "samples": samples_of(shelf),
            "seconds": TURN_S,
            "memory_bytes": min(limits, default=None),
            "found": str(answer),
        }
        write_json(folder / "order.json", order)
        launcher, job = cluster_job(shelf.cluster, {}, shelf.ranks, folder, run_id)
        job = replace(job, module=MODULE, arguments=[str(folder / "order.json")])
        write_text(job.hostfile, launcher.hostfile(job.hosts))
        environment = own_environment(**{RUN_ID: run_id, **import_variables()})
        outcome = run(launcher.command(job), folder / "mpirun.log", LIMIT_S, run_id, JOB_FOLDER, environment)
        if outcome.status == "interrupted":
            raise KeyboardInterrupt
        if not answer.exists():
            raise UserError(
                f"the speed of the boards of {testbed.name} could not be measured ({outcome.status}): "
                f"{telling_line(outcome.log_tail)}; give the dilation as a number, or use cluster.dilation=none"
            )
        return _speeds(testbed, json.loads(answer.read_text())["boards"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _speeds(testbed: Testbed, found: Mapping[str, tuple[float, float]]) -> list[BoardSpeed]:
    return [BoardSpeed(board.name, board.quota_cores, *found[board.name]) for board in testbed.boards if board.name in found]
