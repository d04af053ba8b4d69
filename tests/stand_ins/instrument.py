"""A power analyser that speaks SCPI over a plain TCP socket."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Instrument:
    """``replies`` by query; a query that is not there has no answer."""

    def __init__(self, replies: dict[str, str]) -> None:
        self.replies, self.delay_s, self.port = replies, 0.0, 0
        self.commands: list[str] = []
        self.open: set[socket.socket] = set()
        self.returns()

    @property
    def resource(self) -> str:
        return f"TCPIP::127.0.0.1::{self.port}::SOCKET"

    def returns(self) -> None:
        self.server = socket.create_server(("127.0.0.1", self.port))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.server,), daemon=True).start()

    def dies(self) -> None:
        for connection in (self.server, *self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.open.clear()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            self.open.add(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as stream:
                for line in stream:
                    command = line.decode().strip()
                    self.commands.append(command)
                    time.sleep(self.delay_s)
                    if command in self.replies:
                        connection.sendall(self.replies[command].encode() + b"\n")
        except OSError:
            return
