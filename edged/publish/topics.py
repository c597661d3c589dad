"""Every topic, in one table. All stand under `edged/v1/<site>/<device>/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edged.infer.verdict import Model
from edged.publish.payloads import (
    Alert,
    AuditHead,
    BundleReport,
    CommandReply,
    CommandRequest,
    Description,
    Health,
    Status,
)
from edged.store.record import Record

ROOT = "edged/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One row: words in braces are filled in. direction: seen from the device."""

    path: str
    direction: Literal["out", "in"]
    qos: Literal[0, 1]
    retained: bool
    payload: type[Model]
    summary: str


STATUS = Topic(
    path="status", direction="out", qos=1, retained=True, payload=Status, summary="birth, and the broker's will"
)
DESCRIPTION = Topic(
    path="description",
    direction="out",
    qos=1,
    retained=True,
    payload=Description,
    summary="stations, verbs, editions of the payloads",
)
BUNDLE = Topic(
    path="bundle/reported",
    direction="out",
    qos=1,
    retained=True,
    payload=BundleReport,
    summary="the model that judges at present",
)
HEALTH = Topic(path="health", direction="out", qos=0, retained=False, payload=Health, summary="at a fixed interval")
ALERT = Topic(path="alert", direction="out", qos=1, retained=False, payload=Alert, summary="a fault begins or ends")
RESULT = Topic(
    path="result/{station}",
    direction="out",
    qos=1,
    retained=False,
    payload=Record,
    summary="records of kind `result`: verdicts",
)
REFERENCE = Topic(
    path="reference/{station}",
    direction="out",
    qos=1,
    retained=False,
    payload=Record,
    summary="records of kind `reference` and `dark`: references that were taken",
)
SELFTEST = Topic(
    path="selftest/{station}",
    direction="out",
    qos=1,
    retained=False,
    payload=Record,
    summary="records of kind `selftest`: what self tests found",
)
DRIFT = Topic(
    path="drift/{station}",
    direction="out",
    qos=1,
    retained=False,
    payload=Record,
    summary="records of kind `drift`: what changed in instruments and products",
)
CLOCK = Topic(
    path="clock",
    direction="out",
    qos=1,
    retained=False,
    payload=Record,
    summary="records of kind `clock`: corrections of the time",
)
AUDIT_HEAD = Topic(
    path="audit/head",
    direction="out",
    qos=1,
    retained=True,
    payload=AuditHead,
    summary="the end of the hash chain",
)
COMMAND = Topic(
    path="cmd/{verb}", direction="in", qos=1, retained=False, payload=CommandRequest, summary="do something"
)
REPLY = Topic(
    path="cmd/{verb}/reply",
    direction="out",
    qos=1,
    retained=False,
    payload=CommandReply,
    summary="answer to a command that named no response topic",
)

TOPICS = (
    STATUS,
    DESCRIPTION,
    BUNDLE,
    HEALTH,
    ALERT,
    RESULT,
    REFERENCE,
    SELFTEST,
    DRIFT,
    CLOCK,
    AUDIT_HEAD,
    COMMAND,
    REPLY,
)
_OF_KIND = {
    "result": RESULT,
    "reference": REFERENCE,
    "dark": REFERENCE,
    "selftest": SELFTEST,
    "drift": DRIFT,
    "clock": CLOCK,
}


class Names:
    """The topics of one device. Raises ValueError for a site, device or station that cannot be a level of a topic."""

    def __init__(self, *, site: str, device: str) -> None:
        self.prefix = f"{ROOT}/{_level(site)}/{_level(device)}"
        self.commands = self.of(COMMAND, verb="+")

    def of(self, topic: Topic, **words: str) -> str:
        """Return the full name of a topic, its words filled in."""
        filled = {word: text if text == "+" else _level(text) for word, text in words.items()}
        return f"{self.prefix}/{topic.path.format(**filled)}"

    def of_record(self, kind: str, station: str | None) -> str:
        """Return where a record belongs. One without a station, where its kind wants one, goes to station `none`."""
        topic = _OF_KIND[kind]
        return self.of(topic, station=station or "none") if "{station}" in topic.path else self.of(topic)

    def verb(self, name: str) -> str | None:
        """Return the verb of a command's topic, or None for any other topic."""
        head, _, verb = name.rpartition("/")
        return verb if head == f"{self.prefix}/cmd" else None


def _level(text: str) -> str:
    if not text or any(c in "/+#$" or ord(c) < 0x21 or ord(c) == 0x7F for c in text):
        raise ValueError(f"{text!r} cannot be a level of an MQTT topic")
    return text
