"""The mesh of ranks: one communicator per axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strategies.comm.comm_options import CommOptions
from strategies.comm.group import Group
from strategies.comm.ledger import Ledger
from strategies.plan.shapes import AXES, MeshShape

if TYPE_CHECKING:
    from mpi4py import MPI


class Mesh:
    """This rank's place in a mesh and the groups it belongs to. World ranks are the plan's ranks. Making one is collective.

    Args:
        comm: A communicator of exactly the ranks of ``shape``; it is duplicated.
        shape: Ranks of each axis.
        ledger: Where all operations are counted.
        comm_options: How all operations communicate.

    Attributes:
        world: All ranks.
        stages: All ranks, for the messages of pipelines, between any two of them.
        groups: For each axis the ranks that differ from this one only along it, ordered by their coordinate.

    Raises:
        ValueError: The communicator has another size.
    """

    def __init__(self, comm: MPI.Intracomm, shape: MeshShape, ledger: Ledger, comm_options: CommOptions | None = None) -> None:
        if comm.Get_size() != shape.size:
            raise ValueError(f"the mesh {shape.dims} needs {shape.size} ranks, the communicator has {comm.Get_size()}")
        self.shape, self.ledger, self.comm_options = shape, ledger, comm_options or CommOptions()
        world = comm.Dup()
        self.rank = world.Get_rank()
        self.coordinates = shape.coordinates(self.rank)
        self._opened: list[MPI.Comm] = [world]
        everyone = tuple(range(shape.size))
        self.world = self._group(world, "world", everyone)
        self.stages = self._group(world, "pipeline", everyone)
        # Not MPI's Cartesian communicators: they are not made for going on after a failure.
        self.groups = {}
        for axis in AXES:
            members = self._members(axis)
            self._opened.append(world.Split(color=members[0], key=self.rank))
            self.groups[axis] = self._group(self._opened[-1], axis, members)

    def _group(self, comm: MPI.Comm, name: str, ranks: tuple[int, ...]) -> Group:
        return Group(comm, name, ranks, self.ledger, self.comm_options, self._opened)

    def _members(self, axis: str) -> tuple[int, ...]:
        same = {other: value for other, value in self.coordinates.items() if other != axis}
        ranks = ((rank, self.shape.coordinates(rank)) for rank in range(self.shape.size))
        return tuple(rank for rank, coordinates in ranks if same.items() <= coordinates.items())

    def among(self, ranks: tuple[int, ...], name: str) -> Group:
        """Some world ranks as a group of their own. Collective over them only.

        Ranks that belong to several such groups must make them in the same order.

        Args:
            ranks: The world ranks, in the order of the group; this rank is one.
            name: The group's name in the ledger.

        Returns:
            The group.
        """
        world: Any = self.world.comm
        self._opened.append(world.Create_group(world.Get_group().Incl(ranks)))
        return self._group(self._opened[-1], name, ranks)

    def revoke(self) -> None:
        """End every operation under way on the communicators of this mesh, on all ranks (ULFM), with an error.

        To be called by a rank that found another one dead, for its partners would wait for it.
        """
        for comm in self._opened:
            comm.Revoke()
