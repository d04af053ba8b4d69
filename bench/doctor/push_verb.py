"""The verb ``push``: code, data and weights to all hosts of a cluster, by rsync over ssh."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.common.exit_codes import OK
from bench.common.paths import INSTALLED, PROJECT, weights_root
from bench.common.user_error import UserError
from bench.common.weight_files import checkpoint_dir
from bench.config.host_config import Host
from bench.doctor import doctor_verb
from bench.doctor.mpirun_jobs import is_here
from bench.doctor.ssh_probe import SSH, remote
from bench.point import resolved_point

HELP = """usage: python -m bench.doctor push cluster=NAME [model=NAME] [doctor.dry_run=true]

Brings this folder to the same path on every other host of the cluster by rsync over ssh: code (files that are gone here go
there too, in the folders of code alone), data and weights. Left out: .git, .venv, results, report and caches. Each host
makes its own environment: ./run_all.sh setup there.

  doctor.dry_run=true   print the commands and run nothing

Examples:
  python -m bench.doctor push cluster=two-boards
  python -m bench.doctor push cluster.hostfile=my_hosts.yaml doctor.dry_run=true
"""
DEFAULTS = {"dry_run": False}
CODE = ("edgejoule", "bench", "strategies", "analysis", "hydra_plugins", "benchmarks", "tests")
NOT = (
    *("/.git", "/.venv", "/results", "/report", "/outputs", "/build", "/dist"),
    *("__pycache__", "*.pyc", ".*_cache", ".hypothesis", "*.egg-info"),
)
NO_SOURCE = (
    f"push brings a source tree to the hosts, and this is an installed package ({PROJECT}); install the same version on every "
    f"host into {sys.prefix} with pip, or start push from a clone of the repository"
)
INSTALL = "rsync is not installed here; install it here and on all hosts: apt install rsync"


@dataclass(frozen=True)
class Step:
    """One command of bringing files to a host."""

    what: str
    command: list[str]


def steps(host: Host, project: Path, elsewhere: Sequence[Path], present: Sequence[str]) -> list[Step]:
    """The commands for one host. Pure.

    Only folders of code are mirrored: a module that is gone here would still be imported there. In all others files of the
    host's own are kept.

    Args:
        host: The host that gets the files.
        project: The project's folder, the same on both sides.
        elsewhere: Folders outside of the project that a run reads.
        present: Those of CODE that are here.

    Returns:
        The steps in their order.
    """
    folders = [project, *elsewhere]
    excludes = [f"--exclude={name}" for name in NOT]
    there = f"{host.login}:{project}/"
    mirror = ["rsync", "-a", "-e", shlex.join(SSH)]
    # Weights may be a link to where they really are, and that is not there on the host. Code is copied with its links as
    # they are: the sensors' trees of the tests have circles, as sysfs has, and following them never ends.
    rsync = ["rsync", "-a", "--copy-unsafe-links", "-e", shlex.join(SSH)]
    brought = [f"--exclude=/{name}" for name in present]
    code = [str(project / name) for name in present]
    return [
        Step("folders", remote(host, ["mkdir", "-p", *map(str, folders)])),
        *([Step("code", [*mirror, "--delete", *excludes, *code, there])] if code else []),
        Step("the rest", [*rsync, *excludes, *brought, f"{project}/", there]),
        *(Step(f"{folder}", [*rsync, f"{folder}/", f"{host.login}:{folder}/"]) for folder in elsewhere),
    ]


def elsewhere(checkpoint: str | None) -> list[Path]:
    """Folders of weights outside of the project.

    Args:
        checkpoint: The model's checkpoint; None for a model without one.

    Returns:
        Absolute paths, none inside of another.

    Raises:
        UserError: The model's weights are missing here.
    """
    folders = [weights_root().absolute()] if weights_root().is_dir() else []
    if checkpoint is not None:
        folders.append(checkpoint_dir(checkpoint).absolute())
    outside = [folder for folder in folders if not folder.is_relative_to(PROJECT)]
    return [folder for folder in dict.fromkeys(outside) if not any(folder.is_relative_to(o) for o in outside if o != folder)]


def main(words: Sequence[str]) -> int:
    """Bring everything to every host; 1 where one failed. Raises UserError and Hydra's errors."""
    if INSTALLED:
        raise UserError(NO_SOURCE)
    overrides, options = doctor_verb.split(words, DEFAULTS)
    plain = doctor_verb.composed(overrides)
    cluster, _ = resolved_point.cluster_of(plain)
    if "emulated" in cluster:
        raise UserError(
            f"cluster {cluster['name']} has emulated boards, which see the files of this machine; there is nothing to push"
        )
    away = [host for host in (Host(**host) for host in cluster["hosts"]) if not is_here(host.address)]
    if not away:
        print(f"all hosts of cluster {cluster['name']} are this machine: nothing to push")
        return OK
    outside = elsewhere(plain["model"]["checkpoint"])
    present = [name for name in CODE if (PROJECT / name).is_dir()]
    if options["dry_run"]:
        for host in away:
            for step in steps(host, PROJECT, outside, present):
                print(shlex.join(step.command))
        return OK
    if shutil.which("rsync") is None:
        raise UserError(INSTALL)
    conclusions = [bring(host, steps(host, PROJECT, outside, present)) for host in away]
    doctor_verb.show(conclusions)
    return doctor_verb.exit_code(conclusions)


def bring(host: Host, todo: Sequence[Step]) -> doctor_verb.Finding:
    """Run the steps for one host until one fails. Others are not touched by it.

    Args:
        host: The host that gets the files.
        todo: Its commands in their order.

    Returns:
        PASS, or FAIL with the step that failed and its message.
    """
    for step in todo:
        print(f"{host.label}: {step.what}", file=sys.stderr, flush=True)
        done = subprocess.run(step.command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if done.returncode:
            said = next((line.strip() for line in done.stderr.splitlines() if line.strip()), "no message")
            hint = (
                "install rsync there: apt install rsync"
                if done.returncode == 127 or "rsync: not found" in done.stderr
                else ("see python -m bench.doctor cluster")
            )
            return doctor_verb.Finding(
                "FAIL", f"{host.label}: {step.what} did not arrive (exit code {done.returncode}: {said}); {hint}"
            )
    return doctor_verb.Finding("PASS", f"{host.label}: has this code, its data and weights in {PROJECT}")


VERB = doctor_verb.Verb("push", "brings code, data and weights to all hosts of a cluster by rsync", HELP, main)
