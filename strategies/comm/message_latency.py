"""Messages that arrive later: the latency of dilated boards where the kernel cannot delay packets.

The receiver sleeps after a message or a collective has come, so values and counted bytes are what they were. A message that
had come before it was asked for is taken to have come long enough ago: the latency was hidden behind the computation. A
collective passes as many messages one after the other as its algorithm says (Thakur et al., IJHPCA 19(1), 2005):

| operation                                  | messages one after the other |
|--------------------------------------------|------------------------------|
| all-reduce, ring                           | 2 (n - 1)                    |
| all-reduce, recursive_doubling             | ceil(log2 n)                 |
| all-reduce, mpi (reduce-scatter, gather)   | 2 ceil(log2 n)               |
| all-gather, reduce-scatter                 | ceil(log2 n)                 |
| all-gather, reduce-scatter, ring           | n - 1                        |
| all-to-all (all partners at once)          | 1                            |

Those of MPI are the fewest that such algorithms need: a library may use more.
"""

from __future__ import annotations

import math
import time
from typing import Any

from strategies.comm.comm_options import AllReduce


def latencies(op: str, ranks: int, algorithm: AllReduce = "mpi") -> int:
    """How many messages pass one after the other.

    Args:
        op: The collective, as in the ledger.
        ranks: Members of the group.
        algorithm: Of an all-reduce; ``ring`` also of the others.

    Returns:
        The number; 0 in a group of one.
    """
    rounds = math.ceil(math.log2(ranks)) if ranks > 1 else 0
    if op == "all_reduce":
        return {"ring": 2 * (ranks - 1), "recursive_doubling": rounds, "mpi": 2 * rounds}[algorithm]
    if algorithm == "ring":
        return ranks - 1
    return min(rounds, 1) if op == "all_to_all" else rounds


def arrive_later(messages: int, delay_s: float) -> None:
    """Sleep as long as messages are under way.

    Args:
        messages: How many pass one after the other.
        delay_s: What is added to each, s; 0: nothing happens.
    """
    if delay_s > 0 and messages > 0:
        time.sleep(messages * delay_s)


def is_under_way(requests: list[Any], delay_s: float) -> bool:
    """Whether a receive is not complete when it is asked for, so that its latency cannot be hidden any more.

    Args:
        requests: ``MPI.Request`` of its pieces.
        delay_s: What is added to each message, s; 0: nobody needs to know, and the request is not touched.

    Returns:
        False also where nothing is added.
    """
    return delay_s > 0 and not all(request.Test() for request in requests)
