"""The contract of a strategy: a pure plan, this rank's shard of the model, and one training step over a mesh.

A new file in ``strategies/`` that registers a class is found by itself: it appears on the command line, in the
documentation and in the equality tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from strategies.common.appearance import Appearance, with_defaults
from strategies.common.option_fields import OptionField, defaults, option_fields
from strategies.common.plan_error import PlanError
from strategies.common.registry import Registry
from strategies.plan.model_spec import ModelSpec, Parameter
from strategies.plan.partition import Span
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import MeshShape, Plan, StepShape
from strategies.plan.step_options import NoOptions

if TYPE_CHECKING:  # plans are made where there is no torch
    import torch
    from torch import Tensor, nn

    from strategies.comm.mesh import Mesh

IGNORED = -100


class WeightSource(Protocol):
    """Where a rank's weights come from, such as ``models.pretrained_weights.WeightLoader``."""

    def read(self, parameter: Parameter, span: Span | None, dtype: torch.dtype) -> Tensor:
        """The values of one parameter on one rank, contiguous, in memory of their own.

        Args:
            parameter: Which.
            span: The slice along its split dimension, or None for all of it.
            dtype: That of the result.

        Returns:
            Those values, of the shape of the slice.
        """


@dataclass(frozen=True)
class Batch:
    """Samples of one step. Every rank holds the whole global batch and takes its own share of it.

    ``ids`` int64 [batch, seq]; ``mask`` bool [batch, seq], True for a real token; ``targets`` int64 [batch] (class)
    or [batch, seq] (next token), -100 where there is nothing to learn.
    """

    ids: Tensor
    mask: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return self.ids.shape[0]

    def span(self, begin: int, end: int) -> Batch:
        """Some of the samples, with the same memory.

        Args:
            begin: The first sample.
            end: The one behind the last.

        Returns:
            A batch of ``end - begin`` samples.
        """
        return Batch(self.ids[begin:end], self.mask[begin:end], self.targets[begin:end])

    def to(self, device: torch.device) -> Batch:
        """The batch on another device.

        Args:
            device: Where its tensors go.

        Returns:
            The batch itself for the CPU, else a copy.
        """
        return self if device.type == "cpu" else Batch(*(x.to(device) for x in (self.ids, self.mask, self.targets)))

    def valid(self) -> int:
        """Targets that count. Losses are divided by this number of the *global* batch, and reductions sum."""
        return int((self.targets != IGNORED).sum())


@dataclass(frozen=True)
class Scores:
    """Sums over this rank's share of an evaluation batch: add them over batches and over ranks."""

    loss_sum: float
    correct: int
    count: int


class Strategy(ABC):
    """One way to spread a training step over a mesh of ranks.

    The life of an object: ``plan`` (a class method, pure, no MPI), ``build`` (this rank's module); then as often as wanted
    ``step``, an optimizer over ``trainable``, ``updated``, and ``evaluate``; ``export``, and ``close``. Optimizer, data,
    metering and files stay outside.
    """

    name: ClassVar[str]
    """Its name in plans, records and on the command line."""
    axes: ClassVar[tuple[str, ...]]
    """Mesh axes that may be larger than 1. A strategy with exactly one axis fills it with all ranks."""
    default_micro_batches: ClassVar[int | Literal["stages"]] = 1
    """Micro-batches where none are requested; ``stages``: two for each stage of the pipeline."""
    option_class: ClassVar[type] = NoOptions
    """A frozen dataclass of its options (``common/option_fields.py``)."""
    options: ClassVar[Mapping[str, object]] = {}
    """Its options with their defaults, from ``option_class``; read them typed, as ``StepOptions`` or that class."""
    appearance: ClassVar[Appearance | None] = None
    """How it is drawn; one that gives none gets a look of its own (``appearances``)."""
    module: nn.Module
    """This rank's part of the model, from ``build`` on."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "option_class" in cls.__dict__:
            cls.options = defaults(cls.option_class)

    def __init__(self, plan: Plan, mesh: Mesh) -> None:
        self.spec: ModelSpec = plan.model
        self.shape: StepShape = plan.shape
        self.step_plan = plan
        self.mesh = mesh
        self.placement: RankPlacement = plan.placements[mesh.rank]

    @classmethod
    def mesh_for(cls, ranks: int, axis_sizes: Mapping[str, int | None]) -> MeshShape:
        """The mesh of ``ranks`` ranks. A strategy with one axis fills it; one with several takes the sizes as they are.

        Args:
            ranks: How many there are.
            axis_sizes: Ranks of each axis where that is chosen; missing or None: not chosen.

        Returns:
            The ranks of every axis.

        Raises:
            PlanError: A size is chosen for an axis that the strategy does not split, or the product is not ``ranks``.
        """
        axes = {axis: size for axis, size in axis_sizes.items() if size is not None}
        for axis, size in axes.items():
            if size != 1 and axis not in cls.axes:
                raise PlanError(
                    f"<strategy {cls.name}> does not split the {axis} axis, found <mesh {axis}>={size}; use <strategy hybrid>"
                )
        if len(cls.axes) == 1 and not axes.get(cls.axes[0]):
            axes[cls.axes[0]] = ranks
        shape = MeshShape(**axes)
        if shape.size != ranks:
            raise PlanError(
                f"the mesh {shape.description} has {shape.size} ranks, but ranks={ranks}; their product must be equal"
            )
        return shape

    @classmethod
    def micro_batches(cls, requested: int | None, mesh: MeshShape, batch: int | None = None) -> int:
        """Micro-batches that a replica makes of its samples.

        Args:
            requested: That many; None for what the strategy prefers (pipelines: two for each stage).
            mesh: Ranks of each axis.
            batch: Samples of a step over all replicas: what is preferred is at most a sample each; None: any number.

        Returns:
            How many.
        """
        if requested is not None:
            return requested
        preferred = 2 * mesh.pipeline if cls.default_micro_batches == "stages" else cls.default_micro_batches
        return preferred if batch is None else max(1, min(preferred, batch // mesh.data))

    @classmethod
    def option_fields(cls) -> tuple[OptionField, ...]:
        """Its options with type, default and meaning, for command lines and documentation."""
        return option_fields(cls.option_class)

    @classmethod
    @abstractmethod
    def plan(cls, model: ModelSpec, shape: StepShape, mesh: MeshShape, options: Mapping[str, object]) -> Plan:
        """Placement, memory and traffic of one step. Pure: neither torch nor MPI.

        Args:
            model: Sizes and switches of the Transformer.
            shape: Batch, tokens, micro-batches and dtype of a step.
            mesh: Ranks of each axis.
            options: Of this strategy; what is missing has its default.

        Returns:
            The plan of all ranks.

        Raises:
            PlanError: It cannot run; the message says what would.
        """

    @abstractmethod
    def build(self, weights: WeightSource, dtype: torch.dtype, device: str = "cpu") -> nn.Module:
        """Build this rank's shard of the model, and keep it as ``self.module``. Collective.

        Args:
            weights: Where its slices are read.
            dtype: That of weights, gradients and activations.
            device: Where the shard lives.

        Returns:
            That module.
        """

    @abstractmethod
    def step(self, batch: Batch) -> Tensor:
        """Forward, backward and gradient synchronisation of the global ``batch``; no optimizer. Collective.

        Afterwards the ``.grad`` of everything ``trainable`` is the gradient of the loss of the step.

        Args:
            batch: All samples of the step, on the CPU, the same on every rank.

        Returns:
            This rank's contribution to that loss, a float64 scalar on the CPU: the loss is the sum over ranks.
        """

    def trainable(self) -> list[tuple[nn.Parameter, bool]]:
        """Each tensor that this rank's optimizer updates, and whether it is (part of) a matrix, which weight decay is for."""
        return [(parameter, parameter.ndim > 1) for parameter in self.module.parameters()]

    def sharded(self, values: Mapping[str, Tensor]) -> dict[nn.Parameter, Tensor]:
        """Tensors of the shapes of this rank's parameters as tensors of the shapes of what is ``trainable``.

        Each has memory of its own if those of ``values`` have. ``local`` goes the other way; with ``export`` states of an
        optimizer pass from one strategy to another.

        Args:
            values: By the name of the local parameter, in its local shape.

        Returns:
            By what is ``trainable``, in the shape of that.
        """
        return {parameter: values[name] for name, parameter in self.module.named_parameters()}

    def local(self, values: Mapping[nn.Parameter, Tensor]) -> dict[str, Tensor]:
        """The inverse of ``sharded``. Collective.

        Args:
            values: By what is ``trainable``, in the shape of that.

        Returns:
            By the name of the local parameter, in its local shape.
        """
        return {name: values[parameter] for name, parameter in self.module.named_parameters()}

    def updated(self) -> None:  # noqa: B027 - most strategies have nothing to do
        """To be called after each step of the optimizer: makes the weights whole where it updated only a part. Collective."""

    @abstractmethod
    def evaluate(self, batch: Batch) -> Scores:
        """Forward only, of the global ``batch``. Collective.

        Args:
            batch: All samples, on the CPU, the same on every rank; may be fewer than those of a step.

        Returns:
            This rank's sums; over all ranks they count every sample once.
        """

    @abstractmethod
    def export(self, what: Literal["weights", "gradients"] | Mapping[nn.Parameter, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Full tensors by canonical name, on rank 0 only (other ranks take part and get nothing). Collective.

        Args:
            what: Weights, gradients, or any tensors of the shapes of ``trainable``, such as the states of an optimizer.

        Returns:
            (name, whole tensor), one after the other, in the order of the model; nothing on other ranks.
        """

    @abstractmethod
    def close(self) -> None:
        """End what runs beside the computation. Collective."""


_STRATEGIES: Registry[type[Strategy]] = Registry("strategy", "strategies", "edgejoule.strategies", error=PlanError)
register = _STRATEGIES.register
registered = _STRATEGIES.all
get = _STRATEGIES.get


def appearances() -> dict[str, Appearance]:
    """How every registered strategy is drawn, in their order."""
    return with_defaults({name: strategy.appearance for name, strategy in registered().items()})


def check_options(strategy: type[Strategy], options: Mapping[str, object]) -> dict[str, object]:
    """Options with the defaults filled in.

    Args:
        strategy: The class that has them.
        options: By name, as chosen; what is missing has its default.

    Returns:
        Every option of the strategy, by name.

    Raises:
        PlanError: The strategy has no such option, or one has a value of another kind.
    """
    unknown = sorted(set(options) - set(strategy.options))
    if unknown:
        known = ", ".join(strategy.options) or "none"
        raise PlanError(f"<strategy {strategy.name}> has no option {', '.join(unknown)}; its options are {known}")
    for field in option_fields(strategy.option_class):
        if field.name in options:
            field.check(options[field.name])
    return {**strategy.options, **options}
