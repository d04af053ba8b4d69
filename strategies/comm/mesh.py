"""The mesh of ranks: one communicator per axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strategies.comm.cuda_buffers import Cuda
from strategies.comm.group import Group
from strategies.comm.ledger import Ledger
from strategies.comm.progress_thread import Progress
from strategies.comm.waiting import Wait
from strategies.plan.shapes import AXES, MeshShape

if TYPE_CHECKING:
    from mpi4py import MPI


class Mesh:
    """This rank's place in a mesh and the groups it belongs to.

    ``groups[axis]`` holds the ranks that differ from this one only along ``axis``, ordered by their coordinate.
    ``stages`` is for the messages of pipelines, between any two ranks. World ranks are the plan's ranks. ``wait``,
    ``progress``, ``algorithm`` and ``cuda`` say how all operations wait, whether they advance beside the computation, which
    all-reduce they use, and whether MPI gets buffers on a GPU.
    """

    def __init__(
        self,
        comm: MPI.Intracomm,
        shape: MeshShape,
        ledger: Ledger,
        wait: Wait = "spin",
        progress: Progress = "thread",
        algorithm: str = "mpi",
        cuda: Cuda = "staged",
    ) -> None:
        if comm.Get_size() != shape.size:
            raise ValueError(f"the mesh {shape.dims} needs {shape.size} ranks, the communicator has {comm.Get_size()}")
        self.shape, self.ledger, self.progress = shape, ledger, progress
        own = comm.Dup()
        self.rank = own.Get_rank()
        self.coordinates = shape.coordinates(self.rank)
        self._opened: list[MPI.Comm] = [own]
        everyone, how = tuple(range(shape.size)), (ledger, wait, algorithm, cuda == "aware", self._opened)
        self._how = how
        self.world = Group(own, "world", everyone, *how)
        self.stages = Group(own, "pipeline", everyone, *how)
        # Not MPI's Cartesian communicators: they are not made for going on after a failure.
        self.groups = {}
        for axis in AXES:
            members = self._members(axis)
            self._opened.append(own.Split(color=members[0], key=self.rank))
            self.groups[axis] = Group(self._opened[-1], axis, members, *how)

    def _members(self, axis: str) -> tuple[int, ...]:
        same = {other: at for other, at in self.coordinates.items() if other != axis}
        ranks = ((rank, self.shape.coordinates(rank)) for rank in range(self.shape.size))
        return tuple(rank for rank, at in ranks if all(at[other] == value for other, value in same.items()))

    def among(self, ranks: tuple[int, ...], name: str) -> Group:
        """These world ranks as a group, called ``name`` in the ledger. Collective over them only.

        Ranks that belong to several such groups must make them in the same order.
        """
        world: Any = self.world.comm
        self._opened.append(world.Create_group(world.Get_group().Incl(ranks)))
        return Group(self._opened[-1], name, ranks, *self._how)

    def revoke(self) -> None:
        """End every operation under way on the communicators of this mesh, on all ranks (ULFM): whoever waits in one gets an
        error. To be called by a rank that found another one dead, for its partners would wait for it."""
        for comm in self._opened:
            comm.Revoke()
