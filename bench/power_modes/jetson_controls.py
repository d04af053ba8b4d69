"""The controls that only Jetson boards have: its power modes and its clocks, by NVIDIA's own programs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, TypedDict

from bench.common.user_error import UserError
from bench.power_modes.controls import Control
from bench.power_modes.machine_files import CPUFREQ, NvpmodelState, clocks_locked, last_line, parse_nvpmodel


class ClocksState(TypedDict):
    """The clocks of a Jetson, as the journal keeps them: whether they are held (None: no policy), and the file of before."""

    locked: bool | None
    stored: str


class Nvpmodel(Control):
    """Jetson's power mode: cores, clocks and their caps in one, by its id in /etc/nvpmodel.conf. It outlives a reboot."""

    name: ClassVar[str] = "nvpmodel"
    survives_reboot: ClassVar[bool] = True

    def read(self) -> NvpmodelState:
        """Id and name of the mode."""
        # As nobody in particular, some versions tell the mode and then fail on a file of the memory controller.
        _, output = self.machine.call("nvpmodel", "-q")
        mode = parse_nvpmodel(output)
        if mode is None:
            raise UserError(f"nvpmodel -q tells no mode ({last_line(output)}); set one once: sudo nvpmodel -m 0")
        return mode

    def apply(self, value: int) -> None:
        """Set the mode of this id. Raises UserError where that needs a reboot."""
        # It may ask whether to reboot now, and waits for the answer.
        code, output = self.machine.call("nvpmodel", "-m", str(value), answer="no\n")
        if "reboot" in output.lower():
            raise UserError(f"nvpmodel -m {value} needs a reboot, which a run cannot do; set it by hand and reboot first")
        if code:
            advice = "ids are in /etc/nvpmodel.conf" if self.machine.superuser else self.machine.rule("/usr/sbin/nvpmodel")
            raise UserError(f"nvpmodel -m {value} failed with exit code {code} ({last_line(output)}); {advice}")

    def verify(self, value: int) -> None:
        """``nvpmodel -q`` must tell it."""
        mode = self.read()
        if mode["id"] != value:
            raise UserError(
                f"nvpmodel -m {value} did not hold: nvpmodel -q says {mode['name']} ({mode['id']}); try sudo nvpmodel -m "
                f"{value} by hand"
            )

    def restore(self, state: NvpmodelState) -> None:
        """Set the mode that was."""
        self.apply(state["id"])

    def by_hand(self, state: NvpmodelState) -> str:
        """One command."""
        return f"nvpmodel -m {state['id']}"


class JetsonClocks(Control):
    """jetson_clocks: all clocks at the most that the power mode allows. What was before lies in a file of its own."""

    name: ClassVar[str] = "jetson_clocks"

    @property
    def stored(self) -> Path:
        """The file that jetson_clocks keeps the clocks in."""
        return self.folder / "jetson_clocks.conf"

    def read(self) -> ClocksState:
        """Whether all clocks are held, and where the clocks before are stored."""
        return {"locked": clocks_locked(self.machine.root), "stored": str(self.stored)}

    def save(self) -> ClocksState:
        """Store the present clocks in a file."""
        self.stored.unlink(missing_ok=True)  # it would ask whether to overwrite it
        self._call("--store", str(self.stored))
        return self.read()

    def apply(self, value: bool) -> None:
        """Hold all clocks, or let go of them."""
        if value:
            self._call()
        elif clocks_locked(self.machine.root):
            try:
                self._call("--restore")  # what whoever turned it on stored before
            except UserError as error:
                raise UserError(f"jetson_clocks is on and cannot be turned off ({error}); reboot the board") from None

    def verify(self, value: bool) -> None:
        """The policies must be held, or not."""
        locked = clocks_locked(self.machine.root)
        if locked is not value:
            folder = self.machine.root / CPUFREQ
            state = "no policy" if locked is None else f"scaling_min_freq {'equal to' if locked else 'below'} scaling_max_freq"
            raise UserError(f"jetson_clocks={str(value).lower()} did not hold: {folder} has {state}; reboot the board")

    def restore(self, state: ClocksState) -> None:
        """Set the stored clocks."""
        self._call("--restore", state["stored"])

    def holds(self, state: ClocksState) -> bool:
        """Whether the clocks are held as they were."""
        return bool(clocks_locked(self.machine.root) == state["locked"])

    def by_hand(self, state: ClocksState) -> str:
        """One command."""
        return f"jetson_clocks --restore {state['stored']}"

    def _call(self, *arguments: str) -> None:
        code, output = self.machine.call("jetson_clocks", *arguments)
        if code:
            advice = "try it by hand" if self.machine.superuser else self.machine.rule("/usr/bin/jetson_clocks")
            raise UserError(
                f"{' '.join(['jetson_clocks', *arguments])} failed with exit code {code} ({last_line(output)}); {advice}"
            )
