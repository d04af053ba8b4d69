"""Pipeline schedules: generators of small actions, interpreted by ``parts/stages.py``, simulated without MPI."""

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
from strategies.schedules.compute_orders import ORDERS, actions, check, compute_order, forward_actions, live_micro_batches

__all__ = [
    "COMPUTE",
    "ORDERS",
    "Action",
    "Backward",
    "BackwardInput",
    "BackwardWeight",
    "Forward",
    "ReceiveActivation",
    "ReceiveGradient",
    "SendActivation",
    "SendGradient",
    "actions",
    "check",
    "compute_order",
    "forward_actions",
    "live_micro_batches",
    "text",
]
