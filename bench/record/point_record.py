"""The record's ``point``: which experiment this is, in the words of its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from bench.record.block import Block, Entry


@dataclass(frozen=True, kw_only=True)
class MeshRecord(Block):
    """How many ranks lie along each axis of the mesh; their product is the number of ranks."""

    pipeline: Annotated[int, Entry("stages of the pipeline", "1", minimum=1)]
    data: Annotated[int, Entry("replicas that share the batch", "1", minimum=1)]
    sequence: Annotated[int, Entry("ranks that share the tokens of a sample", "1", minimum=1)]
    tensor: Annotated[int, Entry("ranks that share each layer's heads and units", "1", minimum=1)]


@dataclass(frozen=True, kw_only=True)
class UplinkRecord(Block):
    """A link of the network."""

    name: Annotated[str, Entry("the link's name in the inventory or the testbed")]
    rate_bit_s: Annotated[float, Entry("rate in each direction", "bit/s", more_than=0)]
    delay_s: Annotated[float | None, Entry("one-way delay that is added; null: none, or not known", "s")]
    loss: Annotated[float | None, Entry("share of packets that are lost; null: none, or not known", "1")]


@dataclass(frozen=True, kw_only=True)
class HostLinkRecord(Block):
    """The link of one host."""

    host: Annotated[str, Entry("the host's name in the inventory")]
    switch: Annotated[str | None, Entry("the switch that the link leads to; null: there is one, or it is not known")]
    name: Annotated[str, Entry("the link's name in the inventory or the testbed")]
    rate_bit_s: Annotated[float, Entry("rate in each direction", "bit/s", more_than=0)]
    delay_s: Annotated[float | None, Entry("one-way delay that is added; null: none, or not known", "s")]
    loss: Annotated[float | None, Entry("share of packets that are lost; null: none, or not known", "1")]


@dataclass(frozen=True, kw_only=True)
class NetworkRecord(Block):
    """How the hosts are connected: emulated links are shaped to it, of real ones it is what the inventory says."""

    kind: Annotated[Literal["emulated", "stated"], Entry("whether the links were shaped to it, or the inventory states it")]
    links: Annotated[Sequence[HostLinkRecord], Entry("the link of every host that takes part", at_least_items=1)]
    uplink: Annotated[UplinkRecord | None, Entry("the link between the switches; null: one switch, or not known")]


@dataclass(frozen=True, kw_only=True)
class MeshAfterRecord(Block):
    """The mesh that the survivors were asked to take; null for an axis that is computed from the others."""

    pipeline: Annotated[int | None, Entry("stages of the pipeline; null: computed", "1")]
    data: Annotated[int | None, Entry("replicas; null: computed", "1")]
    sequence: Annotated[int | None, Entry("ranks that share tokens; null: computed", "1")]
    tensor: Annotated[int | None, Entry("ranks that share layers; null: computed", "1")]


@dataclass(frozen=True, kw_only=True)
class AskedFaultRecord(Block):
    """The failure that the configuration asked for (``fault.rank``)."""

    rank: Annotated[int, Entry("the rank that is killed", minimum=1)]
    snapshot_every: Annotated[int, Entry("steps between two copies of the state", "1", minimum=1)]
    after_steps: Annotated[int, Entry("steps from the first copy to the failure", "1", minimum=1)]
    mesh: Annotated[MeshAfterRecord, Entry("the mesh of the survivors, as asked for")]
    options: Annotated[Mapping[str, Any], Entry("the strategy's options after the failure, as asked for")]


@dataclass(frozen=True, kw_only=True)
class PointRecord(Block):
    """Which experiment this is: the configuration of the point."""

    name: Annotated[str, Entry("the point's folder: what was varied, the repeat and eight digits of the hash")]
    study: Annotated[str, Entry("the study that the point belongs to")]
    experiment: Annotated[str | None, Entry("the experiment file that the study was composed from; null: none")]
    repeat: Annotated[int, Entry("number of the repetition, from 0")]
    order: Annotated[int, Entry("place of the point in the shuffled sweep")]
    hash: Annotated[str, Entry("of the configuration without the repeat: equal for repeats, different for different points")]
    strategy: Annotated[str, Entry("the parallelism, by its registered name")]
    options: Annotated[Mapping[str, Any], Entry("the strategy's options that were given or have defaults")]
    ranks: Annotated[int, Entry("number of MPI ranks", "1", minimum=1)]
    mesh: Annotated[MeshRecord, Entry("ranks along each axis")]
    model: Annotated[str, Entry("name of the model")]
    weights: Annotated[Literal["pretrained", "random"], Entry("where the weights come from")]
    checkpoint: Annotated[str | None, Entry("folder name of the pre-trained weights; null: random")]
    task: Annotated[str, Entry("name of the task")]
    batch: Annotated[int, Entry("samples of one optimizer step, over all ranks", "1")]
    micro_batches: Annotated[int, Entry("parts into which each replica's batch is cut", "1")]
    seq: Annotated[int, Entry("tokens of one sample", "1")]
    optimizer: Annotated[str, Entry("name of the optimizer")]
    lr: Annotated[float, Entry("learning rate", "1")]
    dtype: Annotated[str, Entry("type of the weights and of the arithmetic")]
    recompute: Annotated[str | None, Entry("which activations are computed again in backward")] = None
    wait: Annotated[str | None, Entry("how a rank waits for messages, as configured: spin, poll or auto")] = None
    progress: Annotated[str | None, Entry("who moves messages while a rank computes, as configured (inline, thread, auto)")] = (
        None
    )
    cuda: Annotated[str | None, Entry("how messages leave a GPU: staged through host memory, or by an aware MPI")] = None
    all_reduce: Annotated[str | None, Entry("the algorithm of the all-reduce, as configured")] = None
    device: Annotated[str | None, Entry("what computes: cpu or cuda")] = None
    cluster: Annotated[str, Entry("name of the cluster")]
    hosts: Annotated[Sequence[str] | None, Entry("names of the hosts that take part, in the order of their ranks")] = None
    bind: Annotated[str | None, Entry("how ranks are bound to cores")] = None
    boards: Annotated[Sequence[str], Entry("board classes of the hosts, each once")]
    threads: Annotated[int | None, Entry("most threads of a rank; null: not fixed, and the point did not finish", "1")]
    network: Annotated[NetworkRecord | None, Entry("how the hosts are connected; null: not known")]
    power_mode: Annotated[
        str | Mapping[str, str] | None, Entry("power mode that was set, or one for each board class; null: none", or_null=True)
    ] = None
    seed: Annotated[int, Entry("seed of weights, data order and dropout")]
    smoke: Annotated[bool, Entry("a quick look whose window is too short to compare")]
    fault: Annotated[AskedFaultRecord | None, Entry("the failure that was asked for; missing: none")] = None
