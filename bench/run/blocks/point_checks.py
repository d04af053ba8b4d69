"""The record's ``checks``: all that is looked at before the numbers of a point are believed."""

from __future__ import annotations

from bench.conditions import host_agreement
from bench.conditions.host_checks import host_checks
from bench.faults.fault_checks import fault_checks
from bench.joules.metered_parts import EnergyContext
from bench.joules.plausibility import plausibility_checks
from bench.record import checks, dilation_checks
from bench.record.check_record import Check
from bench.record.record import MeasuredRecord
from bench.run.blocks.board_limits import host_limits
from bench.run.gathered_run import GatheredRun


def point_checks(gathered: GatheredRun, record: MeasuredRecord) -> list[Check]:
    """Checks of the numbers, of the energy, of the conditions and of a failure, in the order of the report.

    Args:
        gathered: The run that is over.
        record: Its blocks, not yet judged.

    Returns:
        The checks, all but that of earlier repeats.
    """
    hosts = record.environment.hosts or ()
    return [
        *_of_training(gathered, record),
        *_of_energy(gathered, record),
        *_of_conditions(gathered, record),
        host_agreement.same_code(hosts),
        host_agreement.quiet_before(hosts),
        *host_checks(hosts),
        checks.step_time_stable(record.time.step_s.values, gathered.config.smoke),
        checks.clock(gathered.clock.bound_s, gathered.clock.residual_s, record.time.step_s.median),
        *dilation_checks.neighbours(record.dilation),
        *_of_failure(gathered, record),
    ]


def _of_training(gathered: GatheredRun, record: MeasuredRecord) -> list[Check]:
    hashes: dict[str, list[str]] = {}
    for placement, report in zip(gathered.plan.placements, gathered.reports, strict=True):
        shard = f"stage {placement.stage[0]} part {placement.coordinates['tensor']}"
        hashes.setdefault(shard, []).append(report.weights_hash)
    return [
        checks.traffic(record.traffic.payload_bytes, record.traffic.theory_bytes),
        checks.memory_states(record.memory.states or (), record.plan.memory),
        checks.loss_finite(record.learning.curve.loss),
        checks.replicas_equal(hashes),
    ]


def _of_energy(gathered: GatheredRun, record: MeasuredRecord) -> list[Check]:
    energy, coverage = record.energy, record.energy.coverage
    return [
        checks.energy_quality(energy.kind, coverage.missing, {host.host: host.quality for host in energy.by_host}),
        checks.one_level(coverage.levels),
        checks.participants(coverage.also_measured),
        checks.cross_checks(energy.cross_checks),
        *plausibility_checks(
            gathered.cover, gathered.run, host_limits(gathered.config), EnergyContext.of(gathered.config.energy).others
        ),
    ]


def _of_conditions(gathered: GatheredRun, record: MeasuredRecord) -> list[Check]:
    config, time, energy = gathered.config, record.time, record.energy
    facts = [report.facts for report in gathered.reports]
    return [
        checks.window_length(
            config.dilation_factor * time.window_s, config.window_s, config.smoke, fixed_steps=config.train.steps is not None
        ),
        checks.power_samples([host.samples for host in energy.by_host], config.smoke),
        checks.sampler_cost(energy.sampler.cost_fraction),
        checks.warm_up(time.warmup.stable, time.warmup.steps),
        checks.idle_agrees(energy.idle.before_W, energy.idle.after_W, _idle_from(record)),
        checks.threads([one.threads_planned for one in facts], [one.threads for one in facts]),
        checks.rank_map([one.host for one in facts], [one.processor for one in facts]),
    ]


def _idle_from(record: MeasuredRecord) -> str | None:
    reused = record.energy.idle.reused
    return None if reused is None else f"{reused.point}, {reused.age_s:.0f} s before"


def _of_failure(gathered: GatheredRun, record: MeasuredRecord) -> list[Check]:
    if record.fault is None or gathered.plan_after is None:
        return []
    lives = [report.lived for report in gathered.reports if report.lived is not None]
    hosts = [report.facts.host for report in gathered.reports]
    return fault_checks(gathered.config.train.dtype, record.fault, (gathered.plan, gathered.plan_after), lives, hosts)
