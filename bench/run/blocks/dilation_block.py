"""The record's ``dilation`` block."""

from __future__ import annotations

from bench.config.dilation_config import BoardSpeed
from bench.config.testbed_config import Board
from bench.record.dilation_record import BoardSpeedRecord, DilationRecord
from bench.run.gathered_run import GatheredRun


def dilation_block(gathered: GatheredRun) -> DilationRecord | None:
    """The dilation that the point was run with.

    Args:
        gathered: The run that is over.

    Returns:
        The block; None where the boards' time is the machine's.
    """
    dilation, testbed = gathered.config.dilation, gathered.config.cluster.emulated
    if dilation is None or testbed is None:
        return None
    speeds = {speed.board: speed for speed in dilation.speeds}
    return DilationRecord(
        factor=dilation.factor,
        low=dilation.low,
        high=dilation.high,
        source=dilation.source,
        latency_s=dilation.latency_s,
        latency_source=dilation.latency_source,
        latency_by="receives" if dilation.receive_delay_s else "none" if dilation.factor == 1 else "netem",
        receive_delay_s=dilation.receive_delay_s,
        quota_scale=dilation.quota_scale,
        machine_window_s=dilation.factor * gathered.run.window_s,
        seq=dilation.seq,
        samples=dilation.samples,
        disturbance=dilation.disturbance,
        boards=[_board(board, speeds.get(board.name), dilation.quota_scale) for board in testbed.boards],
    )


def _board(board: Board, speed: BoardSpeed | None, quota_scale: float) -> BoardSpeedRecord:
    target = board.target
    return BoardSpeedRecord(
        host=board.name,
        device=None if target is None else target.device,
        class_flop_s=None if target is None else target.value,
        class_low_flop_s=None if target is None else target.low,
        class_high_flop_s=None if target is None else target.high,
        class_source=None if target is None else target.source,
        quota_cores=None if board.quota_cores is None else quota_scale * board.quota_cores,
        together_flop_s=None if speed is None else speed.together_flop_s,
        alone_flop_s=None if speed is None else speed.alone_flop_s,
    )
