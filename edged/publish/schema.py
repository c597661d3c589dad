"""JSON Schemas of everything that travels, generated from the classes that make and read it."""

from __future__ import annotations

from typing import Any

from edged.publish.topics import TOPICS


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (draft 2020-12) of every payload, by the name of its class."""
    return {
        topic.payload.__name__: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **topic.payload.model_json_schema(
                by_alias=True, mode="serialization" if topic.direction == "out" else "validation"
            ),
        }
        for topic in TOPICS
    }


def editions() -> dict[str, str]:
    """Return, for each topic we send on, the name and edition of its payload."""
    found = {}
    for topic in TOPICS:
        field = topic.payload.model_fields.get("schema_")
        if field is not None:
            found[topic.path] = str(field.default if field.default is not None else "")
    return found
