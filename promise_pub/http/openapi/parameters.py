"""Parameters that requests of every kind may have."""

from __future__ import annotations

from typing import Any

from promise_pub.http.pagination import MAX_PAGE, MAX_PER_PAGE, PER_PAGE
from promise_pub.json_schema import ORDINAL, TEXT, Schema


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


KNOWN = header("If-None-Match", "The `ETag` of what you have.", '"5f3d"')
PREFER = header("Prefer", "`respond-async`: not to wait for the run's end.", "respond-async")


PAGED = ("X-Total-Count", "Link")
"""What an answer tells of the other pages."""


def paged(what: str) -> list[Schema]:
    """Which page is asked for, of a list of these."""
    return [
        query("page", {**ORDINAL, "maximum": MAX_PAGE, "default": 1}, "Which page."),
        query(
            "per_page",
            {**ORDINAL, "maximum": MAX_PER_PAGE, "default": PER_PAGE},
            f"{what} on a page.",
        ),
    ]
