"""A server that answers whatever comes with the same bytes: for readers that must live with any reply."""

from __future__ import annotations

import contextlib
import socket
import threading


class BytesServer:
    """``answer`` is sent once for each connection, after the first bytes of a request."""

    def __init__(self) -> None:
        self.answer = b""
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(1)
                connection.recv(4096)
                connection.sendall(self.answer)
                connection.shutdown(socket.SHUT_WR)

    def dies(self) -> None:
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
