"""The mesh of ranks: one communicator per axis, made from a Cartesian communicator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strategies.comm.cuda import Cuda
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
    ``stages`` is for the messages of pipelines, between any two ranks. World ranks are the plan's ranks: the Cartesian
    communicator is made without reordering. ``wait``, ``progress``, ``algorithm`` and ``cuda`` say how all operations wait,
    whether they advance beside the computation, which all-reduce they use, and whether MPI gets buffers on a GPU.
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
        cart = comm.Create_cart(shape.dims, periods=[False] * len(AXES), reorder=False)
        self.rank = cart.Get_rank()
        self.coordinates = shape.coordinates(self.rank)
        everyone, self._how = tuple(range(shape.size)), (ledger, wait, algorithm, cuda == "aware")
        self.world = Group(cart, "world", everyone, *self._how)
        self.stages = Group(cart, "pipeline", everyone, *self._how)
        self.groups = {
            axis: Group(cart.Sub([other == axis for other in AXES]), axis, self._members(axis), *self._how) for axis in AXES
        }

    def _members(self, axis: str) -> tuple[int, ...]:
        same = {other: at for other, at in self.coordinates.items() if other != axis}
        ranks = ((rank, self.shape.coordinates(rank)) for rank in range(self.shape.size))
        return tuple(rank for rank, at in ranks if all(at[other] == value for other, value in same.items()))

    def among(self, ranks: tuple[int, ...], name: str) -> Group:
        """These world ranks as a group, called ``name`` in the ledger. Collective over them only.

        Ranks that belong to several such groups must make them in the same order.
        """
        world: Any = self.world.comm
        comm = world.Create_group(world.Get_group().Incl(ranks))
        return Group(comm, name, ranks, *self._how)
