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
    """The ssh command that runs ``words`` on a host without ever asking. Pure."""
    return [*SSH, host.login, shlex.join(words)]


def probe(python: str, project: str) -> list[str]:
    """What is run there: names what is missing, one word each. Pure."""
    script = f"test -x {shlex.quote(python)} || echo python; test -d {shlex.quote(project)}/bench || echo project"
    return ["sh", "-c", script]


def answer(command: Sequence[str]) -> Answer:
    """Run one command to its end, or to LIMIT_S."""
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


def judge(host: Host, got: Answer, python: str, project: str, cluster: str) -> list[Finding]:
    """What an answer to ``probe`` means. Pure."""
    name = host.label
    if got.exit_code is None:
        return [
            Finding("FAIL", f"{name}: ssh {host.login} does not end within {LIMIT_S} s; try it by hand: ssh {host.login} true")
        ]
    if got.exit_code == 255 or (got.exit_code and not got.output):
        said = next((line.strip() for line in reversed(got.errors.splitlines()) if line.strip()), "no message")
        hint = next((text for word, text in CAUSES if word in got.errors.lower()), "try it by hand: ssh {login} true")
        return [Finding("FAIL", f"{name}: not reached over ssh ({said}): {hint.format(login=host.login)}")]
    found = [Finding("PASS", f"{name}: reached over ssh without a password in {got.took_s:.1f} s")]
    missing = got.output.split()
    if "project" in missing:
        cure = "install the same version there with pip" if INSTALLED else f"run: python -m bench.doctor push cluster={cluster}"
        found.append(Finding("FAIL", f"{name}: has no {project}/bench; {cure}"))
    if "python" in missing:
        cure = "make the same environment there" if INSTALLED else f"run ./run_all.sh setup in {project} there"
        found.append(Finding("FAIL", f"{name}: has no {python}; {cure}, or give its python: in the inventory"))
    return found


def reach(cluster: Mapping[str, Any], python: str, project: str) -> list[Finding]:
    """Findings about every host of a real cluster. Hosts that are this machine need no ssh."""
    hosts = [Host(**host) for host in cluster["hosts"]]
    away = [host for host in hosts if not is_here(host.address)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pythons = [host.python or python for host in away]
        answers = list(pool.map(lambda pair: answer(remote(pair[0], probe(pair[1], project))), zip(away, pythons, strict=True)))
    found = [
        finding
        for host, got, own in zip(away, answers, pythons, strict=True)
        for finding in judge(host, got, own, project, str(cluster["name"]))
    ]
    if away and hosts[0] in away:
        found.append(
            Finding(
                "WARN",
                f"{hosts[0].label} is the first host, and not this machine: rank 0 runs there and writes the records there; "
                f"start from {hosts[0].label}, or have {project} on a file system that both see",
            )
        )
    return found
