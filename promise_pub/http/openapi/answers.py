"""Descriptions of responses: their formats and headers, and the problems that a request may end in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from promise_pub import errors
from promise_pub.http.negotiation import CSV, HTML, JSON, JSONL, PLAIN, SVG
from promise_pub.http.problem_catalog import Kind, find_entry
from promise_pub.http.problems import problem
from promise_pub.json_schema import COUNT, TEXT, Schema, ref

Operation = dict[str, Any]

MEDIA_TYPES: Mapping[str, str] = {
    JSON: "application/json",
    CSV: "text/csv",
    HTML: "text/html",
    JSONL: "application/x-ndjson",
    SVG: "image/svg+xml",
    PLAIN: "text/plain",
}
PROBLEM_TYPE = "application/problem+json"

DATABASE: tuple[Kind, ...] = (
    errors.DatabaseUnavailable,
    errors.DatabaseRefused,
    errors.DatabaseReadOnly,
    errors.DatabasePooled,
    errors.SchemaMissing,
    errors.DatabaseError,
)
HEADERS: dict[str, Schema] = {
    "ETag": {
        "description": "Identifies the content. Sent back as `If-None-Match`, it avoids sending the same again.",
        "schema": {"type": "string", "pattern": '^"[0-9a-f]+"$'},
    },
    "Vary": {
        "description": "Where one address has several formats.",
        "schema": {"const": "Accept"},
    },
    "Link": {
        "description": "The pages `first`, `prev`, `next` and `last`, where they exist and are others (RFC 8288).",
        "schema": TEXT,
    },
    "X-Total-Count": {"description": "The number of items on all pages.", "schema": COUNT},
    "X-Journal-Oldest": {"description": "The number of the first event that is kept.", "schema": COUNT},
    "X-Journal-Newest": {"description": "The number of the last event; 0 where there is none.", "schema": COUNT},
    "Location": {"description": "Where to look.", "schema": TEXT},
    "Preference-Applied": {
        "description": "Where `Prefer` was applied.",
        "schema": {"const": "respond-async"},
    },
    "Retry-After": {
        "description": "Seconds after which to try again, where that may help.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"const": "Bearer"}},
    "Content-Disposition": {"description": "The name to save it under.", "schema": TEXT},
    "Set-Cookie": {"description": "The session.", "schema": TEXT},
}
_ALWAYS = {"WWW-Authenticate", "X-Total-Count", "Location", "ETag", "Vary"}


def headers(*names: str) -> dict[str, Any]:
    """Returns references to the headers of these names."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def header_components() -> dict[str, Schema]:
    return {name: {**header, **({"required": True} if name in _ALWAYS else {})} for name, header in HEADERS.items()}


def formats(json: Schema | None = None, *, csv: bool = False, html: bool = True) -> dict[str, Any]:
    """Returns the content of a response by its media types."""
    content: dict[str, Any] = {}
    if json is not None:
        content[MEDIA_TYPES[JSON]] = {"schema": json}
    if csv:
        content[MEDIA_TYPES[CSV]] = {"schema": TEXT}
    if html:
        content[MEDIA_TYPES[HTML]] = {"schema": TEXT}
    return content


def answer(description: str, content: Mapping[str, Any] | None = None, *named: str) -> Schema:
    """Returns the description of a response, with headers by their names."""
    response: Schema = {"description": description}
    if named:
        response["headers"] = headers(*named)
    if content:
        response["content"] = {**content}
    return response


def problems(kinds: Iterable[Kind], *, negotiated: bool = True) -> dict[str, Schema]:
    """Returns the responses to these errors, by status, with the codes that each may have."""
    by_status: dict[int, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(find_entry(kind).status, []).append(kind)
    return {str(status): _problem(status, found, negotiated) for status, found in sorted(by_status.items())}


def _problem(status: int, kinds: list[Kind], negotiated: bool) -> Schema:
    codes = "\n".join(f"- `{kind.code}`: {kind.default_message()}" for kind in kinds)
    example = problem(kinds[0], kinds[0].default_message())
    content: dict[str, Any] = {PROBLEM_TYPE: {"schema": ref("Problem"), "example": example}}
    if negotiated:
        content[MEDIA_TYPES[HTML]] = {"schema": TEXT}
    named = _headers_of(status) + (("Vary",) if negotiated else ())
    return answer(f"{HTTPStatus(status).phrase}\n\n{codes}", content, *named)


def _headers_of(status: int) -> tuple[str, ...]:
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        return ("Retry-After",)
    return ("WWW-Authenticate",) if status == HTTPStatus.UNAUTHORIZED else ()


def not_modified(*named: str) -> Schema:
    """Returns the response to a client that has the content already."""
    return answer("Not modified: `If-None-Match` names the current content.", None, *named)


def without_bodies(answers: Mapping[str, Schema]) -> dict[str, Schema]:
    """Returns the responses as HEAD gets them."""
    return {
        status: {name: part for name, part in response.items() if name not in ("content", "links")}
        for status, response in answers.items()
    }
