"""The description of the API: its words, its groups, and every request of the heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promise_pub import errors
from promise_pub.accounts.passwords import MAX_LENGTH
from promise_pub.accounts.people import MAX_NAME
from promise_pub.http.features import Feature
from promise_pub.http.openapi.answers import DATABASE, Operation, answer, formats, headers, not_modified, problems
from promise_pub.http.openapi.document import Api, Operations
from promise_pub.http.openapi.parameters import IF_NONE_MATCH, query
from promise_pub.json_schema import COUNT, TEXT, Schema, object_of, ref
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
        **_named("index", "pages", "The form and the newest runs"),
        "description": "It is shown without the runs while the database is unavailable.",
        "parameters": [IF_NONE_MATCH],
        "responses": {"200": answer("The page.", formats(), "ETag"), "304": not_modified("ETag")},
    }


def _named(name: str, tag: str, summary: str) -> Operation:
    return {"operationId": name, "tags": [tag], "summary": summary}


def _alive() -> Operation:
    responses = {"200": answer("It does.", formats(ref("Alive"), html=False), "ETag")}
    return {**_named("alive", "state", "Whether the server answers"), "responses": responses}


def _ready() -> Operation:
    content = formats(ref("Ready"), html=False)
    responses = {
        "200": answer("All of them are.", content, "ETag"),
        "503": answer("One of them is not; the response says which, and why.", content),
    }
    summary = "Whether the broker, the database, the consumer and the uploads folder are available"
    return {**_named("ready", "state", summary), "responses": responses}


def _document(name: str, summary: str, media_type: str, schema: Schema) -> Callable[[], Operation]:
    def operation() -> Operation:
        responses = {
            "200": answer("The description.", {media_type: {"schema": schema}}, "ETag"),
            "304": not_modified("ETag"),
        }
        return {**_named(name, "descriptions", summary), "parameters": [IF_NONE_MATCH], "responses": responses}

    return operation


def _login_form() -> Operation:
    return {
        **_named("showLogin", "access", "The login form"),
        "parameters": [query("next", TEXT, "Where to go after the login: a path of this server.")],
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
        **_named("logIn", "access", "Start a session"),
        "requestBody": {"required": True, "content": form},
        "responses": {
            "303": answer("Logged in; `Location` is where you wanted to go.", None, "Location")
            | {"headers": headers("Location", "Set-Cookie")},
            **refused,
            **problems((errors.BadParameter, errors.ServerBusy, *DATABASE)),
        },
    }


def _log_out() -> Operation:
    responses = {"303": answer("Logged out.", None, "Location"), **problems(DATABASE)}
    return {**_named("logOut", "access", "End the session, and every copy of its cookie"), "responses": responses}


def _employees() -> Operation:
    counted = formats(object_of({"count": COUNT}), html=False)
    responses = {"200": answer("The number of rows.", counted, "ETag"), **problems(DATABASE)}
    return {
        **_named("countEmployees", "state", "The number of rows that `clear` would delete now"),
        "responses": responses,
    }


def _metrics() -> Operation:
    types = ("text/plain", "application/openmetrics-text")
    responses = {"200": answer("The metrics.", {kind: {"schema": TEXT} for kind in types})}
    return {**_named("metrics", "state", "Metrics for Prometheus"), "responses": responses}


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
    operations, tags, schemas = dict(OPERATIONS), dict(_TAGS), run_schemas()
    for feature in features:
        operations |= feature.operations
        tags |= feature.tags
        schemas |= feature.schemas()
    return Api(words=_WORDS, tags=tags, operations=operations, schemas=schemas)
