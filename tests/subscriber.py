"""An independent listener: a plain MQTT client that keeps every message it gets, in order."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

WITHIN_S = 20.0


@dataclass(frozen=True)
class Heard:
    topic: str
    payload: bytes
    retained: bool
    historical: bool
    correlation: bytes | None

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Subscriber:
    """Listens on `topics` from entering the block to leaving it; its session outlives a restart of the broker."""

    def __init__(self, port: int, *topics: str, five: bool = True, client_id: str = "subscriber", **login: str) -> None:
        self.heard: list[Heard] = []
        self._five = five
        self._topics = topics
        self._port = port
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else False,
        )
        if login:
            self._client.username_pw_set(login["username"], login["password"])
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> Subscriber:
        if self._five:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600
            self._client.connect("127.0.0.1", self._port, 60, clean_start=False, properties=properties)
        else:
            self._client.connect("127.0.0.1", self._port, 60)
        self._client.loop_start()
        assert self._subscribed.wait(WITHIN_S), "no subscription"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # paho closes its wake-up pair on collection only, and the collector warns of it

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, **properties: Any) -> None:
        found = None
        if properties:
            found = Properties(PacketTypes.PUBLISH)
            for name, value in properties.items():
                setattr(found, name, value)
        self._client.publish(topic, payload, 1, retain, found).wait_for_publish(WITHIN_S)

    def wait_for(self, wanted: Callable[[list[Heard]], bool], within_s: float = WITHIN_S) -> list[Heard]:
        """Return everything heard as soon as it satisfies `wanted`; fail when that takes too long."""
        with self._changed:
            good = self._changed.wait_for(lambda: wanted(self.heard), within_s)
            topics = [message.topic for message in self.heard[-20:]]
            assert good, f"{len(self.heard)} messages heard, the last on {topics}"
            return list(self.heard)

    def _on_connect(self, client: paho.Client, _user: object, _flags: object, _reason: object, _: object) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_message(self, _client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
        user = getattr(message.properties, "UserProperty", [])
        heard = Heard(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=bool(message.retain),
            historical=("historical", "true") in user,
            correlation=getattr(message.properties, "CorrelationData", None),
        )
        with self._changed:
            self.heard.append(heard)
            self._changed.notify_all()
