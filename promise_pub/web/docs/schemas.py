"""What the API's answers hold, as JSON Schemas: a run, a problem, a rejected row. Made from the code's own constants."""

from __future__ import annotations

from http import HTTPStatus

from promise_pub import errors
from promise_pub.delivery.input.dry_run import REJECTS_TOLD
from promise_pub.http.problems import error_kinds
from promise_pub.json_schema import COUNT, FLAG, ORDINAL, TEXT, Schema, described, ref, whole
from promise_pub.parameters import FILE_PARAMETERS, PARAMETERS_SHAPE
from promise_pub.presentation.run_json import FILE, RUN, SESSION

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


def told_kinds() -> list[type[errors.PromisePubError]]:
    """Returns every kind of error in `errors.py` that an answer may tell of."""
    kinds = error_kinds(errors.PromisePubError)
    return [one for one in kinds if one.__module__ == errors.__name__ and not issubclass(one, _NEVER_TOLD)]


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


def _dry_run() -> Schema:
    parameters = PARAMETERS_SHAPE.schema["properties"]
    counts = ("read", "accepted", "rejected", "duplicates")
    return whole(
        {
            "dry_run": {"const": True},
            "file": FILE.schema,
            **{one.name: parameters[one.name] for one in FILE_PARAMETERS},
            "rows": whole({name: COUNT for name in counts}),
            "duplicates_by": {
                "enum": ["mail", "row"],
                "description": "What a row that repeats an earlier one has in common with it.",
            },
            "rejected": {"type": "array", "items": ref("RejectedRow"), "maxItems": REJECTS_TOLD},
        },
        description="What a run of the file would publish and reject.",
    )


def _event() -> Schema:
    return whole(
        {
            "event": {"enum": ["progress", "end"]},
            "data": described(TEXT, "The run, as it is then: in JSON, or as parts of its page."),
            "id": {"const": "end", "description": "With the last one alone."},
        },
        "id",
        description="An event, by its fields.",
    )


def _service() -> Schema:
    return whole({"ready": FLAG, "error": TEXT}, "error")


def schemas() -> dict[str, Schema]:
    """Returns every schema that others refer to, by its name."""
    return {
        "Run": RUN.schema,
        "Session": SESSION.schema,
        "RejectedRow": whole(
            {
                "line": described(ORDINAL, "Where it starts."),
                "reason": TEXT,
                "excerpt": described({"type": "string", "maxLength": 200}, "Its beginning."),
            }
        ),
        "DryRun": _dry_run(),
        "Event": _event(),
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
