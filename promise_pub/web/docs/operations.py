"""The description of the API: its words, its groups, and every request of the heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from promise_pub import errors
from promise_pub.accounts.passwords import MAX_LENGTH
from promise_pub.accounts.people import MAX_NAME
from promise_pub.http.features import Feature
from promise_pub.http.openapi.answers import DATABASE, Operation, answer, formats, headers, not_modified, problems
from promise_pub.http.openapi.document import Api, Operations
from promise_pub.http.openapi.parameters import IF_NONE_MATCH, query
from promise_pub.http.openapi.schema import COUNT, TEXT, Schema, object_of, ref
from promise_pub.records import Parameters, RunReport, StoredFile
from promise_pub.web.docs import runs
from promise_pub.web.docs.schemas import run_schemas

_WORDS = """\
Takes a CSV, publishes every row to a consumer through RabbitMQ, and proves what became of each one.

Pages and data share their addresses: `Accept: application/json` gives JSON, `text/csv` CSV where there is a table, \
everything else HTML; `?format=` overrides it. `HEAD` is answered like `GET`, without the body. Errors in JSON are \
problem details (RFC 9457) with a stable `code`, also those of addresses that do not exist (404) and methods that an \
address does not take (405, with `Allow`).
"""
_TAGS = {
    "runs": "A run takes one file from upload to verdict.",
    "pages": "For people.",
    "state": "For whoever watches the server.",
    "descriptions": "For whoever writes programs.",
    "access": "Logging in and out.",
}


def _index() -> Operation:
    return {
        "operationId": "index",
        "tags": ["pages"],
        "summary": "The form and the newest runs",
        "description": "Also while the database is away: then it says so.",
        "parameters": [IF_NONE_MATCH],
        "responses": {
            "200": answer("The page.", formats(), "ETag"),
            "304": not_modified("ETag"),
        },
    }


def _alive() -> Operation:
    return {
        "operationId": "alive",
        "tags": ["state"],
        "summary": "Whether the server lives",
        "responses": {"200": answer("It does.", formats(ref("Alive"), html=False), "ETag")},
    }


def _ready() -> Operation:
    content = formats(ref("Ready"), html=False)
    return {
        "operationId": "ready",
        "tags": ["state"],
        "summary": "Whether the broker, the database, the consumer and the folder of uploads are there",
        "responses": {
            "200": answer("All of them are.", content, "ETag"),
            "503": answer("One of them is not; it says which, and why.", content),
        },
    }


def _document(name: str, summary: str, media_type: str, schema: Schema) -> Callable[[], Operation]:
    def operation() -> Operation:
        content = {media_type: {"schema": schema}}
        return {
            "operationId": name,
            "tags": ["descriptions"],
            "summary": summary,
            "parameters": [IF_NONE_MATCH],
            "responses": {
                "200": answer("Here it is.", content, "ETag"),
                "304": not_modified("ETag"),
            },
        }

    return operation


def _login_form() -> Operation:
    return {
        "operationId": "showLogin",
        "tags": ["access"],
        "summary": "The form to log in",
        "parameters": [query("next", TEXT, "Where to go afterwards: a path of this server's.")],
        "responses": {"200": answer("The form.", formats(), "ETag")},
    }


def _log_in() -> Operation:
    fields = {
        "name": {"type": "string", "maxLength": MAX_NAME},
        "password": {"type": "string", "format": "password", "maxLength": MAX_LENGTH},
        "next": TEXT,
    }
    form = {"application/x-www-form-urlencoded": {"schema": object_of(fields, "next")}}
    refused = problems((errors.LoginFailed, errors.TooManyTries))
    refused["401"].pop("headers")
    return {
        "operationId": "logIn",
        "tags": ["access"],
        "summary": "Start a session",
        "requestBody": {"required": True, "content": form},
        "responses": {
            "303": answer("You are in; `Location` is where you wanted to go.", None, "Location")
            | {"headers": headers("Location", "Set-Cookie")},
            **refused,
            **problems((errors.BadParameter, errors.ServerBusy, *DATABASE)),
        },
    }


def _log_out() -> Operation:
    return {
        "operationId": "logOut",
        "tags": ["access"],
        "summary": "End the session, here and in every copy of its cookie",
        "responses": {
            "303": answer("You are out.", None, "Location"),
            **problems(DATABASE),
        },
    }


def _employees() -> Operation:
    counted = formats(object_of({"count": COUNT}), html=False)
    return {
        "operationId": "countEmployees",
        "tags": ["state"],
        "summary": "How many rows `clear` would delete now",
        "responses": {"200": answer("So many.", counted, "ETag"), **problems(DATABASE)},
    }


def _metrics() -> Operation:
    types = ("text/plain", "application/openmetrics-text")
    return {
        "operationId": "metrics",
        "tags": ["state"],
        "summary": "Figures for Prometheus",
        "responses": {"200": answer("The figures.", {kind: {"schema": TEXT} for kind in types})},
    }


OPERATIONS: Operations = {
    ("GET", "/"): _index,
    **runs.OPERATIONS,
    ("GET", "/employees"): _employees,
    ("GET", "/healthz"): _alive,
    ("GET", "/readyz"): _ready,
    ("GET", "/metrics"): _metrics,
    ("GET", "/openapi.json"): _document("openapi", "This API (OpenAPI 3.1)", "application/json", {"type": "object"}),
    ("GET", "/asyncapi.json"): _document(
        "asyncapi", "The messages published (AsyncAPI 3.0)", "application/json", {"type": "object"}
    ),
    ("GET", "/docs"): _document("docs", "This API as a page", "text/html", TEXT),
    ("GET", "/login"): _login_form,
    ("POST", "/login"): _log_in,
    ("POST", "/logout"): _log_out,
}
"""Every request, described when it is asked for; what the router does not have is not asked for."""


def make_api(features: Sequence[Feature]) -> Api:
    """Returns the API of the heart and of these features."""
    operations, tags, schemas = dict(OPERATIONS), dict(_TAGS), run_schemas(_example_run())
    for feature in features:
        operations |= feature.operations
        tags |= feature.tags
        schemas |= feature.schemas()
    return Api(words=_WORDS, tags=tags, operations=operations, schemas=schemas)


def _example_run() -> dict[str, Any]:
    """Returns a run as JSON, so that no more is described than it has."""
    file = StoredFile("data.csv", 0, "0" * 64)
    return RunReport("0" * 32, Parameters(), file, datetime(2026, 1, 1, tzinfo=UTC)).as_json()
