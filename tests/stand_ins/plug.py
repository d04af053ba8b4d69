"""A plug of the legacy Kasa protocol: JSON in an autokey cipher, over TCP, and over UDP to be found."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from typing import Any

KEY = 171
MODULES_MISSING = {"err_code": -1, "err_msg": "module not support"}


def encrypted(text: str) -> bytes:
    key, out = KEY, bytearray()
    for byte in text.encode():
        key ^= byte
        out.append(key)
    return bytes(out)


def decrypted(data: bytes) -> str:
    key, out = KEY, bytearray()
    for byte in data:
        out.append(key ^ byte)
        key = byte
    return out.decode()


class LegacyPlug:
    """``device`` is what the plug says: system, emeter, and for a strip the readings of its sockets by their id."""

    def __init__(self, device: dict[str, Any]) -> None:
        self.device = device
        self.delay_s, self.port = 0.0, 0
        self.requests: list[dict[str, Any]] = []
        self.open: set[socket.socket] = set()
        self.finder: socket.socket | None = None
        self.returns()

    def returns(self) -> None:
        self.server = socket.create_server(("127.0.0.1", self.port))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.server,), daemon=True).start()

    def can_be_found(self) -> None:
        self.finder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.finder.bind(("127.0.0.1", self.port))
        threading.Thread(target=self._say_hello, args=(self.finder,), daemon=True).start()

    def dies(self) -> None:
        for connection in (self.server, *self.open, *([self.finder] if self.finder else [])):
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
                while len(head := stream.read(4)) == 4:
                    request = json.loads(decrypted(stream.read(struct.unpack(">I", head)[0])))
                    self.requests.append(request)
                    time.sleep(self.delay_s)
                    reply = json.dumps(self.reply(request))
                    connection.sendall(struct.pack(">I", len(reply)) + encrypted(reply))
        except (OSError, ValueError):
            return

    def _say_hello(self, finder: socket.socket) -> None:
        while True:
            try:
                data, whom = finder.recvfrom(4096)
                finder.sendto(encrypted(json.dumps(self.reply(json.loads(decrypted(data))))), whom)
            except (OSError, ValueError):
                return

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        ids = request.get("context", {}).get("child_ids")
        emeter = self.device.get("emeter") if ids is None else self.device["sockets"][ids[0]]
        parts = {"system": self.device["system"], "emeter": emeter}
        return {
            target: {command: parts[target].get(command, MODULES_MISSING) for command in commands}
            if parts.get(target)
            else MODULES_MISSING
            for target, commands in request.items()
            if target != "context"
        }
