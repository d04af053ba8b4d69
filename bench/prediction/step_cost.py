"""Seconds and joules of one step, from a plan and a profile. Pure: nothing runs, nothing of it is measured.

    compute      curves of the profile: micro-batches x (layers x block + embedding + head), forward and backward; ranks
                 that share a layer or a sample's tokens go on together, at the pace of the slowest of them
    exchange     latency and rate of the slowest link of the ring through a group, by ``strategies/plan/traffic.py``;
                 all-reduces as much slower than that as the profiled ones were
    pipeline     ``strategies/schedules/simulation.py`` with these times; messages of one direction follow each other
    gradients    with ``comm.progress=thread`` each bucket as soon as it is ready, beside backward, else after it
    optimizer    seconds of an element x elements that the rank updates
    energy       of a host: idle_W x step + (busy_W - idle_W) x cores used / cores x their use^(b - 1); a rank that computes
                 uses as many as the profiled one did, and in the rest of the step as many as one that waits (``comm.wait``)

Left out: reading of samples, what messages and computation take from each other, copies between a GPU and its host, heat,
and hosts that take no part. Weight gradients of ``zero_bubble`` count as half of a backward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.config.comm_config import CommConfig
from bench.prediction.cluster_profile import Profile
from bench.prediction.expected_comm import expected_comm, fastest_all_reduce_s
from bench.prediction.step_prediction import Prediction, RankTime
from strategies.plan import gradient_buckets, pipeline_messages, sequence_volumes, tensor_volumes
from strategies.plan.rank_placement import RankPlacement
from strategies.plan.shapes import OPTIMIZER_STATES, Plan
from strategies.plan.token_table import adds_rows, holders, row_volumes, sends_rows
from strategies.plan.traffic import Volume, wire_bytes
from strategies.schedules import actions
from strategies.schedules.simulation import simulate

WAYS = ("forward", "backward")
OWN_AXES = (gradient_buckets.AXIS, tensor_volumes.AXIS, sequence_volumes.AXIS, pipeline_messages.AXIS)


@dataclass(frozen=True)
class Work:
    """The part of the model that a rank holds: how many layers, and whether the two ends.

    With ``rows`` the gradient of the token table is the rows that were looked up, and its backward as much work as its
    forward.
    """

    layers: int
    first: bool
    last: bool
    rows: bool = False


def compute_s(profile: Profile, host: str, samples: float, work: Work, share: float, way: str, recompute: bool) -> float:
    """Seconds of one forward or backward on a host.

    Args:
        profile: The profile of the cluster.
        host: The host's name.
        samples: Samples of a micro-batch; parts of one count as such.
        work: The layers and ends of the model that it computes.
        share: Share of their heads and columns, above 0 and at most 1.
        way: ``forward`` or ``backward``.
        recompute: Whether a backward computes the blocks again.

    Returns:
        Seconds.
    """
    times, forward = profile.host(host), way == "forward"
    total = work.layers * times.seconds("block", samples, share, forward)
    if recompute and not forward:
        total += work.layers * times.seconds("block", samples, share, True)
    if work.first:
        total += times.seconds("embed", samples, share, forward or work.rows)
    if work.last:
        total += times.seconds("head", samples, share, forward)
    return total


def predict(plan: Plan, profile: Profile, hosts: Sequence[str], comm: CommConfig) -> Prediction:
    """The cost of one step of a plan.

    Args:
        plan: The plan.
        profile: The profile of the cluster.
        hosts: The host's name of each rank.
        comm: How ranks communicate.

    Returns:
        Seconds, joules and memory.

    Raises:
        UserError: The profile lacks a link that the plan uses.
    """
    model = _Model(plan, profile, hosts, comm)
    step_s, ranks = model.times()
    return Prediction(step_s, plan.shape.batch, ranks, model.joules(step_s, ranks), model.over())


class _Model:
    def __init__(self, plan: Plan, profile: Profile, hosts: Sequence[str], comm: CommConfig) -> None:
        self.plan, self.profile, self.hosts = plan, profile, hosts
        self.comm = expected_comm(comm, plan, profile, hosts)
        self.spec, self.shape, self.placements = plan.model, plan.shape, plan.placements
        self.micros = len(self.placements[0].micros)
        composed = all(volume.axis in OWN_AXES for volume in plan.volumes)
        self.options = plan.step_options
        self.rows = composed and adds_rows(self.spec, self.shape, self.placements, self.options)
        self.inside = {placement.rank: dict(self._inside(placement)) for placement in self.placements}
        self.compute = {
            (placement.rank, way): sum(self._micro_s(placement, samples, way) for samples in placement.micro_samples)
            for placement in self.placements
            for way in WAYS
        }

    def times(self) -> tuple[float, tuple[RankTime, ...]]:
        """Seconds of the step, and of each rank in it."""
        ends, updated = self._backward_ends(), self._updated()
        sums = {placement.rank: list(self._sums(placement)) for placement in self.placements}
        exposed, last = {}, {}
        for placement in self.placements:
            beside = self.compute[placement.rank, "backward"] / self.micros if self.comm.progress == "thread" else 0.0
            exposed[placement.rank] = chain_s([took_s for _, took_s in sums[placement.rank]], beside)
            together = {other for ranks, _ in sums[placement.rank] for other in ranks} | {placement.rank}
            last[placement.rank] = max(ends[other] for other in together) + exposed[placement.rank]
        gathered = {placement.rank: self._weights_s(placement) for placement in self.placements}
        exchange = {r: sum(self.inside[r].values()) + exposed[r] + gathered[r] for r in ends}
        done = {r: last[r] + updated[r] + gathered[r] for r in ends}
        step_s, times = max(done.values()), []
        for placement in self.placements:
            compute = (
                self.compute[placement.rank, "forward"] + self.compute[placement.rank, "backward"] + updated[placement.rank]
            )
            left = max(0.0, step_s - compute)
            talk = min(exchange[placement.rank], left)
            times.append(RankTime(self.hosts[placement.rank], compute, talk, left - talk))
        return step_s, tuple(times)

    def joules(self, step_s: float, ranks: Sequence[RankTime]) -> dict[str, float] | None:
        """Joules of each host over the step; None where one has no watts."""
        by_host: dict[str, float] = {}
        for host in dict.fromkeys(self.hosts):
            about = self.profile.host(host)
            if not {"idle_W", "busy_W"} <= set(about.watts):
                return None
            waiting = about.waiting_cores.get(self.comm.wait, 0.0)
            rank_times = [rank for rank in ranks if rank.host == host]
            busy_s = sum(r.compute_s * about.busy_cores + (r.exchange_s + r.wait_s) * waiting for r in rank_times)
            used = min(1.0, busy_s / about.cores / step_s)
            # As the model of the board's power weighs it: a core that is busy for part of the time draws less than that part.
            duty = min(1.0, busy_s / step_s / max(about.busy_cores * len(rank_times), 1e-9))
            weight = duty ** (about.watts.get("exponent", 1.0) - 1) if duty else 1.0
            by_host[host] = step_s * (about.watts["idle_W"] + (about.watts["busy_W"] - about.watts["idle_W"]) * used * weight)
        return by_host

    def over(self) -> tuple[str, ...]:
        """Hosts whose memory would not do."""
        full = []
        for host in dict.fromkeys(self.hosts):
            about = self.profile.host(host)
            needs = [memory.total_bytes for memory, label in zip(self.plan.memory, self.hosts, strict=True) if label == host]
            needed = sum(needs) + len(needs) * about.baseline_bytes
            if about.memory_bytes is not None and needed > about.memory_bytes:
                full.append(f"{host} has {about.memory_bytes / 2**20:.0f} MiB and needs {needed / 2**20:.0f}")
        return tuple(full)

    def _micro_s(self, placement: RankPlacement, samples: int, way: str) -> float:
        """Seconds of one micro-batch on one rank, which counts the tokens that it has of each sample."""
        part = samples * placement.local_tokens / self.shape.seq
        begin, end = placement.units["ffn"]
        work = Work(placement.layer_count, placement.first, placement.last, self.rows)
        recompute = self.shape.recompute == "blocks"
        share = (end - begin) / self.spec.ffn
        return compute_s(self.profile, self.hosts[placement.rank], part, work, share, way, recompute)

    def _inside(self, placement: RankPlacement) -> Iterator[tuple[str, float]]:
        """Seconds of all messages inside of the layers, forward and backward."""
        volumes = [
            *tensor_volumes.volumes(self.spec, self.shape, [placement]),
            *sequence_volumes.rank_volumes(self.spec, self.shape, placement, self.placements, self.options),
        ]
        for way in WAYS:
            yield way, sum(self._volume_s(v, self._along(placement, v.axis)) for v in volumes if v.phase == way)

    def _along(self, placement: RankPlacement, axis: str) -> list[int]:
        """Ranks that differ from ``at`` along one axis only."""
        rest = {name: value for name, value in placement.coordinates.items() if name != axis}
        return [other.rank for other in self.placements if rest.items() <= other.coordinates.items()]

    def _volume_s(self, volume: Volume, ranks: Sequence[int]) -> float:
        return volume.calls * self._call_s(volume.op, volume.payload_bytes / volume.calls, ranks)

    def _call_s(self, op: str, payload_bytes: float, ranks: Sequence[int]) -> float:
        """Seconds of one operation over these ranks."""
        latency_s, rate = self.profile.ring([self.hosts[rank] for rank in ranks])
        if op == "all_reduce":
            return fastest_all_reduce_s(self.comm.all_reduce, self.profile, payload_bytes, len(ranks), latency_s, rate)
        hops = 1 if op == "send" else len(ranks) - 1
        return hops * latency_s + wire_bytes(op, payload_bytes, len(ranks)) / rate

    def _paced_s(self, placement: RankPlacement, way: str) -> float:
        """Mean seconds of a micro-batch for the ranks that share its layers and tokens with ``at``."""
        same = (placement.stage, placement.replica, placement.member)
        group = [other for other in self.placements if (other.stage, other.replica, other.member) == same]
        slowest = max(self.compute[other.rank, way] for other in group)
        return (slowest + max(self.inside[other.rank][way] for other in group)) / self.micros

    def _backward_ends(self) -> dict[int, float]:
        """When each rank ends its last backward, in seconds from the start of the step."""
        if self.placements[0].stage[1] == 1:
            return {
                placement.rank: self.micros * sum(self._paced_s(placement, way) for way in WAYS)
                for placement in self.placements
            }
        ends = {}
        for replica in range(self.plan.mesh.data):
            members = [placement for placement in self.placements if placement.replica[0] == replica]
            count, virtual = members[0].stage[1], len(members[0].layers)
            at_stage = [[placement for placement in members if placement.stage[0] == stage] for stage in range(count)]
            forward_s, backward_s = (
                [max(self._paced_s(placement, way) for placement in ranks) / virtual for ranks in at_stage] for way in WAYS
            )
            todo = [list(actions(self.options.schedule, s, count, self.micros, virtual)) for s in range(count)]
            messages = {(s, to): self._message_s(at_stage[s], (to - s) % count) for s in range(count) for to in range(count)}
            line = simulate(todo, forward_s, backward_s, lambda s, to, known=messages: known[s, to])  # type: ignore[misc]
            for stage, ranks in enumerate(at_stage):
                end_s = max(interval.end_s for interval in line.intervals if interval.stage == stage)
                ends.update({placement.rank: end_s for placement in ranks})
        return ends

    def _message_s(self, senders: Sequence[RankPlacement], away: int) -> float:
        """Seconds from a stage to the next (``away`` 1) or the previous one, a micro-batch: the busiest sender or receiver."""
        if away not in (1, senders[0].stage[1] - 1):
            return 0.0
        busy: dict[tuple[str, int], float] = {}
        for placement in senders:
            sample = placement.stream_tokens * self.spec.hidden * self.shape.element_bytes
            near = pipeline_messages.neighbours(placement, self.placements, 1 if away == 1 else -1)
            for route in pipeline_messages.routes(placement.micros[0], [(other.rank, other.micros[0]) for other in near]):
                latency_s, rate = self.profile.link(self.hosts[placement.rank], self.hosts[route.rank])
                took_s = latency_s + (route.end - route.begin) * sample / rate
                for end in (("from", placement.rank), ("to", route.rank)):
                    busy[end] = busy.get(end, 0.0) + took_s
        return max(busy.values())

    def _sums(self, placement: RankPlacement) -> Iterator[tuple[Sequence[int], float]]:
        """Ranks and seconds of each sum of gradients that ``at`` takes part in, in the order in which they get ready."""
        everyone = tuple(other.rank for other in self.placements)
        for volume in self.plan.volumes:
            if volume.axis not in OWN_AXES:  # a strategy's own messages: as if all went through one link, one after the other
                yield everyone, self._volume_s(volume, everyone)
        if not any(volume.axis == gradient_buckets.AXIS for volume in self.plan.volumes):
            return
        for ranks, volume in self._bucket_volumes(placement):
            if volume.phase == "backward":
                yield ranks, self._volume_s(volume, ranks)
        if placement.first and sends_rows(self.spec, self.shape, self.placements, self.options):
            element = 2 if self.options.wire else self.shape.element_bytes
            ranks = [other.rank for other in holders(self.placements)]
            volumes = row_volumes(self.spec, self.placements, element)
            yield ranks, max(self._volume_s(volume, ranks) for volume in volumes)

    def _weights_s(self, placement: RankPlacement) -> float:
        """Seconds of gathering the weights after the optimizer of ZeRO."""
        if not self.options.zero:
            return 0.0
        return sum(
            self._volume_s(volume, ranks) for ranks, volume in self._bucket_volumes(placement) if volume.phase == "optimizer"
        )

    def _bucket_volumes(self, placement: RankPlacement) -> Iterator[tuple[Sequence[int], Volume]]:
        main, rest = gradient_buckets.plan_buckets(self.spec, self.shape, placement, self.placements, self.options)
        for bucket in (*main, *rest):
            for volume in gradient_buckets.bucket_volumes(bucket, placement.rank, self.shape.element_bytes, self.options):
                yield bucket.ranks, volume

    def _updated(self) -> dict[int, float]:
        """Seconds of the optimizer on each rank."""
        name, seconds = self.shape.optimizer, {}
        states = OPTIMIZER_STATES[name]
        for memory, host in zip(self.plan.memory, self.hosts, strict=True):
            held = memory.optimizer_bytes / states if states else memory.parameters_bytes
            seconds[memory.rank] = held / self.shape.element_bytes * self.profile.host(host).optimizer_s[name]
        return seconds


def chain_s(sums_s: Sequence[float], beside_s: float) -> float:
    """Seconds of sums of gradients that stick out of a backward.

    Each begins when it is ready, at even distances, and the one before it is done.

    Args:
        sums_s: Seconds of each sum, in the order in which they get ready.
        beside_s: Length of the backward that they go on beside, s; 0 where they follow it.

    Returns:
        Seconds after the end of the backward.
    """
    at_s = 0.0
    for number, took_s in enumerate(sums_s, 1):
        at_s = max(at_s, beside_s * number / len(sums_s)) + took_s
    return max(0.0, at_s - beside_s)
