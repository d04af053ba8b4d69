"""The way of a point on one rank, from its configuration to the record: one class, whose methods are the stages in order."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cluster.board_class import boards_of
from bench.conditions.host_state import collect
from bench.conditions.idle_reuse import HostNow, reusable_idle
from bench.config.point_config import PointConfig
from bench.energy.sampling.energy_session import EnergySession, root_of
from bench.energy.sampling.energy_settings import EnergySettings
from bench.faults.recovery import Failure, Handed, Survived, check_survives
from bench.joules.board_time import in_board_time
from bench.joules.reused_idle import ReusedIdle
from bench.launch.held_job import HELD, MEASURED
from bench.power_modes.hosts_in_mode import PowerModes
from bench.record.environment_record import PowerModeRecord
from bench.run.assemble import write_record
from bench.run.gathered_run import GatheredRun
from bench.tasks.task_base.task import make_task
from bench.timeline.clock_model import ClockModel, Offset, measure
from bench.timeline.fault_spans import Lived
from bench.timeline.rank_report import RankMemory, RankPlace, RankReport, Replication, RunFacts, Stage
from bench.training import process_memory
from bench.training.rank_setup import host_identity, settle, weights_hash
from bench.training.rank_shard import build_shard
from bench.training.trainer import Trainer
from bench.training.weight_replication import replicate
from strategies.comm.ledger import Ledger
from strategies.step import training_checkpoint

if TYPE_CHECKING:
    from mpi4py import MPI

    from bench.record.host_state_record import HostStateRecord

REST_S = 0.2
"""How long ranks come to rest before idle begins (a quarter of the idle phase where that is shorter): barriers spin."""


class PointRun:
    """One point on this rank. Every method but ``stop`` is collective; ``run`` calls them in their order.

    Args:
        config: The resolved point.
        comm: All ranks; after a failure those that are left.
        place: Where this rank runs.
        modes: The power modes of the hosts, already set.
    """

    def __init__(self, config: PointConfig, comm: MPI.Intracomm, place: RankPlace, modes: PowerModes) -> None:
        self.config, self.comm, self.modes = config, comm, modes
        self.started, self.begin_ns = datetime.now(timezone.utc), time.monotonic_ns()
        if config.fault is not None:
            check_survives()
        self.facts = settle(config, comm, place)
        self.baseline_bytes = process_memory.resident_bytes()
        self.ready_ns = self.begin_ns
        start_ns = process_memory.process_start_ns()
        self.stages = [Stage("load ahead" if HELD in os.environ else "load", start_ns, self.begin_ns)]
        self.idle_ns: list[tuple[int, int]] = []
        self.reused_idle: ReusedIdle | None = None
        self.why_idle: str | None = None
        self.clocks: list[list[Offset] | None] = []
        self.host_states: list[HostStateRecord] = []
        self.replication: Replication | None = None
        self.step_s = 0.0
        self.report: RankReport | None = None
        self.survived: Survived | None = None

    def run(self) -> bool:
        """All stages.

        Returns:
            Whether the record is ok, on every rank.
        """
        with self.stage("set up"):
            self.set_up()
        try:
            with self.stage("conditions"):
                self.send_weights()
                self.look_at_host()
                self.compare_clocks()
                self.choose_idle()
                self.get_ready()
            with self.stage("idle"):
                self.rest()
            with self.stage("warm up"):
                self.warm_up()
            with self.stage("windows"):
                self.train_windows()
            held = HELD in os.environ and self.config.fault is None
            if not held:
                with self.stage("evaluate"):
                    self.evaluate()
            with self.stage("idle"):
                self.rest()
            with self.stage("conditions"):
                self.look_at_host()
                self.compare_clocks()
            if held:
                self.say_measured()
                with self.stage("evaluate"):
                    self.evaluate()
            self.report = self.make_report()
            self.fail_and_recover()
        finally:
            self.session.stop()
        return self.hand_in()

    def say_measured(self) -> None:
        """End the readings, and tell the launch host that nothing more is measured: the next point may load meanwhile."""
        self.session.stop()
        self.comm.Barrier()
        if self.facts.rank == 0:
            print(MEASURED, flush=True)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note when a stage begins and ends on this rank.

        Args:
            name: The stage's name in the record.

        Yields:
            Nothing.
        """
        begin_ns = time.monotonic_ns()
        yield
        self.stages.append(Stage(name, begin_ns, time.monotonic_ns()))

    def set_up(self) -> None:
        """Task, this rank's shard of the model (from a checkpoint where one is resumed), and the power samplers."""
        settings = EnergySettings.from_dict(self.config.energy)
        self.session = EnergySession(self.comm, settings, boards_of(self.config.boards), host_identity(self.facts))
        ledger = Ledger()
        task = make_task(self.config)
        strategy, self.loader = build_shard(self.config, self.comm, ledger, self.facts.device)
        self.plan = strategy.step_plan
        self.trainer = Trainer(self.config, self.comm, strategy, task, ledger)
        self.session.start()

    def send_weights(self) -> None:
        """Bring the weights from rank 0 to all where that is to be measured; then memory begins to be."""
        if self.config.train.replicate:
            self.replication = replicate(self.config, self.comm, self.loader.asked)
        process_memory.reset_peak()

    def look_at_host(self) -> None:
        """The state of the host now, by its first rank."""
        if self.facts.first:
            root = root_of(self.config.energy["root"], self.facts.host)
            self.host_states.append(collect(Path(root)))

    def compare_clocks(self) -> None:
        """Every clock against rank 0's."""
        self.clocks.append(measure(self.comm, self.facts.boot_id))

    def choose_idle(self) -> None:
        """Take over the idle power of another point of the block where the campaign offers one and no host has changed."""
        if self.config.idle_from is None:
            return
        host = None
        if self.facts.machine is not None:
            host = self.facts.host, HostNow(self.host_states[-1], self.facts.machine.busy_before)
        hosts = self.comm.gather(host)
        if hosts is not None:
            known = dict(one for one in hosts if one is not None)
            self.reused_idle, self.why_idle = reusable_idle(self.config, known, datetime.now(timezone.utc))
        self.reused_idle, self.why_idle = self.comm.bcast((self.reused_idle, self.why_idle))

    def get_ready(self) -> None:
        """The end of the start-up: all ranks are ready to measure."""
        self.comm.Barrier()
        self.ready_ns = time.monotonic_ns()

    def rest(self) -> None:
        """Let every rank sleep, after all have come to rest, and note the span of the sleep on this rank's clock.

        Where the idle power of another point is reused the span has no length.
        """
        seconds = self.config.idle_s
        self.comm.Barrier()
        if self.reused_idle is not None:
            self.idle_ns.append((time.monotonic_ns(),) * 2)
            return
        time.sleep(min(REST_S, seconds / 4))
        begin_ns = time.monotonic_ns()
        time.sleep(seconds)
        self.idle_ns.append((begin_ns, time.monotonic_ns()))
        self.comm.Barrier()

    def warm_up(self) -> None:
        """Steps until they take the same time; before them an evaluation where evaluations between windows are asked for."""
        if self.trainer.evaluates_between:
            self.trainer.evaluate()
        self.step_s = self.trainer.warm_up()

    def train_windows(self) -> None:
        """The timed windows: as long as the configuration asks for, and as 1 % of uncertainty needs.

        A quick look does not wait for that; its record says so.
        """
        needed_s = 0.0 if self.config.smoke else self.session.window_needed_s()
        self.trainer.train(max(self.config.window_s, needed_s), self.step_s)

    def evaluate(self) -> None:
        """The evaluation after the last step."""
        self.trainer.evaluate()

    def make_report(self) -> RankReport:
        """The report of this rank when its windows are over."""
        strategy, history = self.trainer.strategy, self.trainer.history
        return RankReport(
            rank=self.facts.rank,
            facts=self.facts,
            history=history,
            entries=list(self.trainer.ledger.entries),
            losses=[float(loss) for loss in history.losses],
            memory=RankMemory(
                peak_bytes=process_memory.peak_bytes(),
                baseline_bytes=self.baseline_bytes,
                states=process_memory.states(strategy.trainable(), self.trainer.optimizer, strategy.module),
                activations_bytes=history.activations_bytes,
            ),
            weights_hash=weights_hash(strategy.module),
            idle_ns=self.idle_ns,
            drawn=[] if self.config.train.resume else self.loader.drawn,
            host_states=self.host_states,
            comm_choices=strategy.mesh.choices,
            spent_ns=dict(self.trainer.ledger.spent_ns),
        )

    def fail_and_recover(self) -> None:
        """Let a rank be killed where that is asked for; from here on there is one rank less."""
        if self.config.fault is not None:
            self.survived = Failure(self.config, self.comm, self.trainer, self.last_report).run()
            self.comm = self.session.comm = self.survived.comm

    def last_report(self, lived: Lived) -> Handed:
        """The report of a rank that will be killed.

        Args:
            lived: The failure as this rank saw it so far.

        Returns:
            The report for rank 0, and the readings of this host if the rank has them.
        """
        self.session.stop()
        return Handed(self.final_report(lived), self.session.traces)

    def final_report(self, lived: Lived | None) -> RankReport:
        """The report with how the host was put back.

        Args:
            lived: The failure as this rank saw it; None where no rank was killed.

        Returns:
            The report that rank 0 gathers.
        """
        assert self.report is not None
        self.modes.release()
        mode = self.modes.state()
        return replace(self.report, mode=None if mode is None else PowerModeRecord.from_dict(mode), lived=lived)

    def hand_in(self) -> bool:
        """Gather reports and readings, save a checkpoint where that is asked for, and let rank 0 write the record."""
        report = self.final_report(None if self.survived is None else self.survived.lived)
        traces, reports = self.session.gather(), self.comm.gather(report)
        self.save_checkpoint()
        self.trainer.strategy.close()
        before, after = self.clocks
        if reports is None or traces is None or before is None or after is None:
            return bool(self.comm.bcast(None))
        handed = None if self.survived is None else self.survived.handed
        if handed is not None:
            reports = sorted([*reports, handed.report], key=lambda one: one.rank)
            traces = sorted([*traces, *handed.traces], key=lambda trace: trace.rank)
        finished = datetime.now(timezone.utc)
        facts = RunFacts(self.begin_ns, self.ready_ns, self.started, finished, self.replication, self.stages)
        plan_after = None if self.survived is None else self.survived.plan
        clock = ClockModel.fit(before, after)
        reused = self.reused_idle, self.why_idle
        traces = in_board_time(traces, self.config.dilation_factor)
        gathered = GatheredRun(self.config, self.plan, reports, traces, clock, facts, plan_after, *reused)
        status = write_record(gathered.with_waiting_charged())
        return bool(self.comm.bcast(status == "ok"))

    def save_checkpoint(self) -> None:
        """Write ``train.save``: gathers whole tensors on rank 0, so the memory of training is read before."""
        folder = self.config.train.save
        if folder:
            steps = self.trainer.history.steps
            training_checkpoint.save(self.trainer.strategy, self.trainer.optimizer, steps, Path(folder), self.comm)
