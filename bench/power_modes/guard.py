"""One process per host that keeps its power mode for a run and puts everything back afterwards, whatever happens.

A process of its own, in a session of its own and without the run's id, so that neither mpirun's clean-up nor ours ends it with
the ranks. It is told what to do by a line of JSON on stdin: it saves the state of all that it will touch, writes that to its
journal, sets and verifies the mode, and answers with a line. When stdin closes (the run is over, or its rank died) or at
SIGTERM, SIGINT or SIGHUP it restores the saved state, verifies that, and says so. If it is killed outright, the next guard of
the host finds the journal and restores first.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from bench.common.paths import JOB_FOLDER
from bench.common.user_error import UserError
from bench.power_modes import mode_choice
from bench.power_modes.controls import Control, ControlValue
from bench.power_modes.journal import FOLDER, Journal, boot_id
from bench.power_modes.machine_files import Machine

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
START_TIMEOUT_S = 300.0
RELEASE_TIMEOUT_S = 300.0
Saved = Sequence[tuple[Control, Any]]


class GuardOrder(TypedDict):
    """The line to the guard process: name and settings of the mode, where the machine is, and the journal's folder."""

    name: str
    mode: Mapping[str, ControlValue]
    root: str
    label: str
    folder: str | None


class SetControl(TypedDict):
    """A control that was set: its name, the value of the mode, and the state before."""

    control: str
    value: ControlValue
    before: Any


class GuardAnswer(TypedDict, total=False):
    """A line from the guard process: of its start the first two keys, of its end the next two, of a refusal ``error``."""

    set: list[SetControl]
    recovered: str | None
    restored: bool
    problem: str | None
    error: str


def serve() -> int:
    """The process; 0 when everything is as it was before."""
    woken = _listen()
    line = sys.stdin.readline()
    if not line:
        return 0
    order: GuardOrder = json.loads(line)
    machine = Machine(Path(order["root"]))
    journal = Journal(Path(order["folder"]) if order["folder"] else machine.root / FOLDER)
    try:
        with journal.held():
            return _keep(order, machine, journal, woken)
    except UserError as error:
        _say({"error": str(error)})
        return 1


def _keep(order: GuardOrder, machine: Machine, journal: Journal, woken: int) -> int:
    """Recover, set, wait, restore. Raises UserError only while nothing is set."""
    recovered = recover(machine, journal)
    if recovered:
        _complain(f"power mode of {order['label']}: {recovered}")
    steps = mode_choice.steps(order["mode"], machine, journal.folder)
    saved = [(control, control.save()) for control, _ in steps]
    if saved:
        journal.write(machine, order["name"], {control.name: state for control, state in saved})
    refused = None
    try:
        refused = set_all(steps)
        if refused is None:
            set_to: list[SetControl] = [
                {"control": control.name, "value": value, "before": state}
                for (control, value), (_, state) in zip(steps, saved, strict=True)
                if value is not None
            ]
            _say({"set": set_to, "recovered": recovered})
            select.select([sys.stdin, woken], [], [])
    finally:  # also where our own code is wrong: the board comes first
        left = put_back(saved)
        if not left:
            journal.remove()
    if left:
        _complain(f"power mode of {order['label']} was not restored; set back by hand as root: {'; '.join(left)}")
    problem = f"not restored, set back by hand as root: {'; '.join(left)}" if left else None
    if refused is not None:
        _say({"error": refused if problem is None else f"{refused}; also {problem}"})
    else:
        _say({"restored": not left, "problem": problem})
    return 1 if left else 0


def set_all(steps: Sequence[mode_choice.Step]) -> str | None:
    """Set and verify every step, and verify all again at the end: a later control may undo an earlier one.

    Args:
        steps: Controls with their values, in the order in which they are set; those with None are left as they are.

    Returns:
        The refusal, in one line; None where every value holds.
    """
    to_set = [(control, value) for control, value in steps if value is not None]
    try:
        for control, value in to_set:
            control.apply(value)
            control.verify(value)
        for control, value in to_set:
            control.verify(value)
    except UserError as error:
        return str(error)
    return None


def put_back(saved: Saved) -> list[str]:
    """Restore in reverse order and verify.

    Then once more forwards, those that do not hold: cores that nvpmodel turned off have no frequencies to restore until
    nvpmodel is back, and it sets them anew.

    Args:
        saved: Controls with the states to restore, in the order in which they were set.

    Returns:
        Commands for a root shell that set back what could not be restored; empty where all is as it was.
    """
    for control, state in reversed(saved):
        with contextlib.suppress(UserError):
            control.restore(state)
    left = []
    for control, state in saved:
        try:
            if not control.holds(state):
                control.restore(state)
            good = control.holds(state)
        except UserError:
            good = False
        if not good:
            left.append(control.by_hand(state))
    return left


def recover(machine: Machine, journal: Journal) -> str | None:
    """Restore what a killed guard left.

    After a reboot only what outlives one is restored; the rest is the board's own again.

    Args:
        machine: The machine of the host.
        journal: Its journal, which this guard holds.

    Returns:
        What was restored, in one line; None where nothing was left.

    Raises:
        UserError: A state cannot be restored.
    """
    entry = journal.read()
    if entry is None:
        return None
    same_boot = entry.boot_id == boot_id(machine)
    saved = [
        (mode_choice.CONTROLS[name](machine, journal.folder), state)
        for name, state in entry.states.items()
        if same_boot or mode_choice.CONTROLS[name].survives_reboot
    ]
    left = put_back(saved)
    if left:
        raise UserError(
            f"the guard of an earlier run was killed in power mode {entry.mode}, and what it left cannot be restored; as "
            f"root: {'; '.join(left)}; rm {journal.path}"
        )
    journal.remove()
    what = ", ".join(control.name for control, _ in saved) or "nothing: the board was rebooted"
    return f"the guard of an earlier run was killed in power mode {entry.mode}; restored before this run: {what}"


def _listen() -> int:
    """Let the signals wake us instead of ending us; the descriptor that becomes readable."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    return reads


def _say(answer: GuardAnswer) -> None:
    """A line for the parent, which may be gone."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), (json.dumps(answer) + "\n").encode())


def _complain(line: str) -> None:
    """A line for the person; the journal keeps what it is about where nobody reads this."""
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), f"{line}\n".encode())


class Guard:
    """The parent's side of a host's guard process.

    ``mode`` is what is to be set (empty: only recover), ``folder`` that of the journal (None: the host's own).
    """

    def __init__(self, name: str, mode: Mapping[str, ControlValue], root: str, label: str, folder: str | None = None) -> None:
        self.order: GuardOrder = {"name": name, "mode": dict(mode), "root": root, "label": label, "folder": folder}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process; None where nothing is kept."""
        return None if self._process is None else self._process.pid

    def start(self) -> GuardAnswer:
        """Set the mode, and say what was set. Raises UserError, when everything is as before, if that cannot be."""
        from bench.launch.mpirun import own_environment
        from bench.launch.supervised_process import RUN_ID

        environment = {key: value for key, value in own_environment().items() if key != RUN_ID}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.power_modes.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=JOB_FOLDER,
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self.order).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answer(START_TIMEOUT_S)
        if answer is None or "error" in answer:
            self.release()
            raise UserError("the power guard ended at once; its error is in the log" if answer is None else answer["error"])
        return answer

    def release(self) -> GuardAnswer | None:
        """Let it restore, and wait for that: what it says of it. None where nothing is kept. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            output, _ = process.communicate(timeout=RELEASE_TIMEOUT_S)  # closes its stdin
        except subprocess.TimeoutExpired:  # never killed: it may still get there
            return {
                "restored": False,
                "problem": f"the guard (process {process.pid}) still restores after {RELEASE_TIMEOUT_S:.0f} s",
            }
        lines = output.decode().splitlines()
        return json.loads(lines[-1]) if lines else {"restored": False, "problem": "the guard was killed; the next run restores"}

    def _answer(self, timeout_s: float) -> GuardAnswer | None:
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            return {"error": f"the power guard did not answer in {timeout_s:.0f} s; set the mode by hand to see why"}
        line = self._process.stdout.readline()
        return json.loads(line) if line else None


if __name__ == "__main__":
    sys.exit(serve())
