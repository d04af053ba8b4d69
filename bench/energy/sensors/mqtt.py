"""Meters that publish by MQTT, by paho-mqtt (an extra: ``pip install edgejoule[mqtt]``): Tasmota, Shelly, zigbee2mqtt.

Subscribes to ``topic`` at the broker and takes the number at ``path`` of each message (JSON, or a bare number without ``path``)
in its ``unit``; ``energy_path`` with ``energy_unit`` is a counter beside a power. A reading is a message: the reader waits for
the next one, so that a value which is not renewed is never taken twice, and a message that the broker kept is never one.
``time_path`` is the device's own time (ISO 8601, seconds or milliseconds): the reading counts at that time, by the smallest
difference of both clocks, so that a message that was held up in the network is not late; without it, when it came. A device
that publishes only when asked, or seldom, is asked by ``request`` and ``payload`` before each reading: Tasmota sends its
telemetry every 300 s by default (``TelePeriod``, at least 10). It is renewed as often as messages come: say so with
``period_s`` (default 1.0). A device that publishes changes only is a gap while nothing changes: set its longest interval.
Steps are the last digit of the first message. It needs a broker that lets us read the topic. It includes what the meter is in
front of. Never run on the hardware: a real broker with messages of recorded shape in tests only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from bench.energy.sensor_base.external_meter import ACCURACY, LEVEL, PASSWORD, Meter, exact, pick
from bench.energy.sensor_base.quantity_settings import UNIT_SETTINGS, named_quantities, quantity_channels
from bench.energy.sensor_base.source import Place, Settings, Source, SourceUnavailable, register
from bench.energy.transport.json_path import Keys, keys_of, parse_json
from bench.energy.transport.message_times import MessageTimes, stamp_of
from bench.energy.transport.mqtt_topic import Message, Topic

START_TIMEOUT_S = 10.0


@register
class Mqtt(Meter):
    """The numbers of each message: a power, a counter, or both."""

    name: ClassVar[str] = "mqtt"
    rank: ClassVar[int] = 54
    networked: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {
        "address": "the broker, such as mqtt://192.168.1.10:1883, or mqtts:// with TLS",
        "topic": "the device's topic, such as tele/plug/SENSOR",
        "path": "where the number is in a message, such as ENERGY.Power (default: the message is the number)",
        **UNIT_SETTINGS,
        "energy_path": "where a counter is, beside a power",
        "scale": "what one unit of that number is (default 1)",
        "energy_scale": "the same of the counter (default 1)",
        "time_path": "where the device's own time is, such as Time or last_seen",
        "request": "a topic to publish to before each reading, such as cmnd/plug/STATUS",
        "payload": "what is published there, such as 10",
        "period_s": "how often messages come, or how often to ask (default 1.0)",
        "timeout_s": "how long to wait for a message (default 3 periods)",
        "start_timeout_s": "how long to wait for the first one (default 10)",
        "user": "of the broker",
        **PASSWORD,
        "verify": "false: accept any certificate (default true)",
        **LEVEL,
        **ACCURACY,
    }

    def __init__(self, topic: Topic, settings: Settings) -> None:
        self.topic, self.asked = topic, settings
        self.quantities = named_quantities(settings, "path", "ENERGY.Power", whole_reply=True)
        self.places: dict[str, Keys] = {name: keys_of(one.setting, one.where) for name, one in self.quantities.items()}
        self.time_keys = keys_of("time_path", str(settings["time_path"])) if "time_path" in settings else None
        self.times, self.seen = MessageTimes(), 0
        self.update_s = float(settings.get("period_s", 1.0))
        self.period_s = self.update_s if "request" in settings else self.update_s / 4  # it waits for the next message
        self.timeout_s = float(settings.get("timeout_s", 3 * self.update_s))
        self.first_timeout_s = max(self.timeout_s, float(settings.get("start_timeout_s", START_TIMEOUT_S)))
        self.waiting: Message | None = None
        self.last_ns = 0

    @classmethod
    def open(cls, place: Place) -> Source:
        """Open the topic, after its first message."""
        settings = place.settings
        named_quantities(settings, "path", "ENERGY.Power", whole_reply=True)
        topic = Topic(settings)
        try:
            source = cls(topic, settings)
            source._begin()
        except OSError as error:
            topic.close()
            raise SourceUnavailable(f"{error}; check topic, and ask with request where it publishes seldom") from None
        except ValueError as error:
            topic.close()
            raise SourceUnavailable(f"{topic.topic} at {topic.where}: {error}; check path") from None
        except SourceUnavailable:
            topic.close()
            raise
        return source

    def _begin(self) -> None:
        """Take the first message, which is the first reading too."""
        self._ask()
        self.waiting, self.seen = self.topic.next(0, self.first_timeout_s)
        numbers = self._numbers(self.waiting)
        by = " and ".join(one.where or "the whole message" for one in self.quantities.values())
        scope = f"everything behind the meter that publishes {self.topic.topic} at {self.topic.where}, by {by}"
        super().__init__(quantity_channels(self.quantities, numbers, scope, self.asked, self.update_s))

    def _ask(self) -> None:
        if "request" in self.asked:
            self.topic.publish(str(self.asked["request"]), str(self.asked.get("payload", "")))

    def values(self) -> dict[str, int]:
        """Microwatts and microjoules of the next message."""
        message, self.waiting = self.waiting, None
        if message is None:
            self._ask()
            message, self.seen = self.topic.next(self.seen, self.timeout_s)
        numbers = self._numbers(message)
        taken_ns = message[1]
        if self.time_keys is not None:
            taken_ns = self.times.taken_ns(message[1], stamp_of(pick(_parsed(message[0]), *self.time_keys)))
        if taken_ns <= self.last_ns:
            raise ValueError("the device's time did not go on: the same measurement again")
        self.taken_ns = self.last_ns = taken_ns
        return {name: self.quantities[name].raw(number) for name, number in numbers.items()}

    def _numbers(self, message: Message) -> dict[str, Decimal]:
        if not any(self.places.values()):  # a bare number
            return {name: exact(message[0].decode(errors="replace").strip()) for name in self.places}
        parsed = _parsed(message[0])
        return {name: exact(pick(parsed, *keys)) for name, keys in self.places.items()}

    def close(self) -> None:
        """Close what ``open`` opened."""
        self.topic.close()


def _parsed(payload: bytes) -> object:
    try:
        return parse_json(payload)
    except ValueError:
        raise ValueError(f"the message is no JSON: {payload[:60].decode(errors='replace')!r}") from None
