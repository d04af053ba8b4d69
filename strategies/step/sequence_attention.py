"""Which attention a rank uses where sequence parallelism splits the tokens. ``plan/sequence_volumes.py`` has what it sends."""

from __future__ import annotations

from collections.abc import Sequence

from strategies.comm.mesh import Mesh
from strategies.models.layers import SequenceAttention
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.sequence_volumes import AXIS
from strategies.plan.step_options import StepOptions
from strategies.step.ring_attention import RingAttention
from strategies.step.ulysses_attention import UlyssesAttention


def sequence_attention_of(placements: Sequence[RankPlacement], mesh: Mesh, options: StepOptions) -> SequenceAttention:
    """The attention over this rank's sequence group.

    Args:
        placements: Of all ranks.
        mesh: Has the group.
        options: ``attention`` is ``ring`` or ``ulysses``.

    Returns:
        Of the kind that is chosen.
    """
    group = mesh.groups[AXIS]
    if options.attention == "ulysses":
        return UlyssesAttention(group, [placements[rank].local_tokens for rank in group.members])
    return RingAttention(group, [placements[rank].tokens for rank in group.members])
