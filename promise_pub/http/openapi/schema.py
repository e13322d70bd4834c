"""JSON Schemas that every API has, whatever it is about: their building blocks, problems and error codes."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from promise_pub.http.problem_catalog import CATALOG

Schema = dict[str, Any]

UUID: Schema = {"type": "string", "format": "uuid"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
AMOUNT: Schema = {"type": "number", "minimum": 0}


def ref(name: str) -> Schema:
    """Returns a reference to a schema of the description."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """Returns the schema of the same or null."""
    if "enum" in schema or not isinstance(schema.get("type"), str):
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def object_of(properties: Mapping[str, Schema], *optional: str, **more: Any) -> Schema:
    """Returns the schema of an object with these properties, required but for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": {**properties}, "required": required, **more}


def _code() -> Schema:
    meanings = {kind.code: kind.default_message() for kind in CATALOG if CATALOG[kind].public}
    of_http = "http_ and the status: errors of HTTP itself"
    table = "\n".join(f"- `{code}`: {meaning}" for code, meaning in meanings.items())
    return {
        "description": f"Stable: scripts may test it. New codes may be added.\n\n{table}\n- `http_404` …: {of_http}",
        "type": "string",
        "anyOf": [{"enum": [*meanings]}, {"pattern": "^http_[45][0-9][0-9]$"}],
    }


def _problem() -> Schema:
    return object_of(
        {
            "type": described(TEXT, "`about:blank`: the code says which problem it is."),
            "title": described(TEXT, "The status in words."),
            "status": {
                "type": "integer",
                "enum": [status.value for status in HTTPStatus if status >= 400],
            },
            "detail": described(TEXT, "What happened, for people."),
            "code": ref("Code"),
            "advice": described(TEXT, "What to do about it, for people."),
            "rejected": {
                "type": "array",
                "items": ref("RejectedRow"),
                "description": "With `no_usable_row`: the first rows, and why they were rejected.",
            },
            "run": described(ref("Run"), "The run, where you waited for it and it failed."),
        },
        "rejected",
        "run",
        description="Problem details (RFC 9457).",
    )


def _service() -> Schema:
    return object_of({"ready": FLAG, "error": TEXT}, "error")


def general_schemas() -> dict[str, Schema]:
    """Returns the schemas of problems and of health checks."""
    return {
        "Problem": _problem(),
        "Code": _code(),
        "Alive": object_of({"alive": {"const": True}}),
        "Ready": object_of(
            {
                "ready": described(FLAG, "True if all of them are."),
                "broker": _service(),
                "database": _service(),
                "consumer": _service(),
                "uploads": _service(),
            },
            additionalProperties=_service(),
        ),
    }
