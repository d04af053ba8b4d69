"""The power mode of every host for one run: one guard a host, set together, put back together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bench.cluster.board_class import BoardClass, boards_of
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.energy.sampling.energy_session import root_of
from bench.power_modes import mode_choice
from bench.power_modes.controls import ControlValue
from bench.power_modes.guard import Guard, GuardAnswer, SetControl
from bench.power_modes.journal import FILE, FOLDER

if TYPE_CHECKING:
    from mpi4py import MPI

    from bench.energy.sampling.host_identity import HostIdentity


class HostMode(TypedDict):
    """The power mode that was set on a host, as the record tells it."""

    power_mode: str | None
    emulated: bool
    set: list[SetControl]
    recovered: str | None
    restored: bool | None
    problem: str | None


class PowerModes:
    """The power modes of all hosts; the lowest rank of each host owns its guard.

    ``mode_by_board`` names the mode of each board class that is to be set, ``boards`` describes the classes; hosts of other
    classes stay as they are. ``emulated`` boards are not set here: their testbed scales speed and watts by the same modes.
    ``folder`` is that of the guards' journals (None: the host's own).
    """

    def __init__(
        self,
        comm: MPI.Intracomm,
        mode_by_board: Mapping[str, str],
        boards: Mapping[str, BoardClass],
        home: HostIdentity,
        root: str = "/",
        emulated: bool = False,
        folder: str | None = None,
    ) -> None:
        self.comm, self.home, self.emulated = comm, home, emulated
        self.name = mode_by_board.get(home.board)
        homes = comm.allgather((home.boot_id, home.name))
        self.owner = homes.index((home.boot_id, home.name)) == comm.Get_rank()
        # %h as in energy.root: trees of several hosts on one machine
        self._order = (boards[home.board], root_of(root, home.label), folder)
        self._guard: Guard | None = None
        self._answer: GuardAnswer = {}
        self._end: GuardAnswer | None = None

    @classmethod
    def of(cls, config: PointConfig, comm: MPI.Intracomm, home: HostIdentity) -> PowerModes:
        """The power modes of a point: ``board.power_mode`` on its cluster, under ``energy.root``. Collective.

        Args:
            config: The point.
            comm: All its ranks.
            home: The host of this rank.

        Returns:
            The modes, not yet applied.
        """
        chosen = mode_choice.by_board(config.board.power_mode, config.boards)
        emulated = config.cluster.emulated is not None
        return cls(comm, chosen, boards_of(config.boards), home, config.energy["root"], emulated)

    def apply(self) -> None:
        """Set and verify the mode of every host. Collective.

        Raises the same UserError on all ranks when one host fails, after all hosts are as they were before.
        """
        error = None
        try:
            if self.owner and not self.emulated:
                self._start()
        except UserError as problem:
            error = f"{self.home.label}: {problem}"
        errors = [other for other in self.comm.allgather(error) if other]
        if errors:
            self.release()
            self.comm.Barrier()
            raise UserError(errors[0])

    def _start(self) -> None:
        board, root, folder = self._order
        mode: Mapping[str, ControlValue] = {}
        if self.name is not None:
            mode = board.mode(self.name).settings
        elif not os.path.exists(Path(folder or Path(root) / FOLDER) / FILE):
            return  # nothing to set, and no killed guard left anything to put back
        guard = Guard(self.name or "as it was", mode, root, self.home.label, folder)
        try:
            self._answer = guard.start()
        except UserError as error:
            if self.name is None:
                raise UserError(f"an earlier run left its power mode on this host: {error}") from None
            raise
        self._guard = guard

    def state(self) -> HostMode | None:
        """What was set on this host, by its owner; None on other ranks and where nothing was asked for.

        ``restored`` is None until ``release``; ``problem`` says what could not be restored, ``recovered`` what a killed guard
        of an earlier run had left.
        """
        if not self.owner or (self.name is None and not self._answer.get("recovered")):
            return None
        end: GuardAnswer = self._end or {}
        return {
            "power_mode": self.name,
            "emulated": self.emulated,
            "set": self._answer.get("set", []),
            "recovered": self._answer.get("recovered"),
            "restored": end.get("restored"),
            "problem": end.get("problem"),
        }

    def release(self) -> None:
        """Put this host back to what it was. Not collective, and safe to call twice or after a failure."""
        guard, self._guard = self._guard, None
        if guard is not None:
            self._end = guard.release()
