"""JSON Schemas that every API has, whatever it is about: problems, error codes and health."""

from __future__ import annotations

from http import HTTPStatus

from promise_pub.http.problem_catalog import CATALOG
from promise_pub.json_schema import FLAG, TEXT, Schema, described, object_of, ref


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
