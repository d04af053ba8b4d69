r"""A parameter server: data parallelism over a star. Workers send their gradients to rank 0, which adds and returns them.

    rank 1: samples 8..15  -> gradients --\            /--> sum
    rank 2: samples 16..23 -> gradients ---> rank 0 ---> sum    rank 0 computes too: samples 0..7
    rank 3: samples 24..31 -> gradients --/            \--> sum

Payload: (n-1) P e bytes to rank 0 and the same back, all of it through one link (Li et al., OSDI 2014). A ring sends as much
in all, but spreads it over the links: this is the baseline that shows why. The example of ``docs/reference/strategies.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from strategies.base import register
from strategies.common.appearance import Appearance
from strategies.plan.model_spec import ModelSpec, parameter_count
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import StepShape
from strategies.plan.step_options import SampleOptions, StepOptions
from strategies.plan.traffic import Volume
from strategies.step.composition import ComposedStrategy

if TYPE_CHECKING:  # plans are made where there is no torch
    from torch import Tensor

    from strategies.comm.group import Group
    from strategies.step.gradient_sync import GradientSync


@register
class ParameterServer(ComposedStrategy):
    """Replicas share the samples of a batch; the first one sums the gradients of all."""

    name: ClassVar[str] = "server"
    axes: ClassVar[tuple[str, ...]] = ("data",)
    appearance: ClassVar[Appearance | None] = Appearance(20, "#E69F00", "*", "oo", "server")
    option_class: ClassVar[type] = SampleOptions

    @classmethod
    def volumes(
        cls, spec: ModelSpec, shape: StepShape, placements: tuple[RankPlacement, ...], options: StepOptions
    ) -> Iterator[Volume]:
        """Each worker sends its gradients, and gets the sum."""
        workers = len(placements) - 1
        sent = 2 * workers * parameter_count(spec) * shape.element_bytes
        yield Volume("data", "send", "backward", 2 * workers, sent, float(sent))

    def make_gradients(self) -> GradientSync:
        """All gradients at once, through the first rank."""
        from strategies.step.gradient_sync import WholeGradientSync

        return WholeGradientSync(self.module, partial(sum_on_first_rank, group=self.mesh.groups["data"]))


def sum_on_first_rank(flat: Tensor, group: Group) -> None:
    """Replace a tensor by its sum over a group: the first rank receives, adds and answers. Collective.

    Args:
        flat: 1-d, of the same length on all ranks; it is overwritten.
        group: The ranks.
    """
    workers = range(1, group.size)
    if group.rank == 0:
        arriving = [group.receive(flat.new_empty(flat.shape), rank, tag=0) for rank in workers]
        for message in arriving:
            flat += message.finish()
        for message in [group.send(flat, rank, tag=1) for rank in workers]:
            message.finish()
    else:
        group.send(flat, 0, tag=0).finish()
        group.receive(flat, 0, tag=1).finish()
