"""Boards of a test's own: names and a network that nobody else uses, and whether anything of them is left."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest

from bench.common.user_error import UserError
from bench.emulation import kernel_network, lifecycle, network_commands
from bench.emulation.cgroups import find_cgroups
from bench.emulation.state_files import STATE
from bench.testbed import testbed_command

NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Boards:
    """An inventory of ``b1``, ``b2``, ... in a file; ``words`` choose it on a command line."""

    name: str
    network: str
    words: list[str]

    @classmethod
    def of(cls, folder: Path, count: int, more: str = "", each: str = "") -> Boards:
        """``more`` goes into the emulated block, ``each`` into every host. Skips the test where boards cannot be emulated."""
        number = next(NUMBERS)
        name = f"test{os.getpid()}x{number}"
        network = f"10.{100 + os.getpid() % 100}.{(os.getpid() // 100 + number) % 256}.0/24"
        hosts = "".join(
            f"  - {{name: b{index}, address: {network.removesuffix('0/24')}{index}{each}}}\n" for index in range(1, count + 1)
        )
        path = folder / "boards.yaml"
        path.write_text(f"emulated: {{network: {network}, link: ethernet-1g{more}}}\nhosts:\n{hosts}")
        made = cls(name, network, ["cluster=emulated2", f"cluster.name={name}", f"cluster.hostfile={path}"])
        try:
            kernel_network.check_machine(testbed_command.testbed_of(made.words)[0])
            find_cgroups()
        except UserError as error:
            pytest.skip(str(error))
        return made

    def address(self, index: int) -> str:
        return self.network.removesuffix("0/24") + str(index)

    def __enter__(self) -> Boards:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        lifecycle.down(self.name)
        (STATE / f"{self.name}.lock").unlink(missing_ok=True)


def nothing_left(name: str) -> list[str]:
    """What is still there of a testbed that was taken down; nothing, if all is well."""
    groups = find_cgroups()
    found = [space for space in kernel_network.present() if network_commands.belongs(name, space)]
    found += [str(group.parent) for group in groups.groups(name, "b1") if group.parent.exists()]
    found += [path for path in (network_commands.launch_device(name),) if kernel_network.has_device(path)]
    return found + [str(path) for path in (STATE / name,) if path.exists()]
