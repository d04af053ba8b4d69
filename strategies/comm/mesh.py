"""The mesh of ranks: one communicator per axis, made from a Cartesian communicator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strategies.comm.group import Group
from strategies.comm.ledger import Ledger
from strategies.comm.progress import Progress
from strategies.comm.waiting import Wait
from strategies.plan import AXES, MeshShape

if TYPE_CHECKING:
    from mpi4py import MPI


class Mesh:
    """This rank's place in a mesh and the groups it belongs to.

    ``groups[axis]`` holds the ranks that differ from this one only along ``axis``, ordered by their coordinate.
    World ranks are the plan's ranks: the Cartesian communicator is made without reordering. ``wait`` and
    ``progress`` say how all of its operations wait, and whether they advance beside the computation.
    """

    def __init__(
        self,
        comm: MPI.Intracomm,
        shape: MeshShape,
        ledger: Ledger,
        wait: Wait = "spin",
        progress: Progress = "thread",
    ) -> None:
        if comm.Get_size() != shape.size:
            raise ValueError(f"the mesh {shape.dims} needs {shape.size} ranks, the communicator has {comm.Get_size()}")
        self.shape, self.ledger, self.progress = shape, ledger, progress
        cart = comm.Create_cart(shape.dims, periods=[False] * len(AXES), reorder=False)
        self.rank = cart.Get_rank()
        self.coordinates = shape.coordinates(self.rank)
        self.world = Group(cart, "world", tuple(range(shape.size)), ledger, wait)
        self.groups = {
            axis: Group(cart.Sub([other == axis for other in AXES]), axis, self._members(axis), ledger, wait) for axis in AXES
        }

    def _members(self, axis: str) -> tuple[int, ...]:
        same = {other: at for other, at in self.coordinates.items() if other != axis}
        ranks = ((rank, self.shape.coordinates(rank)) for rank in range(self.shape.size))
        return tuple(rank for rank, at in ranks if all(at[other] == value for other, value in same.items()))

    def pair(self, axis: str, name: str) -> Group | None:
        """The first and the last rank along ``axis`` as a group of two; None for the ranks between. Collective."""
        group, last = self.groups[axis], self.shape.dims[AXES.index(axis)] - 1
        ends = group.rank in (0, last) and last > 0
        from mpi4py import MPI

        comm = group.comm.Split(0 if ends else MPI.UNDEFINED, group.rank)
        if not ends:
            return None
        return Group(comm, name, (group.members[0], group.members[last]), self.ledger, group.wait)
