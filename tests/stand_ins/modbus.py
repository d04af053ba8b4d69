"""A Modbus TCP device: pymodbus' own server, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import struct
import threading
from typing import Any

from tests.stand_ins.daemon import free_port


def words(kind: str, value: float, order: str = "big") -> list[int]:
    """A number as registers; ``kind`` is a letter of ``struct``."""
    raw = struct.pack(f">{kind}", value)
    registers = [int.from_bytes(raw[n : n + 2], "big") for n in range(0, len(raw), 2)]
    return registers if order == "big" else registers[::-1]


class ModbusDevice:
    """``registers`` by their number, 100 of them. ``dies`` and ``returns`` keep the port."""

    def __init__(self, registers: dict[int, list[int]], device: int = 1) -> None:
        self.values, self.device, self.port = [0] * 100, device, free_port()
        for number, several in registers.items():
            self.values[number : number + len(several)] = several
        self.returns()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def returns(self) -> None:
        ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        assert ready.wait(10)

    def _run(self, ready: threading.Event) -> None:
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        async def serve() -> None:
            data = SimData(0, values=self.values, datatype=DataType.REGISTERS)
            self.server: Any = ModbusTcpServer(SimDevice(self.device, [data]), address=("127.0.0.1", self.port))
            await self.server.serve_forever(background=True)
            ready.set()

        self.loop.run_until_complete(serve())
        self.loop.run_forever()

    def dies(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.shutdown(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
