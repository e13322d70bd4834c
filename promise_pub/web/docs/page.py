"""The descriptions of the API and of the messages, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import web

from promise_pub.http.features import Feature
from promise_pub.http.keys import AUTHENTICATOR
from promise_pub.http.openapi import document
from promise_pub.http.responses import as_json, page
from promise_pub.web.docs import asyncapi
from promise_pub.web.docs.operations import make_api
from promise_pub.web.keys import BROKER

DESCRIPTION: web.AppKey[Mapping[str, Any]] = web.AppKey("openapi", Mapping[str, Any])

routes = web.RouteTableDef()


def set_up(app: web.Application, features: Sequence[Feature]) -> None:
    """Adds the routes, and describes all that the application has by now: to be called after all others are added."""
    app.add_routes(routes)
    app[DESCRIPTION] = document.describe(document.routes_of(app), make_api(features), login=AUTHENTICATOR in app)


@routes.get("/openapi.json")
async def describe_api(request: web.Request) -> web.Response:
    """This API, as programs read it."""
    return as_json(request.app[DESCRIPTION])


@routes.get("/asyncapi.json")
async def describe_messages(request: web.Request) -> web.Response:
    """The messages that are published."""
    return as_json(asyncapi.describe(request.app[BROKER]))


@routes.get("/docs")
async def show_docs(request: web.Request) -> web.Response:
    """This API, as people read it: a list, which scripts replace by Swagger UI."""
    api = request.app[DESCRIPTION]
    words = [_plain(paragraph) for paragraph in api["info"]["description"].split("\n\n")]
    context = {"openapi": api["openapi"], "words": words, "requests": [*_requests(api)]}
    return page(request, "docs.html", context)


class _Line(NamedTuple):
    """A parameter or an answer: what it is called, and what it means."""

    name: str
    words: str


class _Request(NamedTuple):
    """A request in the list."""

    name: str
    words: str
    parameters: list[_Line]
    answers: list[_Line]


def _requests(api: Mapping[str, Any]) -> Iterator[_Request]:
    """All but HEAD, which tells people nothing new."""
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            if method != "head":
                words = f"{operation['summary']}. {operation.get('description', '')}"
                parameters = [*_parameters(operation)]
                answers = [*_answers(operation)]
                yield _Request(f"{method.upper()} {path}", _plain(words), parameters, answers)


def _parameters(operation: Mapping[str, Any]) -> Iterator[_Line]:
    for one in operation.get("parameters", ()):
        yield _Line(one["name"], _plain(f"{one['description']} {_limits(one['schema'])}"))
    if body := operation.get("requestBody"):
        types = ", ".join(body["content"])
        yield _Line("the body", _plain(f"{types}. {body.get('description', '')}"))


def _answers(operation: Mapping[str, Any]) -> Iterator[_Line]:
    for status, answer in operation["responses"].items():
        words, *codes = (line for line in answer["description"].splitlines() if line)
        named = ", ".join(line.removeprefix("- ").partition(":")[0] for line in codes)
        yield _Line(status, _plain(f"{words}: {named}" if named else words))


def _limits(schema: Mapping[str, Any]) -> str:
    """Which values a parameter takes, in words."""
    told = []
    if "enum" in schema:
        told.append("One of " + ", ".join(map(str, schema["enum"])) + ".")
    if "maximum" in schema:
        told.append(f"From {schema.get('minimum', 0):,} to {schema['maximum']:,}.")
    if "default" in schema:
        told.append(f"Unless it is given: {str(schema['default']).lower()}.")
    return " ".join(told)


def _plain(words: str) -> str:
    """Without the marks that set code apart."""
    return words.replace("`", "").strip()
