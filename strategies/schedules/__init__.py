"""Pipeline schedules: generators of small actions, interpreted by ``strategies.pipeline``, simulated without MPI."""

from strategies.schedules.actions import (
    Action,
    Backward,
    Forward,
    ReceiveActivation,
    ReceiveGradient,
    SendActivation,
    SendGradient,
    text,
)
from strategies.schedules.orders import ORDERS, actions, compute_order, live_micro_batches

__all__ = [
    "ORDERS",
    "Action",
    "Backward",
    "Forward",
    "ReceiveActivation",
    "ReceiveGradient",
    "SendActivation",
    "SendGradient",
    "actions",
    "compute_order",
    "live_micro_batches",
    "text",
]
