"""The descriptions of the API and of the messages, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import web

from promise_pub.http.features import OpenFeature
from promise_pub.http.keys import AUTHENTICATOR
from promise_pub.http.openapi import document
from promise_pub.http.responses import as_json, page
from promise_pub.web.docs import asyncapi
from promise_pub.web.docs.operations import make_api
from promise_pub.web.keys import BROKER

DESCRIPTION: web.AppKey[Mapping[str, Any]] = web.AppKey("openapi", Mapping[str, Any])
MESSAGES: web.AppKey[Sequence[Mapping[str, Mapping[str, Any]]]] = web.AppKey(
    "messages", Sequence[Mapping[str, Mapping[str, Any]]]
)

routes = web.RouteTableDef()


def set_up(app: web.Application, features: Sequence[OpenFeature]) -> None:
    """Adds the routes and describes all of the application's: call it after every other route was added."""
    app.add_routes(routes)
    app[MESSAGES] = [one.messages for one in features]
    app[DESCRIPTION] = document.describe(
        document.routes_of(app), make_api([one.feature for one in features]), login=AUTHENTICATOR in app
    )


@routes.get("/openapi.json")
async def describe_api(request: web.Request) -> web.Response:
    """The API, for programs."""
    return as_json(request.app[DESCRIPTION])


@routes.get("/asyncapi.json")
async def describe_messages(request: web.Request) -> web.Response:
    """The messages that are published, for programs."""
    messages = request.app[MESSAGES]
    return as_json(asyncapi.describe(request.app[BROKER], messages))


@routes.get("/docs")
async def show_docs(request: web.Request) -> web.Response:
    """The API, for people: a list, which scripts replace by Swagger UI."""
    api = request.app[DESCRIPTION]
    words = [_without_marks(paragraph) for paragraph in api["info"]["description"].split("\n\n")]
    context = {"openapi": api["openapi"], "words": words, "requests": [*_list_requests(api)]}
    return page(request, "docs.html", context)


class RequestSummary(NamedTuple):
    """A request in the list; its parameters and responses by name, with what they mean."""

    name: str
    words: str
    parameters: list[tuple[str, str]]
    answers: list[tuple[str, str]]


def _list_requests(api: Mapping[str, Any]) -> Iterator[RequestSummary]:
    """Yields every request but HEAD, which tells people nothing new."""
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            if method != "head":
                words = _without_marks(f"{operation['summary']}. {operation.get('description', '')}")
                parameters, answers = [*_list_parameters(operation)], [*_list_answers(operation)]
                yield RequestSummary(f"{method.upper()} {path}", words, parameters, answers)


def _list_parameters(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in operation.get("parameters", ()):
        yield one["name"], _without_marks(f"{one['description']} {_limits(one['schema'])}")
    if body := operation.get("requestBody"):
        yield "the body", _without_marks(f"{', '.join(body['content'])}. {body.get('description', '')}")


def _list_answers(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for status, answer in operation["responses"].items():
        words, *codes = (line for line in answer["description"].splitlines() if line)
        named = ", ".join(line.removeprefix("- ").partition(":")[0] for line in codes)
        yield status, _without_marks(f"{words}: {named}" if named else words)


def _limits(schema: Mapping[str, Any]) -> str:
    """Returns in words which values a parameter takes."""
    limits = []
    if "enum" in schema:
        limits.append("One of " + ", ".join(map(str, schema["enum"])) + ".")
    if "maximum" in schema:
        limits.append(f"From {schema.get('minimum', 0):,} to {schema['maximum']:,}.")
    if "default" in schema:
        limits.append(f"Default: {str(schema['default']).lower()}.")
    return " ".join(limits)


def _without_marks(words: str) -> str:
    return words.replace("`", "").strip()
