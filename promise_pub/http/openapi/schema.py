"""JSON Schemas that every API has, whatever it is about: problems, error codes and health."""

from __future__ import annotations

from http import HTTPStatus

from promise_pub import errors
from promise_pub.http.problems import error_kinds
from promise_pub.json_schema import FLAG, TEXT, Schema, described, ref, whole

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
