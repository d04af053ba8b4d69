"""Ring attention asks for the next keys before it computes with the present ones, and waits behind: else nothing is hidden."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from strategies.models.layers import Context
from strategies.step import ring_attention
from strategies.step.ring_attention import RingAttention

SIZE, TOKENS = 3, 4
CONTEXT = Context(causal=False, keys=None, turns=None, kv=None)


class Message:
    """A message that says when it is waited for."""

    def __init__(self, log: list[str], what: str, tensor: Tensor) -> None:
        self.log, self.what, self.tensor = log, what, tensor

    def finish(self) -> Tensor:
        self.log.append(f"wait for {self.what}")
        return self.tensor


class LoggingGroup:
    """Three ranks of which this is the first; every message arrives, full of ones, and its order is in ``log``."""

    size, rank = SIZE, 0

    def __init__(self) -> None:
        self.log: list[str] = []

    def send(self, tensor: Tensor, to: int, tag: int) -> Message:
        self.log.append(f"send {tag}")
        return Message(self.log, f"send {tag}", tensor)

    def receive(self, tensor: Tensor, source: int, tag: int) -> Message:
        self.log.append(f"receive {tag}")
        return Message(self.log, f"receive {tag}", tensor.fill_(1.0))


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> RingAttention:
    """Ring attention of one rank of three whose messages and block products are logged."""
    group: Any = LoggingGroup()
    for name in ("block_forward", "block_backward"):
        compute = getattr(ring_attention, name)

        def logged(*arguments: Any, compute: Any = compute, **more: Any) -> Any:
            group.log.append("block")
            return compute(*arguments, **more)

        monkeypatch.setattr(ring_attention, name, logged)
    return RingAttention(group, [((TOKENS * rank, TOKENS * (rank + 1)),) for rank in range(SIZE)])


def test_the_next_keys_travel_while_a_block_is_computed(ring: RingAttention) -> None:
    """Forward: keys 1 and 2 are asked for and sent before blocks 0 and 1, and waited for behind them; block 2 asks for none."""
    log = ring.group.log  # type: ignore[attr-defined]
    q, k, v = (torch.randn(2, 2, TOKENS, 3, requires_grad=True) for _ in range(3))
    out = ring.attend(q, k, v, CONTEXT)
    step = ["receive {0}", "send {0}", "block", "wait for send {0}", "wait for receive {0}"]
    assert log == [*(each.format(1) for each in step), *(each.format(2) for each in step), "block"]
    log.clear()
    out.sum().backward()
    # Backward: the keys again (tags 3 and 4), and behind each block but the first the gradients of the keys that visited.
    blocks = [index for index, what in enumerate(log) if what == "block"]
    assert len(blocks) == SIZE
    keys = ["3", "4"]
    for block, tag in zip(blocks, keys, strict=False):
        assert log.index(f"receive {tag}") < block
        assert log.index(f"send {tag}") < block
        assert log.index(f"wait for receive {tag}") > block
        assert log.index(f"wait for send {tag}") > block
    gradients = [what.removeprefix("receive ") for what in log if what.startswith("receive") and what.split()[1] not in keys]
    assert len(gradients) == SIZE - 1
    first, last = gradients
    assert blocks[1] < log.index(f"receive {first}") < blocks[2] < log.index(f"wait for receive {first}")
    assert blocks[2] < log.index(f"receive {last}") < log.index(f"wait for receive {last}")
