"""The monitored command as a child process: its streams untouched, signals handed on, its end passed on as it was."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
    signal.SIGTSTP,
    signal.SIGWINCH,
)
FROM_TERMINAL = 0x80
"""``si_code`` SI_KERNEL: the terminal's driver sends to all of the foreground group, the child too."""
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Ended:
    """How the command ended: ``code`` as subprocess has it (negative: by that signal), at CLOCK_MONOTONIC ``t_ns``."""

    code: int
    t_ns: int


class WrappedCommand:
    """A command that runs as a child of this process.

    Args:
        command: Its words.
        variables: Added to its environment.
        to_group: Whether signals go to its whole process group, as launchers send them, and not to the command alone.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], to_group: bool = False) -> None:
        self.command, self.variables, self.to_group = list(command), dict(variables), to_group
        self.own_group = not _in_foreground()
        """Whether it has a process group of its own; on a terminal it stays in ours, or it could not read from it."""

    def start(self) -> int:
        """Start it.

        Returns:
            Its process id.

        Raises:
            OSError: It cannot be started.
        """
        watched = {*FORWARDED, signal.SIGCHLD}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        signal.signal(signal.SIGINT, _keep(signal.SIGINT))
        for number in (*FORWARDED, signal.SIGCHLD):
            if signal.getsignal(number) is signal.SIG_DFL:  # what is ignored by default would never be seen
                signal.signal(number, _nothing)
        mask, own_group, parent = self._mask, self.own_group, os.getpid()
        libc = ctypes.CDLL(None)

        def in_child() -> None:
            if own_group:
                os.setpgid(0, 0)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        self.started_ns = time.monotonic_ns()
        self._child = subprocess.Popen(
            self.command,
            env={**os.environ, **self.variables},
            close_fds=False,  # launchers hand descriptors on (PMI_FD)
            preexec_fn=in_child,
        )
        return self._child.pid

    def wait(self, on_signal: Callable[[int], None] | None = None) -> Ended:
        """Wait for its end; meanwhile hand signals on.

        Args:
            on_signal: Is told the number of each signal that was handed on.

        Returns:
            How it ended.
        """
        watched = {*FORWARDED, signal.SIGCHLD}
        while True:
            code = self._child.poll()
            if code is not None:
                return Ended(code, time.monotonic_ns())
            came = signal.sigwaitinfo(watched)
            if came.si_signo == signal.SIGCHLD:
                continue
            if self.own_group or came.si_code != FROM_TERMINAL:
                self._send(came.si_signo)
                if on_signal is not None:
                    on_signal(came.si_signo)
            elif came.si_signo == signal.SIGTSTP:
                os.kill(os.getpid(), signal.SIGSTOP)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.own_group and self.to_group:
                os.killpg(self._child.pid, number)
            else:
                self._child.send_signal(number)


def pass_on(code: int) -> int:
    """End as the command ended: by the same signal, or with the code that is returned.

    Args:
        code: As subprocess has it.

    Returns:
        The exit code; nothing where it ended by a signal, for then this process does too.
    """
    if code >= 0:
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    number = -code
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # the child wrote its own
    with contextlib.suppress(OSError, ValueError):  # SIGKILL has no handler to put back
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number  # a signal that does not kill: as shells say it


def _in_foreground() -> bool:
    """Whether standard input is the terminal whose foreground group we are in."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _nothing(number: int, frame: object) -> None:
    """Signals are taken by ``sigwaitinfo``; a handler keeps those from being dropped that are ignored by default."""


def _keep(number: signal.Signals) -> signal.Handlers | Callable[[int, object], None]:
    """SIG_IGN where whoever started us ignores it (nohup, a shell's &), else no KeyboardInterrupt."""
    return signal.SIG_IGN if signal.getsignal(number) is signal.SIG_IGN else _nothing
