"""A subscriber of the demo's broker: it hears what any subscriber would, and gives commands as any program could."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

T = TypeVar("T")
PREFIX = "edged/v1/demo/edge"
CONNECT_WITHIN_S = 10.0


class Audience:
    """Everything that arrived under PREFIX, by id. Thread-safe; paho's thread fills it."""

    def __init__(self, port: int, *, mqtt5: bool) -> None:
        self._port = port
        self._changed = threading.Condition()
        self._records: dict[str, dict[str, Any]] = {}
        self._ids: list[str] = []
        self._replies: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._subscribed = False
        self._offline = False
        version = MQTTProtocolVersion.MQTTv5 if mqtt5 else MQTTProtocolVersion.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{PREFIX}/#", 1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self._wait(lambda: self._subscribed or None, CONNECT_WITHIN_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def command(self, verb: str, station: str, *, within_s: float) -> dict[str, Any] | None:
        """Give a command and return its reply, or None when none came in time."""
        request_id = f"demo-{next(self._numbers)}"
        payload = json.dumps({"station": station, "request_id": request_id})
        self._client.publish(f"{PREFIX}/cmd/{verb}", payload, qos=1)
        return self._wait(lambda: self._replies.get(request_id), within_s)

    def record(self, record_id: str, *, within_s: float) -> dict[str, Any] | None:
        """Return a record as the broker delivered it, or None when it did not in time."""
        return self._wait(lambda: self._records.get(record_id), within_s)

    def until_offline(self, *, within_s: float) -> None:
        """Wait until the daemon has said that it stops: what it had sent before has arrived then."""
        self._wait(lambda: self._offline or None, within_s)

    def record_ids(self) -> list[str]:
        """Return the ids of all records in the order of their arrival, repeats included."""
        with self._changed:
            return list(self._ids)

    def _on_subscribe(self, *_: object) -> None:
        with self._changed:
            self._subscribed = True
            self._changed.notify_all()

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        below = message.topic.removeprefix(f"{PREFIX}/")
        with self._changed:
            if below.startswith(("result/", "reference/")) or below == "clock":
                record = json.loads(message.payload)
                self._ids.append(record["id"])
                self._records[record["id"]] = record
            elif below == "status":
                self._offline = json.loads(message.payload)["state"] == "offline"
            elif below.startswith("cmd/") and below.endswith("/reply"):
                reply = json.loads(message.payload)
                self._replies[reply["request_id"]] = reply
            self._changed.notify_all()

    def _wait(self, look: Callable[[], T | None], within_s: float) -> T | None:
        deadline_s = time.monotonic() + within_s
        with self._changed:
            while (found := look()) is None and (left_s := deadline_s - time.monotonic()) > 0:
                self._changed.wait(left_s)
            return found
