"""What requests are made of: parameters with their limits and defaults, and a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from promise_pub.http.pagination import MOST_PAGES, MOST_PER_PAGE, PER_PAGE
from promise_pub.json_schema import ORDINAL, TEXT, UUID, Schema, described
from promise_pub.parameters import FILE_FIELD, PARAMETERS, Parameter
from promise_pub.web.runs.forms import RAW_TYPES


def query(name: str, schema: Schema, description: str, **more: Any) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def header(name: str, description: str, example: str) -> Schema:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "schema": TEXT,
        "example": example,
    }


def face(*named: str) -> Schema:
    words = "The face of the answer; it overrides `Accept`."
    return query("format", {"type": "string", "enum": [*named]}, words)


RUN_ID: Schema = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The run's id.",
    "schema": UUID,
}
KNOWN = header("If-None-Match", "The `ETag` of what you have.", '"5f3d"')
PREFER = header("Prefer", "`respond-async`: not to wait for the run's end.", "respond-async")


PAGED = ("X-Total-Count", "Link")
"""What an answer tells of the other pages."""


def paged(what: str) -> list[Schema]:
    """Which page is asked for, of a list of these."""
    return [
        query("page", {**ORDINAL, "maximum": MOST_PAGES, "default": 1}, "Which page."),
        query(
            "per_page",
            {**ORDINAL, "maximum": MOST_PER_PAGE, "default": PER_PAGE},
            f"{what} on a page.",
        ),
    ]


def in_query(parameters: Iterable[Parameter] = PARAMETERS) -> list[Schema]:
    """Describes these parameters as they stand in the query string."""
    return [query(one.name, _schema(one), one.help) for one in parameters]


def _schema(parameter: Parameter) -> Schema:
    return {**parameter.schema, "default": parameter.as_request(parameter.default)}


def file_body() -> Schema:
    fields = {one.name: described(_schema(one), one.help) for one in PARAMETERS}
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
