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


def format_parameter(*named: str) -> Schema:
    words = "The format of the response; it overrides `Accept`."
    return query("format", {"type": "string", "enum": [*named]}, words)


IF_NONE_MATCH = header("If-None-Match", "The `ETag` of the content that you have.", '"5f3d"')
PREFER = header("Prefer", "`respond-async`: do not wait for the run's end.", "respond-async")

# Headers about the other pages.
PAGE_HEADERS = ("X-Total-Count", "Link")


def page_parameters(items: str) -> list[Schema]:
    """Returns the parameters that choose a page of a list; `items` names what it lists."""
    return [
        query("page", {**ORDINAL, "maximum": MAX_PAGE, "default": 1}, "Which page."),
        query(
            "per_page",
            {**ORDINAL, "maximum": MAX_PER_PAGE, "default": PER_PAGE},
            f"{items} per page.",
        ),
    ]
