"""The machine under a root: its small files, its programs, and what it says when it refuses.

Light imports: the guard process and the provenance of a record both use this.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from bench.common.user_error import UserError

Opener = Callable[[Path], int]
PROGRAM_FOLDERS = ("usr/sbin", "usr/bin", "usr/local/bin", "opt/vc/bin", "sbin", "bin")
PROGRAM_TIMEOUT_S = 60.0
CPUFREQ = "sys/devices/system/cpu/cpufreq"
POWERCAP = "sys/class/powercap"
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_PASSWORD = ("password is required", "not in the sudoers", "not allowed to execute")


class NvpmodelState(TypedDict):
    """The power mode of a Jetson, as the journal keeps it: its number and its name."""

    id: int
    name: str


def text(path: Path) -> str | None:
    """Content of a small file.

    Args:
        path: A file, which need not exist.

    Returns:
        The text, stripped; None where it cannot be read or is empty.
    """
    try:
        return path.read_text(errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The whole number in a small file.

    Args:
        path: A file, which need not exist.

    Returns:
        The number, in the file's unit; None where there is none.
    """
    digits = text(path)
    try:
        return None if digits is None else int(digits)
    except ValueError:
        return None


def numbered(folder: Path, pattern: str) -> list[Path]:
    """Entries of a folder by the numbers in their names: policy4 before policy10.

    Args:
        folder: A folder, which need not exist.
        pattern: A glob pattern of the entries' names.

    Returns:
        The paths that match; empty where there is no folder.
    """

    def place(path: Path) -> tuple[list[int], str]:
        return [int(digits) for digits in re.findall(r"\d+", path.name)], path.name

    return sorted(folder.glob(pattern), key=place)


def find_program(root: Path, name: str) -> Path | None:
    """A program of the machine under ``root``.

    Args:
        root: The root of the machine's file system.
        name: The program's file name.

    Returns:
        Its path in the first folder that has it; None where none does.
    """
    return next((path for folder in PROGRAM_FOLDERS if os.access(path := root / folder / name, os.X_OK)), None)


def policies(root: Path) -> list[Path]:
    """Folders of the CPU frequency policies.

    Args:
        root: The root of the machine's file system.

    Returns:
        The folders by number; those of cores that are off are not there.
    """
    return numbered(root / CPUFREQ, "policy*")


def packages(root: Path) -> list[Path]:
    """Folders of the RAPL zones that limit a whole package, of every interface (MSR, MMIO): the lowest limit holds.

    Args:
        root: The root of the machine's file system.

    Returns:
        The folders by number; empty where there is no RAPL.
    """
    zones = [path for path in numbered(root / POWERCAP, "intel-rapl*:*") if path.name.count(":") == 1]
    return [zone for zone in zones if (text(zone / "name") or "").startswith("package-")]


def power_limit_uW(zone: Path) -> int | None:
    """The long-term limit of a RAPL zone.

    Args:
        zone: The zone's folder.

    Returns:
        Microwatts; None where it cannot be read.
    """
    return number(zone / "constraint_0_power_limit_uw")


def clocks_locked(root: Path) -> bool | None:
    """Whether every policy is held at one frequency, as jetson_clocks leaves them.

    Args:
        root: The root of the machine's file system.

    Returns:
        None where there is no policy.
    """
    pairs = [(number(p / "scaling_min_freq"), number(p / "scaling_max_freq")) for p in policies(root)]
    return all(low == high for low, high in pairs) if pairs else None


def parse_nvpmodel(output: str) -> NvpmodelState | None:
    """The mode in the output of ``nvpmodel -q``: the line with its name, then one with its id.

    Args:
        output: The whole output; warnings may stand before the mode and errors after it.

    Returns:
        The mode; None where the output has no mode.
    """
    match = re.search(r"NV Power Mode:\s*(\S.*?)\s*\n\s*(\d+)\s*$", output, re.MULTILINE)
    return None if match is None else {"id": int(match[2]), "name": match[1]}


def open_for_writing(path: Path) -> int:
    """Open a file and empty it.

    Args:
        path: A file that exists.

    Returns:
        Its descriptor.
    """
    return os.open(path, os.O_WRONLY | os.O_TRUNC)


@dataclass(frozen=True)
class Machine:
    """Writing to a machine and calling its programs: ``root`` is a real ``/``, or a tree in a test."""

    root: Path = Path("/")
    opener: Opener = open_for_writing
    superuser: bool = field(default_factory=lambda: os.geteuid() == 0)

    def need(self, path: Path) -> str:
        """Content of a file that must have some.

        Args:
            path: A file of a setting.

        Returns:
            The text, stripped.

        Raises:
            UserError: The file cannot be read or is empty.
        """
        try:
            said = path.read_text(errors="replace").strip("\0\n ")
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); take this setting out of the board's mode") from None
        if not said:
            raise UserError(f"{path} is empty; take this setting out of the board's mode")
        return said

    def need_number(self, path: Path) -> int:
        """The whole number in a file that must have one.

        Args:
            path: A file of a setting.

        Returns:
            The number, in the file's unit.

        Raises:
            UserError: There is none.
        """
        said = self.need(path)
        if not said.lstrip("-").isdigit():
            raise UserError(f"{path} has {said!r}, not a number; take this setting out of the board's mode")
        return int(said)

    def write(self, path: Path, value: str | int) -> None:
        """Write a setting.

        Args:
            path: The file of the setting.
            value: The value, in the file's unit.

        Raises:
            UserError: The machine refuses it; the message says what to do.
        """
        try:
            with os.fdopen(self.opener(path), "w") as file:
                file.write(f"{value}\n")
        except OSError as error:
            if error.errno in REFUSED:
                raise UserError(
                    f"{path} cannot be written ({error.strerror}); run as root, or let your group write it with a line in "
                    f"/etc/tmpfiles.d/edgejoule.conf: z {path} 0664 root GROUP"
                ) from None
            raise UserError(f"{path} does not take {value} ({error.strerror}); check the mode in conf/board") from None

    def call(self, name: str, *arguments: str, answer: str = "") -> tuple[int, str]:
        """Run a program of the machine; others than root call it by ``sudo -n``.

        Args:
            name: The program's file name.
            arguments: Its arguments.
            answer: The text that it reads if it asks.

        Returns:
            Exit code and output, standard error included.

        Raises:
            UserError: The program is missing, refused, or does not end.
        """
        program = find_program(self.root, name)
        if program is None:
            folder = self.root / PROGRAM_FOLDERS[0]
            raise UserError(f"{name} is missing ({folder / name} and the like); take {name} out of the board's mode")
        command = [*self._sudo(), str(program), *arguments]
        try:
            done = subprocess.run(
                command,
                input=answer,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=PROGRAM_TIMEOUT_S,
                start_new_session=True,  # a Ctrl-C is for us to handle, not for a program that is half done
            )
        except OSError as error:
            raise UserError(f"{program} cannot be started ({error.strerror}); {self.rule(program)}") from None
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{program} {' '.join(arguments)} did not end in {PROGRAM_TIMEOUT_S:.0f} s; run it by hand"
            ) from None
        if any(words in done.stdout for words in NO_PASSWORD):
            raise UserError(f"{program} is not allowed ({last_line(done.stdout)}); {self.rule(program)}")
        return done.returncode, done.stdout

    def rule(self, program: Path | str) -> str:
        """The advice that lets others than root call a program.

        Args:
            program: Its path.

        Returns:
            A part of a sentence, for the end of an error.
        """
        return f"run as root, or add the sudo rule: USER ALL=(root) NOPASSWD: {program}"

    def _sudo(self) -> Iterator[str]:
        sudo = None if self.superuser else find_program(self.root, "sudo")
        if sudo is not None:
            yield from (str(sudo), "-n")


def last_line(output: str) -> str:
    """The last line that is not blank.

    Args:
        output: The output of a program.

    Returns:
        The line, stripped; ``it says nothing`` where there is none.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
