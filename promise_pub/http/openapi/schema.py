"""JSON Schemas that every API has, whatever it is about: their building blocks, problems and error codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from promise_pub import errors

Schema = dict[str, Any]

UUID: Schema = {"type": "string", "format": "uuid"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
AMOUNT: Schema = {"type": "number", "minimum": 0}

# What no answer tells: it ends the command or the start of the server.
_NEVER_TOLD = (
    errors.ConfigurationError,
    errors.AccountError,
    errors.CannotListen,
    errors.LocalStackError,
    errors.ServerAnswerError,
    errors.ImportRefused,
)
# Codes that are no class: what became of a run, and what nobody foresaw.
_MORE_CODES = {
    "internal": "The server failed; its log says how.",
    "cancelled": "The run was cancelled.",
    "interrupted": "The server was stopped, or lost the run to another one.",
}


def ref(name: str) -> Schema:
    """A schema of the description, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """Or null."""
    if "enum" in schema or not isinstance(schema.get("type"), str):
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def whole(properties: Mapping[str, Schema], *optional: str, **more: Any) -> Schema:
    """An object that has all of these, but for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": {**properties}, "required": required, **more}


def told_kinds() -> list[type[errors.PromisePubError]]:
    """Every kind of error that an answer may tell, from `errors.py` itself."""
    return [kind for kind in _kinds(errors.PromisePubError) if not issubclass(kind, _NEVER_TOLD)]


def _kinds(kind: type[errors.PromisePubError]) -> Iterator[type[errors.PromisePubError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _kinds(below)


def sentence(kind: type[errors.PromisePubError]) -> str:
    """What the error says unless it is told something better."""
    return (kind.__doc__ or "").partition("\n")[0]


def _code() -> Schema:
    meanings = {kind.code: sentence(kind) for kind in told_kinds()} | _MORE_CODES
    of_http = "http_ and the status: what HTTP itself has an answer to"
    table = "\n".join(f"- `{code}`: {meaning}" for code, meaning in meanings.items())
    return {
        "description": f"Stable: scripts may test it. A new one may come.\n\n{table}\n- `http_404` …: {of_http}",
        "type": "string",
        "anyOf": [{"enum": [*meanings]}, {"pattern": "^http_[45][0-9][0-9]$"}],
    }


def _problem() -> Schema:
    return whole(
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
            "run": described(ref("Run"), "Where a run failed that you waited for."),
        },
        "rejected",
        "run",
        description="Problem details (RFC 9457).",
    )


def _service() -> Schema:
    return whole({"ready": FLAG, "error": TEXT}, "error")


def general_schemas() -> dict[str, Schema]:
    """Returns the schemas of problems and of the health checks."""
    return {
        "Problem": _problem(),
        "Code": _code(),
        "Alive": whole({"alive": {"const": True}}),
        "Ready": whole(
            {
                "ready": described(FLAG, "Whether all of them are."),
                "broker": _service(),
                "database": _service(),
                "consumer": _service(),
                "uploads": _service(),
            },
            additionalProperties=_service(),
        ),
    }
