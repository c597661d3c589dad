from __future__ import annotations

import json
import re
from pathlib import Path

import jinja2
import pytest
from pydantic import BaseModel

from edged.infer.verdict import Verdict, Why
from edged.publish.payloads import AuditHead, BundleReport, CommandReply, CommandRequest, Status
from edged.publish.schema import editions, schemas
from edged.publish.settings import MqttSettings
from edged.publish.topics import TOPICS, Names
from edged.store.record import DriftInfo, Record

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "mqtt.md"


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
    examples: dict[str, type[BaseModel]] = {
        "Record": Record,
        "Status": Status,
        "DriftInfo": DriftInfo,
        "AuditHead": AuditHead,
        "Verdict": Verdict,
        "Why": Why,
        "BundleReport": BundleReport,
        "CommandRequest": CommandRequest,
        "CommandReply": CommandReply,
    }
    text = DOCUMENT.read_text()
    for name, model in examples.items():
        blocks = re.findall(rf"<!-- {name} -->\n```json\n(.*?)\n```", text, re.DOTALL)
        assert blocks, name
        for block in blocks:
            assert json.loads(model.model_validate_json(block).model_dump_json(by_alias=True, exclude_unset=True))


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
    assert said(outcome="identified", label="lactose") == "lactose"
    assert said(outcome="not_in_scope") == "not in scope"


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "a b", "a\n", "$SYS"])
def test_a_name_that_cannot_be_a_level_of_a_topic_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="level"):
        Names(site=name, device="edge-1")


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"host": ""}, {"port": 0}, {"host": "a" * 70}, {"in_flight": 0}):
        with pytest.raises(ValueError, match=r"address|label|in_flight"):
            MqttSettings(**({"host": "h", "site": "s", "device": "d"} | wrong))  # type: ignore[arg-type]
