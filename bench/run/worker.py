"""What every rank runs: ``mpirun ... python -m mpi4py -m bench.run.worker config.json``.

Rank 0 reads the resolved configuration and broadcasts it; no shared file system and no Hydra is needed. The way of a
point: set the hosts' power mode, build the shard (and resume a checkpoint), start the power samplers, send the weights
around where that is to be measured, compare clocks, measure idle, warm up, train in timed windows, measure idle and clocks
again, let a rank fail where that is asked for, put the power mode back, save a checkpoint, gather, and let rank 0 write the
record.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.common.exit_codes import BAD_INPUT, FAILED
from bench.common.exit_codes import OUT_OF_MEMORY as OOM
from bench.common.user_error import UserError
from bench.config.point_config import PointConfig
from bench.point.plan_errors import in_command_line_words
from bench.timeline.rank_report import RankReport, RunFacts
from strategies.common.plan_error import PlanError

if TYPE_CHECKING:
    from mpi4py import MPI

    from bench.energy.sampling.energy_session import EnergySession
    from bench.faults.recovery import Lived
    from bench.power_modes.hosts_in_mode import PowerModes
    from bench.training.trainer import Trainer

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory")


def main(argv: list[str]) -> int:
    """Entry of each rank. Errors of the user's making are one line; the job ends on all ranks."""
    from mpi4py import MPI

    from bench.faults.recovery import leave

    comm = MPI.COMM_WORLD
    config, error = None, None
    if comm.Get_rank() == 0:
        try:
            config = PointConfig.from_json(json.loads(Path(argv[0]).read_text()), argv[0])
        except (OSError, ValueError, IndexError, UserError) as problem:
            error = f"cannot read the point's configuration: {problem}"
    config, error = comm.bcast((config, error))
    if error is not None:
        if comm.Get_rank() == 0:
            print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    run(config, comm)  # an invalid point is the record's to say: an exit code would only make mpirun complain
    return leave(config, 0)


def run(config: Mapping[str, Any], comm: MPI.Intracomm) -> int:
    """Run one point on this rank; 0 when its record is ok, else 1. Rank 0 writes it into ``config["paths"]["point"]``.

    A rank that cannot go on ends the whole job: the others would wait for it.
    """
    try:
        return _run(config, comm)
    except (UserError, PlanError) as error:
        print(f"error: {in_command_line_words(error)}", file=sys.stderr, flush=True)
        comm.Abort(BAD_INPUT)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(text in str(error).lower() for text in OUT_OF_MEMORY):
            raise
        print(f"error: out of memory on rank {comm.Get_rank()}: {error}", file=sys.stderr, flush=True)
        comm.Abort(OOM)
    return FAILED


def _run(config: Mapping[str, Any], comm: MPI.Intracomm) -> int:
    from bench.power_modes.hosts_in_mode import PowerModes
    from bench.training import rank_setup

    where = rank_setup.locate(config, comm)
    modes = PowerModes.of(config, comm, rank_setup.home(where))
    try:
        modes.apply()  # first of all: it decides how many cores there are
        return _point(config, comm, where, modes)
    finally:
        modes.release()


def _point(config: Mapping[str, Any], comm: MPI.Intracomm, where: Mapping[str, Any], modes: PowerModes) -> int:
    from bench.cluster.board_class import boards_of
    from bench.energy.sampling.energy_session import EnergySession
    from bench.energy.sampling.energy_settings import EnergySettings
    from bench.faults import recovery
    from bench.tasks.task_base.task import make_task
    from bench.timeline.clock_model import ClockModel, measure
    from bench.training import process_memory, rank_setup
    from bench.training.trainer import Trainer
    from bench.training.weight_replication import replicate
    from strategies.comm.ledger import Ledger
    from strategies.step import training_checkpoint

    started, begin_ns = datetime.now(timezone.utc), time.monotonic_ns()
    if "fault" in config:
        recovery.check_survives()
    facts = rank_setup.settle(config, comm, where)
    baseline = process_memory.resident_bytes()
    task = make_task(dict(config))
    ledger = Ledger()
    strategy, loaded = _build(config, comm, ledger, facts["device"])
    trainer, plan = Trainer(config, comm, strategy, task, ledger), strategy.step_plan
    del strategy  # the trainer's, which has another one after a failure

    session = EnergySession(
        comm, EnergySettings.from_dict(config["energy"]), boards_of(config["boards"]), rank_setup.home(facts)
    )
    session.start()
    try:
        sent = replicate(config, comm, loaded.asked) if config["train"]["replicate"] else None
        process_memory.reset_peak()
        host_states = _host_state(config, facts)
        before = measure(comm, facts["boot_id"])
        comm.Barrier()
        ready_ns = time.monotonic_ns()
        idle = [_idle(config["idle_s"], comm)]
        # A quick look does not wait for what 1 % would need; its record says so.
        needed_s = 0.0 if config["smoke"] else session.window_needed_s()
        history = trainer.run(max(config["window_s"], needed_s))
        idle.append(_idle(config["idle_s"], comm))
        host_states += _host_state(config, facts)
        after = measure(comm, facts["boot_id"])
        drawn = [] if config["train"]["resume"] else loaded.drawn
        report = _report(facts, trainer, baseline, idle, drawn, host_states)
        survived = None
        if "fault" in config:
            survived = recovery.Failure(config, comm, trainer, partial(_last_words, report, session, modes)).run()
            comm = session.comm = survived.comm
    finally:
        session.stop()
    modes.release()
    report = replace(report, mode=modes.state(), lived=survived and survived.lived)
    traces, reports = session.gather(), comm.gather(report)
    if config["train"]["save"]:  # gathers whole tensors on rank 0, so the memory of training is read before
        training_checkpoint.save(trainer.strategy, trainer.optimizer, history.steps, Path(config["train"]["save"]), comm)
    trainer.strategy.close()
    if reports is None or before is None or after is None or traces is None:
        return comm.bcast(None)  # type: ignore[no-any-return]
    from bench.run import assemble

    if survived is not None:
        report_of_lost, traces_of_lost = survived.handed
        reports = sorted([*reports, report_of_lost], key=lambda found: found.rank)
        traces = sorted([*traces, *traces_of_lost], key=lambda trace: trace.rank)
    offsets = ClockModel.fit(before, after)
    run_facts = RunFacts(begin_ns, ready_ns, started, datetime.now(timezone.utc), sent)
    status = assemble.write(config, plan, reports, traces, offsets, run_facts, None if survived is None else survived.plan)
    return comm.bcast(0 if status == "ok" else FAILED)  # type: ignore[no-any-return]


def _report(
    facts: dict[str, Any],
    trainer: Trainer,
    baseline: int,
    idle_ns: list[tuple[int, int]],
    drawn: list[str],
    host_states: list[dict[str, Any]],
) -> RankReport:
    """What this rank has to tell when its windows are over."""
    from bench.training import process_memory, rank_setup

    strategy, history = trainer.strategy, trainer.history
    return RankReport(
        rank=facts["rank"],
        facts=facts,
        history=history,
        entries=list(trainer.ledger.entries),
        losses=[float(loss) for loss in history.losses],
        memory={
            "peak_bytes": process_memory.peak_bytes(),
            "baseline_bytes": baseline,
            **process_memory.states(strategy.trainable(), trainer.optimizer, strategy.module),
            "activations_bytes": history.activations_bytes,
        },
        weights_hash=rank_setup.weights_hash(strategy.module),
        idle_ns=idle_ns,
        drawn=drawn,
        host_states=host_states,
    )


def _last_words(report: RankReport, session: EnergySession, modes: PowerModes, lived: Lived) -> tuple[RankReport, list[Any]]:
    """What a rank that will be killed hands over: its report, and the readings of its host if it has them."""
    session.stop()
    modes.release()
    return replace(report, mode=modes.state(), lived=lived), session.traces


def _build(config: Mapping[str, Any], comm: MPI.Intracomm, ledger: Any, device: str) -> tuple[Any, Any]:
    """This rank's strategy with its module loaded, and the loader, which knows what it was asked and what it had to draw."""
    from bench.training.trainer import make_strategy
    from bench.training.weight_replication import RememberingLoader
    from strategies.base import check_options, get
    from strategies.plan.model_spec import ModelSpec
    from strategies.plan.shapes import MeshShape, StepShape

    options = dict(config["strategy"])
    cls = get(options.pop("name"))
    spec = ModelSpec.from_dict(config["model"]["spec"])
    plan = cls.plan(spec, StepShape.of(config["train"]), MeshShape(**config["mesh"]), check_options(cls, options))
    checkpoint = config["model"]["checkpoint"]
    with RememberingLoader(spec, Path(checkpoint) if checkpoint else None, config["seed"]) as load:
        return make_strategy(config, comm, plan, ledger, load, device), load


def _host_state(config: Mapping[str, Any], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How the host stands now, on its first rank; nothing on the others."""
    from bench.conditions.host_state import collect
    from bench.energy.sampling.energy_session import root_of

    return [collect(Path(root_of(config["energy"]["root"], facts["host"])))] if facts["first"] else []


def _idle(seconds: float, comm: MPI.Intracomm) -> tuple[int, int]:
    """Let every rank sleep, after all have come to rest; the span of the sleep on this rank's clock."""
    comm.Barrier()
    time.sleep(min(0.2, seconds / 4))  # the barrier itself spins
    begin = time.monotonic_ns()
    time.sleep(seconds)
    end = time.monotonic_ns()
    comm.Barrier()
    return begin, end


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
