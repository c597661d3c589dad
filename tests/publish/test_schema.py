from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
from pydantic import BaseModel

from edged.bundle.archive import read_bundle
from edged.bundle.slots import newest_built_in
from edged.infer.verdict import Verdict, Why
from edged.monitor.words import HINTS
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
from edged.publish.schema import editions, schemas
from edged.publish.settings import MqttSettings
from edged.publish.topics import TOPICS, Names
from edged.service.health import CONDITIONS
from edged.store.canonical import canonical
from edged.store.record import DriftInfo, Record

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "mqtt.md"


def examples(name: str) -> list[str]:
    found: list[str] = re.findall(rf"<!-- {name} -->\n```json\n(.*?)\n```", DOCUMENT.read_text(), re.DOTALL)
    return found


def known_labels(bundle: str) -> set[str]:
    path = newest_built_in(bundle)
    assert path is not None
    return {known.label for known in read_bundle(path).manifest.classes}


def test_every_payload_has_a_schema_that_names_its_edition() -> None:
    found = schemas()

    assert set(found) >= {"Record", "Status", "Description", "Health", "Alert", "CommandRequest", "CommandReply"}
    assert found["Record"]["properties"]["schema"]["const"] == "edged.record/1" == editions()["result/{station}"]
    assert all(schema["additionalProperties"] is False for schema in found.values())


def test_the_document_lists_every_topic_with_its_delivery() -> None:
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE))

    for topic in TOPICS:
        row = rows[topic.path.replace("{", "<").replace("}", ">")]
        assert f"`{topic.payload.__name__}`" in row
        assert f"| {topic.qos} |" in f"| {row} |"
        assert ("retained" in row) == topic.retained


def test_the_examples_in_the_document_are_true() -> None:
    models: dict[str, type[BaseModel]] = {
        "Record": Record,
        "Status": Status,
        "Description": Description,
        "Health": Health,
        "Alert": Alert,
        "DriftInfo": DriftInfo,
        "AuditHead": AuditHead,
        "Verdict": Verdict,
        "Why": Why,
        "BundleReport": BundleReport,
        "CommandRequest": CommandRequest,
        "CommandReply": CommandReply,
    }
    for name, model in models.items():
        assert examples(name), name
        for block in examples(name):
            assert json.loads(model.model_validate_json(block).model_dump_json(by_alias=True, exclude_unset=True))


def test_the_record_in_the_document_is_one_that_a_daemon_wrote() -> None:
    (record,) = map(json.loads, examples("Record"))
    (head,) = map(json.loads, examples("AuditHead"))
    rest = {key: value for key, value in record.items() if key != "hash"}

    assert hashlib.sha256(canonical(rest)).hexdigest() == record["hash"] == head["hash"]
    assert record["verdict"]["label"] in known_labels(record["bundle"]["name"])


def test_the_command_in_the_document_claims_what_the_built_in_model_knows() -> None:
    (request,) = map(json.loads, examples("CommandRequest"))

    assert request["claimed"] in known_labels("powders12")


def test_the_hint_in_the_document_is_the_one_that_the_daemon_gives() -> None:
    (drift,) = map(json.loads, examples("DriftInfo"))

    assert drift["hint"] == HINTS[drift["cause"]].replace("STATION", "bench")


def test_the_document_lists_every_alert_with_its_severity_and_what_to_do() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (error|warning) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)

    assert rows == [
        (code, "error" if condition.severity == "fault" else "warning", condition.text)
        for code, condition in CONDITIONS.items()
    ]


def test_the_command_in_the_document_prints_every_schema() -> None:
    (command,) = re.findall(r"^/opt/edged/bin/python (-c .*)$", DOCUMENT.read_text(), re.MULTILINE)

    printed = subprocess.run([sys.executable, *shlex.split(command)], capture_output=True, check=True)

    assert json.loads(printed.stdout) == json.loads(json.dumps(schemas()))


def test_the_template_in_the_document_says_in_words_what_each_verdict_says() -> None:
    (block,) = re.findall(r"<!-- template -->\n```yaml\n(.*?)\n```", DOCUMENT.read_text(), re.DOTALL)
    (lines,) = re.findall(r"value_template: >-\n(.*?)\n      json_attributes_topic", block, re.DOTALL)
    template = jinja2.Template(" ".join(line.strip() for line in lines.splitlines()))

    def said(**fields: object) -> str:
        verdict = Verdict.model_validate({"procedure": "components", "preset": "confirm", **fields})
        return template.render(value_json={"verdict": json.loads(verdict.model_dump_json())})

    parts = [("acetaminophen", 0.6213), ("lactose", 0.3787)]
    components = [{"label": label, "title": label, "score": 0.9, "fraction": share} for label, share in parts]
    named = [{"label": label, "title": label, "score": 0.9} for label, _ in parts]
    assert said(outcome="resolved", components=components) == "acetaminophen 62 %, lactose 38 %"
    assert said(outcome="resolved", components=named) == "acetaminophen, lactose"
    amounts = [
        {"label": label, "title": label, "unit": "mg", "value": value, "low": 0.0, "high": 900.0}
        for label, value in (("isoniazid", 94.8743), ("rifampicin", 150.2))
    ]
    assert said(outcome="quantified", procedure="quantify", amounts=amounts) == "isoniazid 95 mg, rifampicin 150 mg"
    assert said(outcome="identified", procedure="identify", label="lactose") == "lactose"
    assert said(outcome="pass", procedure="verify", label="lactose") == "lactose"
    assert said(outcome="fail", procedure="verify", label="lactose") == "not lactose"
    assert said(outcome="not_in_scope") == "not in scope"


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "a b", "a\n", "$SYS"])
def test_a_name_that_cannot_be_a_level_of_a_topic_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="level"):
        Names(site=name, device="edge-1")


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"host": ""}, {"port": 0}, {"host": "a" * 70}, {"in_flight": 0}):
        with pytest.raises(ValueError, match=r"address|label|in_flight"):
            MqttSettings(**({"host": "h", "site": "s", "device": "d"} | wrong))  # type: ignore[arg-type]
