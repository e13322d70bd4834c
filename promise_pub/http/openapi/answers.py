"""What the API's answers look like: their faces, their headers, and the problems each request may meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from promise_pub import errors
from promise_pub.http.negotiation import CSV, HTML, JSON
from promise_pub.http.problem_catalog import Kind, find_entry
from promise_pub.http.problems import problem
from promise_pub.json_schema import COUNT, TEXT, Schema, ref

Operation = dict[str, Any]

MEDIA_TYPES: Mapping[str, str] = {JSON: "application/json", CSV: "text/csv", HTML: "text/html"}
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
        "description": "A mark of the answer. Sent back as `If-None-Match` it saves sending the same again.",
        "schema": {"type": "string", "pattern": '^"[0-9a-f]+"$'},
    },
    "Vary": {
        "description": "Where one address has several faces.",
        "schema": {"const": "Accept"},
    },
    "Link": {
        "description": "The pages `first`, `prev`, `next` and `last`, as far as there are others (RFC 8288).",
        "schema": TEXT,
    },
    "X-Total-Count": {"description": "How many there are on all pages.", "schema": COUNT},
    "Location": {"description": "Where to look.", "schema": TEXT},
    "Preference-Applied": {
        "description": "Where `Prefer` was heeded.",
        "schema": {"const": "respond-async"},
    },
    "Retry-After": {
        "description": "Seconds after which to try again, where that is of use.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "How to say who you are.", "schema": {"const": "Bearer"}},
    "Content-Disposition": {"description": "A name to save it under.", "schema": TEXT},
    "Set-Cookie": {"description": "The session.", "schema": TEXT},
}
_ALWAYS = {"WWW-Authenticate", "X-Total-Count", "Location", "ETag", "Vary"}


def headers(*names: str) -> dict[str, Any]:
    """References to the headers of these names."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def header_components() -> dict[str, Schema]:
    return {name: {**header, **({"required": True} if name in _ALWAYS else {})} for name, header in HEADERS.items()}


def faces(json: Schema | None = None, *, csv: bool = False, html: bool = True) -> dict[str, Any]:
    """The content of an answer by its media types."""
    content: dict[str, Any] = {}
    if json is not None:
        content[MEDIA_TYPES[JSON]] = {"schema": json}
    if csv:
        content[MEDIA_TYPES[CSV]] = {"schema": TEXT}
    if html:
        content[MEDIA_TYPES[HTML]] = {"schema": TEXT}
    return content


def answer(description: str, content: Mapping[str, Any] | None = None, *named: str) -> Schema:
    """An answer that went well, with headers by their names."""
    told: Schema = {"description": description}
    if named:
        told["headers"] = headers(*named)
    if content:
        told["content"] = {**content}
    return told


def problems(kinds: Iterable[Kind], *, negotiated: bool = True) -> dict[str, Schema]:
    """The answers to these errors, by status, with the codes that each may have."""
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
    """The answer to who has it already."""
    return answer("You have it already: what `If-None-Match` names.", None, *named)


def without_bodies(answers: Mapping[str, Schema]) -> dict[str, Schema]:
    """As HEAD gets them."""
    return {
        status: {name: part for name, part in told.items() if name not in ("content", "links")}
        for status, told in answers.items()
    }
