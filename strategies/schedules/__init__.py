"""Pipeline schedules: generators of small actions, interpreted by ``step/pipeline_stage.py``, simulated without MPI.

A schedule is one file with a registered class; ``schedule.py`` adds the messages that its order needs.
"""

from strategies.schedules.actions import (
    COMPUTE,
    Action,
    Backward,
    BackwardInput,
    BackwardWeight,
    Forward,
    ReceiveActivation,
    ReceiveGradient,
    SendActivation,
    SendGradient,
    text,
)
from strategies.schedules.schedule import (
    Schedule,
    actions,
    check,
    compute_order,
    forward_actions,
    get,
    live_micro_batches,
    register,
    registered,
)

__all__ = [
    "COMPUTE",
    "Action",
    "Backward",
    "BackwardInput",
    "BackwardWeight",
    "Forward",
    "ReceiveActivation",
    "ReceiveGradient",
    "Schedule",
    "SendActivation",
    "SendGradient",
    "actions",
    "check",
    "compute_order",
    "forward_actions",
    "get",
    "live_micro_batches",
    "register",
    "registered",
    "text",
]
