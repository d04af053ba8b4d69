"""A meter's web server: its replies, authentication, and the ways in which it fails.

The files in ``replies/`` have the shape of what devices send, name by name, and numbers of our own.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

REPLIES = Path(__file__).parent / "replies"
Answer = Callable[[str], Any]
"""From the request's target to text (sent as it is), something to send as JSON, None (404), or another status."""


def recorded(name: str) -> Any:
    return json.loads((REPLIES / f"{name}.json").read_text())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections are cut on purpose."""


class WebMeter:
    """``answer`` has what it serves. ``dies`` and ``returns`` keep the port; ``delay_s`` holds every reply back."""

    def __init__(self, answer: Answer, login: tuple[str, str, str] | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.answer, self.login, self.tls = answer, login, tls
        self.delay_s, self.status, self.kind = 0.0, 200, "application/json"
        self.framing = "length"  # or chunked, or close
        self.requests: list[str] = []
        self.connections = 0
        self.refused = 0
        self.nonce, self.counts = secrets.token_hex(8), set[str]()
        self.open: set[socket.socket] = set()
        self.port = 0
        self.returns()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def returns(self) -> None:
        meter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                meter.connections += 1
                meter.open.add(self.connection)

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()
                meter.open.discard(self.connection)

            def do_GET(self) -> None:
                meter.requests.append(self.path)
                time.sleep(meter.delay_s)
                if not meter.allows(self.path, self.headers.get("Authorization")):
                    meter.refused += 1
                    self.reply(401, "", meter.challenge())
                    return
                found = meter.answer(self.path)
                text = found if isinstance(found, str) else json.dumps(found)
                if isinstance(found, tuple):  # a redirect: its status and where to
                    self.moves(*found)
                    return
                self.reply(404 if found is None else found if isinstance(found, int) else meter.status, text, None)

            def moves(self, status: int, location: str) -> None:
                self.send_response(status)
                self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def reply(self, status: int, text: str, challenge: str | None) -> None:
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Type", meter.kind)
                    if meter.framing == "chunked":
                        self.send_header("Transfer-Encoding", "chunked")
                    elif meter.framing == "close":
                        self.send_header("Connection", "close")
                    else:
                        self.send_header("Content-Length", str(len(text.encode())))
                    if challenge:
                        self.send_header("WWW-Authenticate", challenge)
                    self.end_headers()
                    self.wfile.write(meter.framed(text.encode()))

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = _Server(("127.0.0.1", self.port), Handler)
        if self.tls is not None:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def framed(self, body: bytes) -> bytes:
        """Small devices do not know how long a reply becomes when they begin it."""
        if self.framing != "chunked":
            return body
        pieces = [body[begin : begin + 40] for begin in range(0, len(body), 40)]
        return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])

    def dies(self) -> None:
        """Stops listening and cuts the connections that are kept open."""
        self.server.shutdown()
        self.server.server_close()
        self.cuts()

    def cuts(self) -> None:
        """Closes idle connections, as devices do that have few of them."""
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def challenge(self) -> str:
        assert self.login is not None
        if self.login[0] == "basic":
            return 'Basic realm="controller"'
        return f'Digest qop="auth", realm="shelly-stand-in", nonce="{self.nonce}", algorithm=SHA-256'

    def allows(self, uri: str, given: str | None) -> bool:
        """Shelly leaves ``/shelly`` open. A digest counts once only, as RFC 7616 wants."""
        if self.login is None or uri == "/shelly":
            return True
        scheme, user, password = self.login
        if given is None:
            return False
        if scheme == "basic":
            return given == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        found = parse_keqv_list(parse_http_list(given.removeprefix("Digest ")))

        def hashed(text: str) -> str:
            return hashlib.sha256(text.encode()).hexdigest()

        secret, request = hashed(f"{user}:{found['realm']}:{password}"), hashed(f"GET:{uri}")
        right = hashed(f"{secret}:{self.nonce}:{found['nc']}:{found['cnonce']}:auth:{request}")
        fresh = found["nc"] not in self.counts
        if found["nonce"] == self.nonce and found["uri"] == uri and found["response"] == right and fresh:
            self.counts.add(found["nc"])
            return True
        return False

    def new_nonce(self) -> None:
        self.nonce, self.counts = secrets.token_hex(8), set()


def shelly(device: dict[str, Any]) -> Answer:
    """A device as its owner records it: what ``/shelly`` says, and the status of each component."""

    def answer(target: str) -> Any:
        path, _, query = target.partition("?")
        if path == "/shelly":
            return device["shelly"]
        if path == "/rpc/Shelly.GetStatus":
            return {key: block for key, block in device["status"].items() if "data:" not in key} | {"sys": {"uptime": 4711}}
        component = path.removeprefix("/rpc/").removesuffix(".GetStatus").lower()
        return device["status"].get(f"{component}:{query.removeprefix('id=')}")

    return answer


def tree(resources: dict[str, Any]) -> Answer:
    """Redfish: resources by their path."""
    return lambda target: resources.get(target.rstrip("/"))
