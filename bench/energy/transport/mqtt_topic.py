"""The messages of one topic of an MQTT broker, by paho-mqtt."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from bench.energy.sensor_base.external_meter import password
from bench.energy.sensor_base.source import Settings, SourceUnavailable

CONNECT_S = 5.0
KEEP_ALIVE_S = 30
PORTS = {"mqtt": 1883, "mqtts": 8883}
Message = tuple[bytes, int]
"""What a message says, and when it came in ns of the monotonic clock."""


class Topic:
    """Subscribed while it is open; the library connects again by itself. Messages that the broker kept are old, and not taken.

    Args:
        settings: The meter's entry: ``address``, ``topic``, ``user``, ``password_env``, ``verify``.

    Raises:
        SourceUnavailable: The library is missing, the entry is wrong, or the broker does not take us.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            import paho.mqtt.client as mqtt
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise SourceUnavailable(f"paho-mqtt cannot be imported ({error}); pip install edgejoule[mqtt]") from None
        self.topic = str(settings.get("topic", ""))
        if not self.topic or set(self.topic) & set("+#"):
            raise SourceUnavailable(
                f"topic: {self.topic!r} is no topic of one device; give it in full, such as tele/plug/SENSOR"
            )
        host, port, tls = _broker(str(settings["address"]))
        self.where = f"{host}:{port}"
        self.news = threading.Condition()
        self.message: Message | None = None
        self.count, self.kept = 0, b""
        self.problem: str | None = "is not connected yet"
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        secret = password(settings)
        if secret is not None or "user" in settings:
            self.client.username_pw_set(str(settings.get("user", "")), secret)
        if tls:
            self.client.tls_set()
            if settings.get("verify", True) is False:
                self.client.tls_insecure_set(True)
        self.client.on_connect, self.client.on_disconnect = self._connected, self._disconnected
        self.client.on_message, self.client.on_subscribe = self._take, self._subscribed
        self._start(host, port)

    def _start(self, host: str, port: int) -> None:
        try:
            self.client.connect(host, port, KEEP_ALIVE_S)
        except (OSError, ValueError) as error:
            raise SourceUnavailable(
                f"the broker {self.where} cannot be reached ({error}); check that it runs and that this is its address"
            ) from None
        self.client.loop_start()
        with self.news:
            self.news.wait_for(lambda: self.problem != "is not connected yet", CONNECT_S)
            problem = self.problem
        if problem is not None:
            self.close()
            raise SourceUnavailable(f"the broker {self.where} {problem}; check user, password_env and topic")

    def _connected(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            self._tell(f"refuses us ({code})")
        else:
            client.subscribe(self.topic, qos=0)

    def _subscribed(self, client: Any, data: Any, number: Any, codes: Any, properties: Any) -> None:
        refused = [code for code in codes if code.is_failure]
        self._tell(f"does not let us read {self.topic} ({refused[0]})" if refused else None)

    def _disconnected(self, client: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if self.problem is None or self.problem == "is not connected yet":
            self._tell(f"has closed the connection ({code})")

    def _tell(self, problem: str | None) -> None:
        with self.news:
            self.problem = problem
            self.news.notify_all()

    def _take(self, client: Any, data: Any, message: Any) -> None:
        came_ns = time.monotonic_ns()
        with self.news:
            if message.retain:
                self.kept = bytes(message.payload)
            else:
                self.message, self.count = (bytes(message.payload), came_ns), self.count + 1
            self.news.notify_all()

    def publish(self, topic: str, payload: str) -> None:
        """Send a message, as devices that are asked want it.

        Args:
            topic: Where to.
            payload: What it says.

        Raises:
            OSError: There is no connection.
        """
        try:
            sent = self.client.publish(topic, payload)
        except ValueError as error:
            raise OSError(f"request: {topic} cannot be sent ({error})") from None
        if sent.rc:
            raise OSError(f"the broker {self.where} takes no message (code {sent.rc})")

    def next(self, seen: int, timeout_s: float) -> tuple[Message, int]:
        """Wait for a message that is newer than the last one.

        Args:
            seen: The number of messages that were seen.
            timeout_s: How long to wait.

        Returns:
            The newest message, and the number of messages so far.

        Raises:
            OSError: None came.
        """
        with self.news:
            if self.news.wait_for(lambda: self.count > seen, timeout_s) and self.message is not None:
                return self.message, self.count
            problem, kept = self.problem, self.kept
        if problem is not None:
            raise OSError(f"the broker {self.where} {problem}")
        old = f"; the broker keeps an old one: {kept[:60].decode(errors='replace')!r}" if kept else ""
        raise OSError(f"no message of {self.topic} for {timeout_s:g} s{old}")

    def close(self) -> None:
        """Leave the broker and end the library's thread."""
        self.client.on_disconnect = None
        with contextlib.suppress(OSError, ValueError):
            self.client.disconnect()
        self.client.loop_stop()


def _broker(address: str) -> tuple[str, int, bool]:
    try:
        url = urlsplit(address if "://" in address else f"mqtt://{address}")
        port = url.port
    except ValueError:
        raise SourceUnavailable(f"address: {address} is no broker; write it like mqtt://192.168.1.10:1883") from None
    if url.scheme not in PORTS or not url.hostname or url.username is not None or url.path.strip("/"):
        raise SourceUnavailable(
            f"address: {address} is no broker; write it like mqtt://192.168.1.10:1883 or mqtts://HOST, with user and "
            "password_env beside it"
        )
    return url.hostname, port or PORTS[url.scheme], url.scheme == "mqtts"
