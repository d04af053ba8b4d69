"""The mesh of ranks: one communicator per axis, and how each communicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from strategies.comm.all_reduce_trial import AllReduceTrial, disjoint, table_of, trial_sizes
from strategies.comm.comm_choice import Choice, GroupFacts, RankCores, Trial, choose, choose_progress, choose_wait
from strategies.comm.comm_options import AUTO, AllReduceTable, CommOptions, GroupOptions, Progress, Wait
from strategies.comm.group import PIECE_BYTES, Group
from strategies.comm.group_facts import MeshFacts
from strategies.comm.ledger import Ledger
from strategies.comm.waiting import Waiting
from strategies.plan.shapes import AXES, MeshShape
from strategies.plan.traffic import Volume

if TYPE_CHECKING:
    from mpi4py import MPI


class Mesh:
    """This rank's place in a mesh and the groups it belongs to. Making one is collective.

    Args:
        comm: A communicator of exactly the ranks of ``shape``; it is duplicated.
        shape: Ranks of each axis.
        ledger: Where all operations are counted.
        comm_options: How operations communicate; what is ``auto`` is decided here for each axis.
        volumes: Traffic of a step (``Plan.volumes``), which ``auto`` looks at; empty: not known, no all-reduce is tried.
        cores: Processor of this rank; None: what its affinity says.

    Attributes:
        world: All ranks.
        stages: All ranks, for the messages of pipelines, between any two of them.
        groups: For each axis the ranks that differ from this one only along it, ordered by their coordinate.
        choices: What was decided for each axis that has traffic, the same on all ranks.

    Raises:
        ValueError: The communicator has another size.
    """

    def __init__(
        self,
        comm: MPI.Intracomm,
        shape: MeshShape,
        ledger: Ledger,
        comm_options: CommOptions | None = None,
        *,
        volumes: Sequence[Volume] = (),
        cores: RankCores | None = None,
    ) -> None:
        if comm.Get_size() != shape.size:
            raise ValueError(f"the mesh {shape.dims} needs {shape.size} ranks, the communicator has {comm.Get_size()}")
        self.shape, self.ledger, self.asked = shape, ledger, comm_options or CommOptions()
        self.volumes, self.choices, self._progress = volumes, list[Choice](), dict[str, Progress]()
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
        self._facts = MeshFacts(world, cores)
        self._choose_for_axes()

    def _choose_for_axes(self) -> None:
        for axis, group in self.groups.items():
            of_axis = [volume for volume in self.volumes if volume.axis == axis]
            sizes = {one.op: -(-one.payload_bytes // one.calls) for one in of_axis}
            summed = [-(-one.payload_bytes // one.calls) for one in of_axis if one.op == "all_reduce"]
            self.choose(axis, [(group, summed)], max(sizes.values()) if sizes else None, point_to_point=set(sizes) == {"send"})
        self.stages.options = self.groups["pipeline"].options
        everyone = self._facts.of([self.world.members], None)
        wait, _ = choose_wait("world", self.asked.wait, everyone)
        self.world.options = replace(self._options(everyone, wait, "inline", self._given_all_reduce()), segment_bytes=0)

    def progress(self, axis: str) -> Progress:
        """Who moves the messages of an axis while a rank computes.

        Args:
            axis: Its name in the ledger; ``choose`` has decided for it.

        Returns:
            ``thread`` or ``inline``, the same on all ranks.
        """
        return self._progress[axis]

    def choose(
        self,
        axis: str,
        summed: Sequence[tuple[Group, Sequence[int]]],
        message_bytes: int | None,
        *,
        point_to_point: bool = False,
    ) -> None:
        """Decide how the groups of one axis communicate, and keep the choice with its reasons. Collective over all ranks.

        Args:
            axis: Their name in the ledger.
            summed: The groups that this rank belongs to, each with the bytes of its all-reduces of a step.
            message_bytes: Of this rank's largest operation; None: not known.
            point_to_point: Whether all operations are messages from one rank to one other, the same on all ranks.
        """
        groups = [group for group, _ in summed]
        facts = self._facts.of([group.members for group in groups], message_bytes, point_to_point)
        progress, progress_choice = choose_progress(axis, self.asked.progress, facts)
        wait, wait_choice = choose_wait(axis, self.asked.wait, facts)
        all_reduce_choice, table = self._choose_all_reduce(
            axis, summed, Waiting(wait, self._facts.own.cores, facts.segment_bytes)
        )
        self._progress[axis] = progress
        if facts.ranks > 1:
            self.choices += [progress_choice, wait_choice, all_reduce_choice]
        for group in groups:
            group.options = self._options(facts, wait, progress, table)

    def _options(self, facts: GroupFacts, wait: Wait, progress: Progress, table: AllReduceTable) -> GroupOptions:
        cores, segment = self._facts.own.cores, facts.segment_bytes
        return GroupOptions(wait, progress, table, self.asked.cuda, self.asked.receive_delay_s, cores, segment)

    def _given_all_reduce(self) -> AllReduceTable:
        return AllReduceTable.always("mpi" if self.asked.all_reduce == AUTO else self.asked.all_reduce)

    def _choose_all_reduce(
        self, axis: str, summed: Sequence[tuple[Group, Sequence[int]]], waiting: Waiting
    ) -> tuple[Choice, AllReduceTable]:
        asked, plain, trials = self.asked.all_reduce, AllReduceTable.always("mpi"), list[Trial]()
        why_plain = "MPI gets buffers on a GPU, which only it can add"
        if asked == AUTO and self.asked.cuda != "aware":
            why_plain, trials = "a step has no all-reduce along this axis", self._tried(summed, waiting)
        table, choice = choose(
            axis,
            "all_reduce",
            AUTO if asked == AUTO else AllReduceTable.always(asked),
            lambda: (table_of(trials), "the fastest when tried") if trials else (plain, why_plain),
            trials,
        )
        return choice, table

    def _tried(self, summed: Sequence[tuple[Group, Sequence[int]]], waiting: Waiting) -> list[Trial]:
        """Trials of the sizes that the groups sum in a step; none where they sum nothing. Collective over all ranks."""
        world: Any = self.world.comm
        groups: list[dict[tuple[int, ...], list[int]]] = world.allgather(
            {group.members: list(payloads) for group, payloads in summed if group.size > 1 and payloads}
        )
        sizes = trial_sizes([size for of_rank in groups for sizes in of_rank.values() for size in sizes], PIECE_BYTES)
        apart = disjoint({members: sum(sizes) for of_rank in groups for members, sizes in of_rank.items()})
        trying = next((group.comm for group, _ in summed if group.members in apart), None)
        return AllReduceTrial(world, trying, waiting).run(sizes)

    def _group(self, comm: MPI.Comm, name: str, ranks: tuple[int, ...]) -> Group:
        return Group(comm, name, ranks, self.ledger, GroupOptions(), self._opened)

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
            The group, which communicates like the world until ``choose`` decides.
        """
        world: Any = self.world.comm
        self._opened.append(world.Create_group(world.Get_group().Incl(ranks)))
        group = self._group(self._opened[-1], name, ranks)
        group.options = self.world.options
        return group

    def revoke(self) -> None:
        """End every operation under way on the communicators of this mesh, on all ranks (ULFM), with an error.

        To be called by a rank that found another one dead, for its partners would wait for it.
        """
        for comm in self._opened:
            comm.Revoke()
