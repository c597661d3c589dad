"""One connection to a broker, from the first packet to the last, on a thread of its own named `mqtt`.

Messages to send come in through `publish` from any thread; what happens goes out through `post`, which is called on the
`mqtt` thread and must only hand over (`loop.call_soon_threadsafe`). The client library is driven through its interface
for outside loops: its own thread wakes itself over a TCP socket on 127.0.0.1, which a locked-down service has not.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edged.publish.settings import MqttSettings

log = logging.getLogger(__name__)

Version = Literal["5", "3.1.1"]
TICK_S = 0.5  # how late keep-alive and deadlines may be noticed
UNSUPPORTED_VERSION, KEEP_ALIVE_TIMEOUT = 0x84, 0x8D
RECEIVE_BYTES = 64 * 1024  # larger packets the broker keeps to itself (MQTT 5); no command is near it


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message on its way out. `token` names it when it is acknowledged; None where nobody waits for that."""

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 1
    retain: bool = False
    token: object = None
    historical: bool = False
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The broker has let us in. receive_maximum: messages that may wait for its acknowledgement."""

    receive_maximum: int
    maximum_packet_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """Tokens that the broker has, in the order of its answers; `refused` ones with its reason."""

    tokens: tuple[object, ...]
    refused: tuple[tuple[object, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message from the broker."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None
    correlation: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The last event of a connection. version_refused: the broker does not speak this version of MQTT.

    silent: it took our CONNECT and never answered, as some brokers do to a version that they cannot read.
    """

    reason: str
    was_connected: bool
    version_refused: bool = False
    silent: bool = False


Event = Connected | Acknowledged | Arrived | Closed


class Connection:
    """`start` it once; it posts at most one Connected, then exactly one Closed as its last event."""

    def __init__(
        self,
        settings: MqttSettings,
        *,
        version: Version,
        will: Message,
        subscribe: str,
        post: Callable[[Event], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.version = version
        self._settings = settings
        self._will = will
        self._subscribe = subscribe
        self._post = post
        self._monotonic = monotonic
        self._outbound: deque[Message] = deque()
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._connected = False
        self._receive_maximum = 65_535
        self._why = ""
        self._version_refused = False
        self._silent = False
        self._waiting: dict[int, tuple[object, float]] = {}  # message id -> token, when it was sent
        self._acked: list[object] = []
        self._refused: list[tuple[object, str]] = []
        self._historical = self._properties(historical=True)
        self._plain = self._properties(historical=False)
        self._client: paho.Client | None = None  # made on its own thread: it reads files
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)  # a resolver may hang at exit

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def publish(self, message: Message) -> None:
        """Queue a message; messages leave in the order of these calls. Never blocks. What was queued and not sent when
        the connection ends is lost.
        """
        self._outbound.append(message)
        self._wake()

    def close(self) -> None:
        """Say goodbye once what is queued has been written."""
        self._closing.set()
        self._wake()

    def abandon(self) -> None:
        """Drop the connection at once: the broker sends our will."""
        self._abandoned.set()
        self._wake()

    def join(self, within_s: float) -> bool:
        """Wait for the thread; False when it is still there."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake anyway; closed: there is nobody to wake
            self._wake_in.send(b"\0")

    # Everything below runs on the `mqtt` thread.

    def _run(self) -> None:
        try:
            self._client = client = self._make_client()
            client.connect(
                self._settings.host,
                self._settings.port,
                self._settings.keepalive_s,
                properties=self._connect_properties(),
            )
            self._serve(client)
        except OSError as error:
            self._why = self._why or _said(error)
        except Exception as error:  # a broker's nonsense may trip the library anywhere; this connection is its boundary
            log.exception("mqtt connection failed broker=%s", self._settings.name)
            self._why = self._why or f"{type(error).__name__}: {error}"
        finally:
            self._hang_up()
            self._flush()
            self._wake_in.close()
            self._wake_out.close()
            self._post(
                Closed(
                    reason=self._why or "connection closed by the broker",
                    was_connected=self._connected,
                    version_refused=self._version_refused,
                    silent=self._silent or not (self._connected or self._why),
                )
            )

    def _serve(self, client: paho.Client) -> None:
        deadline = self._monotonic() + self._settings.connect_within_s
        sock = client.socket()
        assert sock is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_out, selectors.EVENT_READ)
            selector.register(sock, selectors.EVENT_READ)
            writing = False
            while client.socket() is sock and not self._abandoned.is_set():
                if client.want_write() != writing:
                    writing = not writing
                    selector.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0))
                unread = hasattr(sock, "pending") and sock.pending() > 0  # TLS holds bytes that select cannot see
                ready = {key.fileobj for key, _ in selector.select(0 if unread else TICK_S)}
                if self._wake_out in ready:
                    self._drain_wake()
                status = client.loop_read() if unread or sock in ready else MQTTErrorCode.MQTT_ERR_SUCCESS
                self._flush()
                if self._connected:
                    self._send_queued(client)
                if status == MQTTErrorCode.MQTT_ERR_SUCCESS and client.want_write():
                    status = client.loop_write()
                if status == MQTTErrorCode.MQTT_ERR_SUCCESS:
                    status = client.loop_misc()
                if status != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    self._why = self._why or _named(status)
                    return
                self._check_deadlines(deadline)
        if self._abandoned.is_set():
            self._why = self._why or "abandoned"

    def _drain_wake(self) -> None:
        try:
            while len(self._wake_out.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def _check_deadlines(self, connect_by: float) -> None:
        now = self._monotonic()
        if not self._connected and now > connect_by:
            self._silent = True
            raise TimeoutError("the broker took the connection but said nothing")
        oldest = next(iter(self._waiting.values()), None)
        if oldest is not None and now - oldest[1] > 2 * self._settings.keepalive_s:
            raise TimeoutError("the broker has stopped acknowledging messages")

    def _send_queued(self, client: paho.Client) -> None:
        while self._outbound and len(self._waiting) < self._receive_maximum:
            message = self._outbound.popleft()
            info = client.publish(
                message.topic, message.payload, message.qos, message.retain, self._message_properties(message)
            )
            if message.qos == 1:
                self._waiting[info.mid] = (message.token, self._monotonic())
        if self._closing.is_set() and not self._outbound:
            self._closing.clear()
            self._why = "said goodbye"
            client.disconnect()

    def _flush(self) -> None:
        if self._acked or self._refused:
            self._post(Acknowledged(tokens=tuple(self._acked), refused=tuple(self._refused)))
            self._acked.clear()
            self._refused.clear()

    def _hang_up(self) -> None:
        sock = self._client.socket() if self._client is not None else None
        if sock is not None:
            sock.close()

    def _make_client(self) -> paho.Client:
        settings, five = self._settings, self.version == "5"
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"edged-{settings.site}-{settings.device}",
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = settings.connect_within_s
        client.max_inflight_messages_set(65_535)  # the window is kept by the caller
        client.on_socket_register_write = lambda *_: None  # else `publish` would write on its caller's thread
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.will_set(self._will.topic, self._will.payload, self._will.qos, self._will.retain)
        if settings.username is not None:
            client.username_pw_set(settings.username, _secret(settings))
        if settings.tls is not None:
            client.tls_set(ca_certs=None if settings.tls.ca_file is None else str(settings.tls.ca_file))
        return client

    def _connect_properties(self) -> Properties | None:
        if self.version != "5":
            return None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0  # a command that waited for us is stale: it must not fire when we return
        properties.MaximumPacketSize = RECEIVE_BYTES
        return properties

    def _properties(self, *, historical: bool) -> Properties | None:
        if self.version != "5":
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.PayloadFormatIndicator = 1
        properties.ContentType = "application/json"
        if historical:
            properties.UserProperty = ("historical", "true")
        return properties

    def _message_properties(self, message: Message) -> Properties | None:
        if message.correlation is None or self.version != "5":
            return self._historical if message.historical else self._plain
        properties = self._properties(historical=False)
        assert properties is not None
        properties.CorrelationData = message.correlation
        return properties

    def _on_connect(
        self, client: paho.Client, _user: object, _flags: object, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._why = f"the broker refuses us: {reason}"
            self._version_refused = reason.value == UNSUPPORTED_VERSION
            return
        if self._connected:  # a second CONNACK breaks the protocol: nothing new is heard from it
            return
        self._connected = True
        self._receive_maximum = getattr(properties, "ReceiveMaximum", 65_535)
        client.subscribe(self._subscribe, qos=1)
        self._post(
            Connected(
                receive_maximum=self._receive_maximum,
                maximum_packet_bytes=getattr(properties, "MaximumPacketSize", None),
            )
        )

    def _on_subscribe(
        self, _client: paho.Client, _user: object, _mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                log.warning(
                    "no commands: the broker refuses the subscription topic=%s reason=%s", self._subscribe, reason
                )

    def _on_disconnect(
        self, _client: paho.Client, _user: object, flags: Any, reason: ReasonCode, _properties: object
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._why = f"the broker ended the connection: {reason}"
        elif not self._why and self._connected:
            self._why = "no answer to the keep-alive" if reason.value == KEEP_ALIVE_TIMEOUT else "connection lost"

    def _on_publish(
        self, _client: paho.Client, _user: object, mid: int, reason: ReasonCode, _properties: object
    ) -> None:
        token, _ = self._waiting.pop(mid, (None, 0.0))
        if token is None:
            if reason.is_failure:
                log.warning("the broker refuses a message reason=%s", reason)
            return
        if reason.is_failure:
            self._refused.append((token, str(reason)))
        else:
            self._acked.append(token)

    def _on_message(self, _client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._post(
            Arrived(
                topic=topic,
                payload=bytes(message.payload),
                retained=bool(message.retain),
                response_topic=getattr(message.properties, "ResponseTopic", None),
                correlation=getattr(message.properties, "CorrelationData", None),
            )
        )


def _secret(settings: MqttSettings) -> str | None:
    if settings.password_file is None:
        return None
    try:
        return settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, "a password is UTF-8 text, this is not", str(settings.password_file)) from error


def _said(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what


def _named(status: MQTTErrorCode) -> str:
    if status == MQTTErrorCode.MQTT_ERR_CONN_LOST:
        return ""
    return paho.error_string(status).rstrip(".")
