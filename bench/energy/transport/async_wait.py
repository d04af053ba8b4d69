"""Libraries that only know asyncio, from readers that are threads: one event loop for each meter."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Waiter:
    """An event loop that runs one call after the other."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def wait(self, work: Coroutine[Any, Any, Result], timeout_s: float) -> Result:
        """The result of a call.

        Args:
            work: What is waited for.
            timeout_s: How long.

        Returns:
            Its result.

        Raises:
            OSError: It took longer.
        """

        async def limited() -> Result:
            return await asyncio.wait_for(work, timeout_s)

        try:
            return self.loop.run_until_complete(limited())
        except asyncio.TimeoutError:
            raise OSError(f"no answer within {timeout_s:g} s") from None

    def close(self) -> None:
        """End what is left over, and the loop."""
        if self.loop.is_closed():
            return
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
