"""Predictions against sums on paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.config.comm_config import CommConfig
from bench.prediction.cluster_profile import HostProfile
from bench.prediction.step_cost import chain_s, predict
from bench.prediction.step_prediction import Prediction
from strategies.base import check_options, get
from strategies.plan.shapes import MeshShape, Plan, StepShape
from tests.bench.prediction import made_profiles as made
from tests.bench.prediction.test_share_split import SPEC

COMM = CommConfig(wait="spin", progress="inline", all_reduce="ring")
SAMPLE_S = 3 * (6 * made.BLOCK_S + made.EMBED_S + made.HEAD_S)
"""Forward and backward of one sample on a board of speed 1."""
BATCH = 8


def plan_of(strategy: str, mesh: MeshShape, micro_batches: int = 1, **options: Any) -> Plan:
    shape = StepShape(BATCH, 32, micro_batches)
    return get(strategy).plan(SPEC, shape, mesh, check_options(get(strategy), options))


def of(plan: Plan, *hosts: HostProfile, **comm: str) -> Prediction:
    return predict(plan, made.profile(hosts), [host.host for host in hosts], replace(COMM, **comm))


def update_s(plan: Plan, rank: int = 0) -> float:
    return plan.memory[rank].parameters_bytes / 4 * made.UPDATE_S


def test_one_board() -> None:
    plan = plan_of("single", MeshShape())
    found = of(plan, made.host("a"))
    assert found.step_s == pytest.approx(BATCH * SAMPLE_S + update_s(plan))
    assert found.samples_per_s == pytest.approx(BATCH / found.step_s)
    assert found.joules == {"a": pytest.approx(6.0 * found.step_s)}  # busy all the time
    assert found.edp_Js == pytest.approx(6.0 * found.step_s**2)
    assert (found.ranks[0].exchange_s, found.ranks[0].wait_s) == (0.0, pytest.approx(0.0))


def test_replicas_sum_their_gradients_after_the_computation() -> None:
    plan = plan_of("data", MeshShape(data=2), token_table="dense")
    found = of(plan, made.host("a"), made.host("b"))
    (sums,) = plan.volumes
    ring_s = sums.calls / 2 * 2 * made.LATENCY_S + sums.payload_bytes / 2 / (made.RATE_BIT_S / 8)
    assert found.step_s == pytest.approx(BATCH / 2 * SAMPLE_S + ring_s + update_s(plan))
    assert [rank.exchange_s for rank in found.ranks] == pytest.approx([ring_s] * 2)


def test_rows_of_the_token_table_spare_its_backward() -> None:
    dense, rows = (
        of(plan_of("data", MeshShape(data=2), token_table=how), made.host("a"), made.host("b")) for how in ("dense", "rows")
    )
    spared = BATCH / 2 * made.EMBED_S
    assert dense.ranks[0].compute_s - rows.ranks[0].compute_s == pytest.approx(spared)


def test_the_slower_board_is_waited_for() -> None:
    plan = plan_of("data", MeshShape(data=2), token_table="dense")
    found = of(plan, made.host("a"), made.host("b", speed=0.5))
    fast, slow = found.ranks
    assert slow.wait_s == pytest.approx(0, abs=1e-12)
    assert fast.wait_s == pytest.approx(BATCH / 2 * SAMPLE_S + update_s(plan))
    for rank in found.ranks:
        assert rank.compute_s + rank.exchange_s + rank.wait_s == pytest.approx(found.step_s)


@pytest.mark.parametrize(("wait", "cores"), [("spin", 1.0), ("poll", 0.0)])
def test_energy_of_waiting_is_that_of_the_cores_that_it_takes(wait: str, cores: float) -> None:
    """2 W idle, 6 W with all four cores busy."""
    found = of(plan_of("data", MeshShape(data=2)), made.host("a"), made.host("b", speed=0.5), wait=wait)
    fast = found.ranks[0]
    busy = fast.compute_s * 4 + (fast.exchange_s + fast.wait_s) * cores
    assert found.joules is not None
    assert found.joules["a"] == pytest.approx(2.0 * found.step_s + 4.0 * busy / 4)
    assert found.step_J == pytest.approx(sum(found.joules.values()))


def test_without_watts_no_energy() -> None:
    found = of(plan_of("single", MeshShape()), made.host("a", watts={}))
    assert (found.joules, found.per_sample_J, found.edp_Js) == (None, None, None)


def test_a_pipeline_of_equal_stages_has_its_bubble() -> None:
    """(m + p - 1) (F + B), with messages that take no time."""
    micros = 4
    plan = plan_of("pipeline", MeshShape(pipeline=2), micros)
    hosts = [made.host(name, ends=False) for name in "ab"]
    links = tuple(type(link)(link.one, link.other, 0.0, 1e18, 1e18) for link in made.profile(hosts).links)
    found = predict(plan, made.profile(hosts, links=links), list("ab"), COMM)
    one_s = 3 * BATCH / micros * 3 * made.BLOCK_S
    assert found.step_s == pytest.approx((micros + 1) * one_s + max(update_s(plan), update_s(plan, 1)))


def test_messages_of_a_pipeline_take_their_time() -> None:
    """One micro-batch: forward, its message, forward, backward, the message back, backward."""
    plan = plan_of("pipeline", MeshShape(pipeline=2))
    hosts = [made.host(name, ends=False) for name in "ab"]
    found = of(plan, *hosts)
    message_s = made.LATENCY_S + BATCH * 32 * SPEC.hidden * 4 / (made.RATE_BIT_S / 8)
    assert found.step_s == pytest.approx(
        BATCH * SAMPLE_S - BATCH * 3 * (made.EMBED_S + made.HEAD_S) + 2 * message_s + update_s(plan)
    )


def test_boards_at_one_stage_share_its_work() -> None:
    plan = plan_of("pipeline", MeshShape(pipeline=3), 2, groups=[2, 1])
    hosts = [made.host(name, ends=False) for name in "abc"]
    found = of(plan, *hosts)
    assert [rank.compute_s for rank in found.ranks[:2]] == pytest.approx([found.ranks[2].compute_s / 2] * 2, rel=0.01)


def test_tensor_ranks_exchange_inside_of_the_layers() -> None:
    """Half of the computation each; every reduction by the ring of two."""
    plan = plan_of("tensor", MeshShape(tensor=2))
    found = of(plan, made.host("a"), made.host("b"))
    inside = [volume for volume in plan.volumes if volume.axis == "tensor"]
    calls, payload = sum(v.calls for v in inside) / 2, sum(v.payload_bytes for v in inside) / 2
    exchange_s = calls * 2 * made.LATENCY_S + payload / (made.RATE_BIT_S / 8)
    assert found.ranks[0].exchange_s == pytest.approx(exchange_s)
    assert found.step_s == pytest.approx(BATCH * SAMPLE_S / 2 + exchange_s + update_s(plan))


def test_sequence_ranks_have_a_part_of_each_sample() -> None:
    plan = plan_of("sequence", MeshShape(sequence=2), sequence_shares=[3, 1], token_table="dense")
    found = of(plan, made.host("a"), made.host("b"))
    assert found.ranks[0].compute_s == pytest.approx(BATCH * SAMPLE_S * 3 / 4 + update_s(plan))
    assert found.ranks[1].compute_s == pytest.approx(BATCH * SAMPLE_S / 4 + update_s(plan))


def test_a_server_is_a_star() -> None:
    """All gradients go through one link, to rank 0 and back."""
    plan = plan_of("server", MeshShape(data=3))
    found = of(plan, *(made.host(name) for name in "abc"))
    (sent,) = plan.volumes
    assert found.ranks[0].exchange_s == pytest.approx(4 * made.LATENCY_S + sent.payload_bytes / (made.RATE_BIT_S / 8))


def test_zero_brings_the_weights_together_after_the_optimizer() -> None:
    plan = plan_of("data", MeshShape(data=2), zero=1)
    found = of(plan, made.host("a"), made.host("b"))
    (scattered, gathered) = (next(v for v in plan.volumes if v.phase == phase) for phase in ("backward", "optimizer"))
    bytes_s = made.RATE_BIT_S / 8
    expected = (scattered.calls + gathered.calls) / 2 * made.LATENCY_S + (
        scattered.wire_bytes + gathered.wire_bytes
    ) / 2 / bytes_s
    assert found.ranks[0].exchange_s == pytest.approx(expected, rel=1e-6)
    assert found.ranks[0].compute_s == pytest.approx(BATCH / 2 * SAMPLE_S + update_s(plan) / 2, rel=1e-4)


def test_blocks_are_computed_again() -> None:
    shape = StepShape(BATCH, 32, 1, recompute="blocks")
    plan = get("single").plan(SPEC, shape, MeshShape(), check_options(get("single"), {}))
    more = BATCH * 6 * made.BLOCK_S
    assert of(plan, made.host("a")).step_s == pytest.approx(BATCH * SAMPLE_S + more + update_s(plan))


@pytest.mark.parametrize(
    ("sums", "beside", "exposed"),
    [([], 3.0, 0.0), ([1.0, 1.0], 0.0, 2.0), ([1.0, 1.0], 2.0, 1.0), ([0.1, 0.1], 10.0, 0.1), ([4.0, 1.0], 2.0, 4.0)],
)
def test_sums_beside_the_backward(sums: list[float], beside: float, exposed: float) -> None:
    assert chain_s(sums, beside) == pytest.approx(exposed)


def test_memory_that_would_not_do() -> None:
    plan = plan_of("single", MeshShape())
    needed = (2**28 + plan.memory[0].total_bytes) / 2**20
    found = of(plan, made.host("a", memory_bytes=2**28))
    assert found.over == (f"a has 256 MiB and needs {needed:.0f}",)
    assert of(plan, made.host("a", memory_bytes=None)).over == ()
    assert of(plan, made.host("a")).over == ()
