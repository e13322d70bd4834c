"""What requests are made of: parameters with their limits and defaults, and a file."""

from __future__ import annotations

from promise_pub.delivery.input.columns import KEY_LIMIT, MOST_COLUMNS
from promise_pub.delivery.input.dialect import DELIMITERS, ENCODINGS
from promise_pub.delivery.parameters import MOST_RATE, MOST_STEPS
from promise_pub.http.openapi.parameters import query
from promise_pub.http.openapi.schema import COUNT, TEXT, UUID, Schema, described
from promise_pub.records import Mode, Parameters
from promise_pub.web.runs.forms import FILE_FIELD, MOST_TIMEOUT, PARAMETERS, RAW_TYPES

RUN_ID: Schema = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The run's id.",
    "schema": UUID,
}


def run_parameters() -> dict[str, tuple[Schema, str]]:
    """The parameters of a run that the server takes, with their limits and defaults."""
    default = Parameters()
    known: dict[str, tuple[Schema, str]] = {
        "mode": (
            {
                "type": "string",
                "enum": [mode.value for mode in Mode],
                "default": default.mode.value,
            },
            "`live`: the consumer reads while rows arrive; `batch`: once all are there.",
        ),
        "timeout": (
            {**COUNT, "maximum": MOST_TIMEOUT, "default": default.timeout},
            "Seconds: the consumer ends the session once the queue has been empty that long.",
        ),
        "clear": (
            {"type": "boolean", "default": default.clear},
            "Empty the `employees` table first: all its rows, those of earlier runs too.",
        ),
        "rate": (
            {**COUNT, "maximum": MOST_RATE, "default": default.rate},
            "Rows a second at most; 0: as fast as it goes.",
        ),
        **_of_the_file(),
    }
    return {name: known[name] for name in PARAMETERS if name in known}


# Exactly what the server takes, but for names that stand there twice.
_RATE = f"(?:[1-9][0-9]{{0,5}}|{MOST_RATE})"
_TO_86399 = "(?:[1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2})"
_SECONDS = rf"(?:0\.[1-9][0-9]{{0,2}}|{_TO_86399}(?:\.[0-9]{{1,3}})?|86400(?:\.0{{1,3}})?)"
_STEP = f"{_RATE}:{_SECONDS}"
PROFILE = f"^(?:{_STEP}(?:,{_STEP}){{0,{MOST_STEPS - 1}}})?$"
_END, _WITHIN = r"[^ ,\u0000-\u001f\u007f-\u009f]", r"[^,\u0000-\u001f\u007f-\u009f]"
_KEY = f" *{_END}(?:{_WITHIN}{{0,{KEY_LIMIT - 2}}}{_END})? *"
COLUMNS = f"^{_KEY}(?:,{_KEY}){{0,{MOST_COLUMNS - 1}}}$"


def _of_the_file() -> dict[str, tuple[Schema, str]]:
    flag = {"type": "boolean", "default": False}
    default = Parameters()
    return {
        "profile": (
            {**TEXT, "pattern": PROFILE, "default": "", "example": "100:10,1000:5"},
            "Rows a second : seconds, repeated to the end; instead of `rate`.",
        ),
        "columns": (
            {**TEXT, "pattern": COLUMNS, "default": ",".join(default.columns)},
            "The keys of the messages, all different, with commas between.",
        ),
        "header": (flag, "Take the keys from the file's first line; instead of `columns`."),
        "delimiter": (
            {**TEXT, "enum": [*DELIMITERS], "default": default.delimiter_name},
            "What stands between fields.",
        ),
        "encoding": (
            {**TEXT, "enum": [*ENCODINGS], "default": default.encoding},
            "How the file's characters are written.",
        ),
        "dry_run": (flag, "Read and judge all of it, publish nothing, make no run."),
    }


def in_query(*names: str) -> list[Schema]:
    """Those of these names, or all of them, as they stand in the query string."""
    known = run_parameters().items()
    return [query(name, *told) for name, told in known if name in names or not names]


def file_body() -> Schema:
    fields = {name: described(schema, words) for name, (schema, words) in run_parameters().items()}
    file = {
        "type": "string",
        "format": "binary",
        "minLength": 1,
        "contentMediaType": "text/csv",
        "description": "The CSV, with its name.",
    }
    form = {
        "type": "object",
        "properties": {FILE_FIELD: file, **fields},
        "required": [FILE_FIELD],
        "additionalProperties": False,
    }
    return {
        "required": True,
        "description": "The file, with lines such as `Ann Lee,ann@example.com`: as form data, or as the body itself. The query string wins over form fields.",
        "content": {
            "multipart/form-data": {
                "schema": form,
                "encoding": {FILE_FIELD: {"contentType": "text/csv"}},
            },
            **{kind: {"schema": {**TEXT, "minLength": 1}} for kind in sorted(RAW_TYPES)},
        },
    }
