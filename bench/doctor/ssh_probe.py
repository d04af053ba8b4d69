"""Whether this machine can start ranks on the others: ssh without a question, the interpreter and the project there."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.common.paths import INSTALLED
from bench.config.host_config import Host
from bench.doctor.doctor_verb import Finding
from bench.doctor.mpirun_jobs import is_here

CONNECT_S = 5
LIMIT_S = 20
AT_ONCE = 8
SSH = ("ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_S}")
CAUSES = (
    ("permission denied", "ssh asks for a password or refuses the key; run: ssh-copy-id {login}"),
    ("host key verification failed", "its host key is not accepted yet; run once by hand: ssh {login} true"),
    ("could not resolve", "its name is unknown here; give its address in the inventory, or add it to /etc/hosts"),
    ("connection refused", "it runs no ssh server; install openssh-server there"),
    ("timed out", "it does not answer; is it on, and in this network?"),
    ("no route to host", "there is no way to it; is it on, and in this network?"),
)


@dataclass(frozen=True)
class Answer:
    """How an ssh ended; ``exit_code`` None: not within LIMIT_S."""

    exit_code: int | None
    output: str
    errors: str
    took_s: float


def remote(host: Host, words: Sequence[str]) -> list[str]:
    """The ssh command that runs words on a host without ever asking. Pure.

    Args:
        host: Where to run it.
        words: The command and its arguments, not quoted.

    Returns:
        The words of the command that runs here.
    """
    return [*SSH, host.login, shlex.join(words)]


def probe(python: str, project: str) -> list[str]:
    """The command that runs on a host and names the missing things, one word each. Pure.

    Args:
        python: Path of the interpreter that the host must have.
        project: Folder of the project that it must have.

    Returns:
        The words of the command.
    """
    script = f"test -x {shlex.quote(python)} || echo python; test -d {shlex.quote(project)}/bench || echo project"
    return ["sh", "-c", script]


def answer(command: Sequence[str]) -> Answer:
    """Run one command to its end, or to LIMIT_S.

    Args:
        command: The program and its arguments.

    Returns:
        Its exit code and output; 127 where it cannot be started.
    """
    begin = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return Answer(None, "", "", time.monotonic() - begin)
    except OSError as error:
        return Answer(127, "", f"{command[0]}: {error.strerror}", time.monotonic() - begin)
    return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)


def judge(host: Host, reply: Answer, python: str, project: str, cluster: str) -> list[Finding]:
    """The findings of an answer to ``probe``. Pure.

    Args:
        host: The host that was asked.
        reply: Its answer.
        python: The interpreter that it must have.
        project: The folder that it must have.
        cluster: The cluster's name, for the advice.

    Returns:
        One failure where it was not reached, else a pass and a failure for each thing that is missing.
    """
    name = host.label
    if reply.exit_code is None:
        return [
            Finding("FAIL", f"{name}: ssh {host.login} does not end within {LIMIT_S} s; try it by hand: ssh {host.login} true")
        ]
    if reply.exit_code == 255 or (reply.exit_code and not reply.output):
        said = next((line.strip() for line in reversed(reply.errors.splitlines()) if line.strip()), "no message")
        hint = next((text for word, text in CAUSES if word in reply.errors.lower()), "try it by hand: ssh {login} true")
        return [Finding("FAIL", f"{name}: not reached over ssh ({said}): {hint.format(login=host.login)}")]
    conclusions = [Finding("PASS", f"{name}: reached over ssh without a password in {reply.took_s:.1f} s")]
    missing = reply.output.split()
    if "project" in missing:
        cure = "install the same version there with pip" if INSTALLED else f"run: python -m bench.doctor push cluster={cluster}"
        conclusions.append(Finding("FAIL", f"{name}: has no {project}/bench; {cure}"))
    if "python" in missing:
        cure = "make the same environment there" if INSTALLED else f"run ./run_all.sh setup in {project} there"
        conclusions.append(Finding("FAIL", f"{name}: has no {python}; {cure}, or give its python: in the inventory"))
    return conclusions


def reach(cluster: Mapping[str, Any], python: str, project: str) -> list[Finding]:
    """Ask every host of a real cluster over ssh; those that are this machine need none.

    Args:
        cluster: The ``cluster`` block of the point.
        python: The interpreter of hosts that state none.
        project: The project's folder, the same on all hosts.

    Returns:
        The findings, host by host.
    """
    hosts = [Host(**host) for host in cluster["hosts"]]
    away = [host for host in hosts if not is_here(host.address)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pythons = [host.python or python for host in away]
        answers = list(pool.map(lambda pair: answer(remote(pair[0], probe(pair[1], project))), zip(away, pythons, strict=True)))
    conclusions = [
        finding
        for host, reply, host_python in zip(away, answers, pythons, strict=True)
        for finding in judge(host, reply, host_python, project, str(cluster["name"]))
    ]
    if away and hosts[0] in away:
        conclusions.append(
            Finding(
                "WARN",
                f"{hosts[0].label} is the first host, and not this machine: rank 0 runs there and writes the records there; "
                f"start from {hosts[0].label}, or have {project} on a file system that both see",
            )
        )
    return conclusions
