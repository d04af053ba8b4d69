"""The shortest step that a plan allows: what one process needs divided by the ranks, the bubble of the schedule, and its bytes.

    compute     seconds of one process for the whole batch / ranks: as if the work could be cut into equal parts
    bubble      what the schedule adds when messages are free, played by ``strategies/schedules/simulation.py``
    messages    what the schedule adds when each of its messages takes bytes / rate on its link
    bytes       all other bytes that a rank must send / rate

Over a network all other bytes can go beside the computation, and a rank cannot send faster than its link: the longer of both is
the limit. On shared memory the cores that compute are those that copy, and nothing is beside: they are added up.

Pure: nothing is timed here. ``schedule_limit(plan, single_s, rate_byte_s, shared_memory, optimizer_s)`` is for a table that
has measured the seconds of one process, all ranks running it at the same time, and the rate of a link in one direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from strategies.plan import pipeline_messages
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import Plan
from strategies.schedules import actions, get
from strategies.schedules.simulation import simulate

FORWARD_SHARE = 1 / 3  # one product forward, two backward (of the input, of the weight)


@dataclass(frozen=True)
class StepLimit:
    """Seconds of a step that a plan cannot fall below, by where they come from.

    Attributes:
        compute_s: Of one process, divided by the ranks.
        bubble_s: That the order of the schedule adds, messages being free; 0 without stages.
        messages_s: That the messages between stages add to it.
        bytes_s: That a rank needs to send all its other bytes, mean over ranks.
        sending_s: That it needs to send all its bytes, those of the messages included.
        shared_memory: Whether cores that compute copy the bytes.
    """

    compute_s: float
    bubble_s: float
    messages_s: float
    bytes_s: float
    sending_s: float
    shared_memory: bool

    @property
    def limit_s(self) -> float:
        """The step's lower bound."""
        schedule_s = self.compute_s + self.bubble_s + self.messages_s
        return schedule_s + self.bytes_s if self.shared_memory else max(schedule_s, self.sending_s)


def schedule_limit(plan: Plan, single_s: float, rate_byte_s: float, shared_memory: bool, optimizer_s: float = 0.0) -> StepLimit:
    """The limit of a plan on ranks of equal speed.

    Args:
        plan: Of the step.
        single_s: Seconds of one process for the whole batch, its optimizer included, while all ranks run the same.
        rate_byte_s: Bytes per second of a link in one direction.
        shared_memory: Whether the ranks share memory, so that their cores copy what is sent.
        optimizer_s: The part of ``single_s`` that the optimizer takes: a schedule's bubble does not lengthen it.

    Returns:
        The limit by its parts, in seconds.

    Raises:
        ValueError: A time or the rate is not positive, or the optimizer takes all of the step.
    """
    if not (single_s > optimizer_s >= 0 and rate_byte_s > 0):
        raise ValueError(
            f"a limit needs single_s > optimizer_s >= 0 and a positive rate, found {single_s}, {optimizer_s} and {rate_byte_s}"
        )
    ranks = len(plan.placements)
    busy_s = (single_s - optimizer_s) / ranks
    free_s = _schedule_s(plan, busy_s, 0.0)
    loaded_s = _schedule_s(plan, busy_s, _message_bytes(plan) / rate_byte_s)
    others = sum(volume.wire_bytes for volume in plan.volumes if volume.axis != pipeline_messages.AXIS)
    everything = sum(volume.wire_bytes for volume in plan.volumes)
    return StepLimit(
        compute_s=single_s / ranks,
        bubble_s=free_s - busy_s,
        messages_s=loaded_s - free_s,
        bytes_s=others / ranks / rate_byte_s,
        sending_s=everything / ranks / rate_byte_s,
        shared_memory=shared_memory,
    )


def _schedule_s(plan: Plan, busy_s: float, message_s: float) -> float:
    """Seconds of the schedule where every stage computes for ``busy_s`` and each message takes ``message_s``."""
    first = plan.placements[0]
    stages, micros, virtual, name = first.stage[1], len(first.micros), len(first.layers), plan.step_options.schedule
    if stages == 1:
        return busy_s
    micro_s = busy_s / micros / virtual
    todo = [list(actions(name, stage, stages, micros, virtual)) for stage in range(stages)]
    forward_s, backward_s = [micro_s * FORWARD_SHARE] * stages, [micro_s * (1 - FORWARD_SHARE)] * stages
    share = 0.5 if get(name).postpones_weights else 0.0
    return simulate(todo, forward_s, backward_s, message_s, share).duration_s


def _message_bytes(plan: Plan) -> float:
    """Bytes of one message between two stages, mean over micro-batches and ranks; 0 without stages."""
    sent = [volume for volume in plan.volumes if volume.axis == pipeline_messages.AXIS]
    calls = sum(volume.calls for volume in sent)
    per_message = sum(volume.payload_bytes for volume in sent) / calls if calls else 0.0
    return per_message * _messages_beside(plan.placements[0], plan)


def _messages_beside(placement: RankPlacement, plan: Plan) -> int:
    """Messages that a rank of the first stage sends at once for one micro-batch, where ranks of the next one share it."""
    if placement.stage[1] == 1:
        return 0
    near = pipeline_messages.neighbours(placement, plan.placements, 1)
    return len(pipeline_messages.routes(placement.micros[0], [(other.rank, other.micros[0]) for other in near]))
