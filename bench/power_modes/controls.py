"""What a power mode can set: one small class for each control of a machine.

Each reads the present state, applies a value, verifies it by reading it back, and restores a state that it read before.
Every refusal is a UserError, one line: what was wrong, what was found, what to do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.common.user_error import UserError
from bench.power_modes.machine_files import CPUFREQ, POWERCAP, Machine, packages, policies, power_limit_uW

RAPL_STEP_uW = 250_000
"""Limits are kept in steps of the processor's power unit, 1/8 W on most: read back within two of them."""


ControlValue = int | float | str | bool
"""A value of a board's mode, in the unit of its control."""


class Control(ABC):
    """One control of one machine. States are plain values that survive a journal of JSON.

    ``folder`` is where a control may keep a file for its restoration.
    """

    name: ClassVar[str]
    survives_reboot: ClassVar[bool] = False
    """Whether the setting outlives a reboot, so that it must be put back after one."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine, self.folder = machine, folder

    @abstractmethod
    def read(self) -> Any:
        """The present state. Raises UserError where the machine does not have this control."""

    @abstractmethod
    def apply(self, value: Any) -> None:
        """Set a value of a board's mode.

        Args:
            value: The mode's value, in the unit of the control.

        Raises:
            UserError: The value is unknown or refused.
        """

    @abstractmethod
    def verify(self, value: Any) -> None:
        """Read back what was set.

        Args:
            value: The value that was applied.

        Raises:
            UserError: The machine has another value.
        """

    @abstractmethod
    def restore(self, state: Any) -> None:
        """Set back an earlier state.

        Args:
            state: A state that ``save`` gave.

        Raises:
            UserError: The machine refuses it.
        """

    @abstractmethod
    def by_hand(self, state: Any) -> str:
        """The command with which a person sets a state back.

        Args:
            state: A state that ``save`` gave.

        Returns:
            A line for a root shell.
        """

    def save(self) -> Any:
        """The state to restore later; may write a file of its own, changes nothing else."""
        return self.read()

    def holds(self, state: Any) -> bool:
        """Whether the machine is in an earlier state.

        Args:
            state: A state that ``save`` gave.

        Returns:
            True where reading it gives the same state again.
        """
        return bool(self.read() == state)


class _Cpufreq(Control):
    """A control of every CPU frequency policy; states are by the policy's name."""

    def folders(self) -> list[Path]:
        """The folders of all policies. Raises UserError where there is none."""
        folders = policies(self.machine.root)
        if not folders:
            raise UserError(
                f"{self.machine.root / CPUFREQ} has no policy: this kernel does not scale frequencies; take {self.name} out "
                "of the board's mode"
            )
        return folders

    def folder_of(self, policy: str) -> Path:
        """The folder of a policy."""
        return self.machine.root / CPUFREQ / policy


class Governor(_Cpufreq):
    """The cpufreq governor of all policies."""

    name: ClassVar[str] = "governor"

    def read(self) -> dict[str, str]:
        """The governor of each policy."""
        return {folder.name: self.machine.need(folder / "scaling_governor") for folder in self.folders()}

    def apply(self, value: str) -> None:
        """Set it for all policies."""
        for folder in self.folders():
            known = self.machine.need(folder / "scaling_available_governors").split()
            if value not in known:
                raise UserError(f"governor {value} is not available on {folder.name}; use {', '.join(known)}")
            self.machine.write(folder / "scaling_governor", value)

    def verify(self, value: str) -> None:
        """Every policy must have it."""
        for policy, governor in self.read().items():
            if governor != value:
                path = self.folder_of(policy) / "scaling_governor"
                raise UserError(
                    f"governor {value} did not hold: {path} says {governor}; stop what else sets it "
                    "(power-profiles-daemon, tlp)"
                )

    def restore(self, state: Mapping[str, str]) -> None:
        """Each policy has its own again."""
        for policy, governor in state.items():
            self.machine.write(self.folder_of(policy) / "scaling_governor", governor)

    def by_hand(self, state: Mapping[str, str]) -> str:
        """An echo for each policy."""
        return "; ".join(f"echo {g} > {self.folder_of(policy) / 'scaling_governor'}" for policy, g in state.items())


class MaxFrequency(_Cpufreq):
    """The highest frequency of all policies, in Hz; files and states have kHz. The lowest follows where it must."""

    name: ClassVar[str] = "max_frequency_Hz"

    def read(self) -> dict[str, dict[str, int]]:
        """The range of each policy, in kHz."""
        return {folder.name: dict(zip(("min", "max"), self._range(folder), strict=True)) for folder in self.folders()}

    def apply(self, value: float) -> None:
        """Set it for all policies, the lowest too where it would be above."""
        highest_kHz = round(value / 1000)
        for folder in self.folders():
            low, high = (self.machine.need_number(folder / f"cpuinfo_{end}_freq") for end in ("min", "max"))
            steps = folder / "scaling_available_frequencies"  # not every driver has them
            known = sorted(int(word) for word in self.machine.need(steps).split()) if steps.exists() else []
            if not low <= highest_kHz <= high or (known and highest_kHz not in known):
                could = ", ".join(f"{1000 * step:.6g}" for step in known) or f"{1000 * low:.6g} to {1000 * high:.6g}"
                raise UserError(f"max_frequency_Hz {value:.6g} is not available on {folder.name}; use {could}")
            least, _ = self._range(folder)
            self._set(folder, min(least, highest_kHz), highest_kHz)

    def verify(self, value: float) -> None:
        """Every policy must have it."""
        for policy, limits in self.read().items():
            if limits["max"] != round(value / 1000):
                path = self.folder_of(policy) / "scaling_max_freq"
                raise UserError(
                    f"max_frequency_Hz {value:.6g} did not hold: {path} says {limits['max']} kHz; stop what else sets it, or "
                    "cool the board"
                )

    def restore(self, state: Mapping[str, Mapping[str, int]]) -> None:
        """Each policy has its own range again."""
        for policy, saved in state.items():
            self._set(self.folder_of(policy), saved["min"], saved["max"])

    def by_hand(self, state: Mapping[str, Mapping[str, int]]) -> str:
        """Two echoes for each policy."""
        parts = [
            f"echo {saved[end]} > {self.folder_of(policy) / f'scaling_{end}_freq'}"
            for policy, saved in state.items()
            for end in ("max", "min")
        ]
        return "; ".join(parts)

    def _range(self, folder: Path) -> tuple[int, int]:
        return self.machine.need_number(folder / "scaling_min_freq"), self.machine.need_number(folder / "scaling_max_freq")

    def _set(self, folder: Path, low: int, high: int) -> None:
        # The kernel refuses a range that is upside down for a moment: the end that moves outwards goes first.
        ends = [("min", low), ("max", high)] if high < self._range(folder)[0] else [("max", high), ("min", low)]
        for end, value in ends:
            if self.machine.need_number(folder / f"scaling_{end}_freq") != value:
                self.machine.write(folder / f"scaling_{end}_freq", value)


class RaplLimit(Control):
    """The long-term power limit of each x86 package, in watts; files and states have microwatts."""

    name: ClassVar[str] = "rapl_limit_W"

    def read(self) -> dict[str, dict[str, int]]:
        """The limit of each package in microwatts, and whether it holds."""
        return {
            zone.name: {
                "limit_uW": self.machine.need_number(zone / "constraint_0_power_limit_uw"),
                "enabled": self.machine.need_number(zone / "enabled"),
            }
            for zone in self._zones()
        }

    def apply(self, value: float) -> None:
        """Set and enable it for all packages."""
        for zone in self._zones():
            kind = self.machine.need(zone / "constraint_0_name")
            if kind != "long_term":
                raise UserError(
                    f"{zone / 'constraint_0_name'} is {kind}, not long_term; take rapl_limit_W out of the board's mode"
                )
            self._set(zone, {"limit_uW": round(value * 1e6), "enabled": 1})

    def verify(self, value: float) -> None:
        """Every package must have it, within two steps."""
        for zone, limit in self.read().items():
            if not _near(limit, {"limit_uW": round(value * 1e6), "enabled": 1}):
                state = f"{limit['limit_uW'] / 1e6:g} W, {'enabled' if limit['enabled'] else 'not enabled'}"
                raise UserError(
                    f"rapl_limit_W {value:g} did not hold: {self.machine.root / POWERCAP / zone} has {state}; it may be locked "
                    "by the firmware: take rapl_limit_W out of the board's mode"
                )

    def restore(self, state: Mapping[str, Mapping[str, int]]) -> None:
        """Each package has its own limit again."""
        for zone, saved in state.items():
            self._set(self.machine.root / POWERCAP / zone, saved)

    def holds(self, state: Mapping[str, Mapping[str, int]]) -> bool:
        """Within two steps of the limit."""
        present = self.read()
        return present.keys() == state.keys() and all(_near(present[zone], state[zone]) for zone in state)

    def by_hand(self, state: Mapping[str, Mapping[str, int]]) -> str:
        """Two echoes for each package."""
        folder = self.machine.root / POWERCAP
        parts = []
        for zone, saved in state.items():
            parts.append(f"echo {saved['limit_uW']} > {folder / zone}/constraint_0_power_limit_uw")
            parts.append(f"echo {saved['enabled']} > {folder / zone}/enabled")
        return "; ".join(parts)

    def _zones(self) -> list[Path]:
        zones = packages(self.machine.root)
        if not zones:
            folder = self.machine.root / POWERCAP
            raise UserError(
                f"{folder} has no package zone (modprobe intel_rapl_msr); take rapl_limit_W out of the board's mode"
            )
        return zones

    def _set(self, zone: Path, limit: Mapping[str, int]) -> None:
        if power_limit_uW(zone) != limit["limit_uW"]:
            self.machine.write(zone / "constraint_0_power_limit_uw", limit["limit_uW"])
        if self.machine.need_number(zone / "enabled") != limit["enabled"]:
            self.machine.write(zone / "enabled", limit["enabled"])


def _near(limit: Mapping[str, int], intended: Mapping[str, int]) -> bool:
    return limit["enabled"] == intended["enabled"] and abs(limit["limit_uW"] - intended["limit_uW"]) <= RAPL_STEP_uW
