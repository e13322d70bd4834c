"""The OpenAPI 3.1 description of the routes that an application has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiohttp import web

from promise_pub import __version__, errors
from promise_pub.http.login import COOKIE, OPEN
from promise_pub.http.openapi.answers import DATABASE, Operation, answer, header_components, problems, without_bodies
from promise_pub.http.openapi.schema import general_schemas
from promise_pub.http.security import SAFE_METHODS
from promise_pub.json_schema import Schema

VERSION = "3.1.1"

_LOGIN = "\nRequests are authenticated by a token (`Authorization: Bearer`) or a session. Viewers may read; every method but GET needs an operator.\n"


class Route(NamedTuple):
    """A method and a path, as the router has them."""

    method: str
    path: str


Operations = Mapping[tuple[str, str], Callable[[], Operation]]
"""Functions that describe a request, by its method and path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Descriptions of requests, of which an application may have some only. `tags` are the groups that they are listed in."""

    words: str
    tags: Mapping[str, str]
    operations: Operations
    schemas: Mapping[str, Schema]


def routes_of(app: web.Application) -> list[Route]:
    """Returns every request that the application takes, but for the files under /static/."""
    return [
        Route(route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and not isinstance(route.resource, web.StaticResource)
    ]


def describe(routes: Iterable[Route], api: Api, *, login: bool) -> dict[str, Any]:
    """Describes these requests; with `login`, also how to authenticate. A request that `api` lacks is left out."""
    paths: dict[str, dict[str, Operation]] = {}
    for method, path in routes:
        if (operation := _operation(api.operations, method, path, login)) is not None:
            paths.setdefault(path, {})[method.lower()] = operation
    _leave_out_loose_links(paths)
    used = {tag for path in paths.values() for one in path.values() for tag in one["tags"]}
    return {
        "openapi": VERSION,
        "info": {
            "title": "promise-pub",
            "version": __version__,
            "description": api.words + (_LOGIN if login else ""),
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [{"name": name, "description": words} for name, words in api.tags.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": {**api.schemas, **general_schemas()},
            "headers": header_components(),
            **({"securitySchemes": _security_schemes()} if login else {}),
        },
        **({"security": [{"token": []}, {"session": []}]} if login else {}),
    }


def _leave_out_loose_links(paths: Mapping[str, Mapping[str, Operation]]) -> None:
    """Removes links to requests that are not described."""
    operations = [one for path in paths.values() for one in path.values()]
    known = {one["operationId"] for one in operations}
    for response in (response for one in operations for response in one["responses"].values()):
        if links := response.get("links"):
            response["links"] = {name: link for name, link in links.items() if link["operationId"] in known}


def _operation(operations: Operations, method: str, path: str, login: bool) -> Operation | None:
    if method == "HEAD":
        get = _operation(operations, "GET", path, login)
        return _head(get) if get else None
    describing = operations.get((method, path))
    return _complete(method, path, describing(), login) if describing else None


def _head(get: Operation) -> Operation:
    return get | {
        "operationId": f"{get['operationId']}Head",
        "summary": f"{get['summary']}: headers only",
        "responses": without_bodies(get["responses"]),
    }


def _complete(method: str, path: str, operation: Operation, login: bool) -> Operation:
    """Returns the operation with the responses that every request may get."""
    closed = login and path not in OPEN
    common = dict(_common(method, closed))
    responses = {**common, **operation["responses"]}
    for status in common.keys() & operation["responses"].keys():
        responses[status] = _both(operation["responses"][status], common[status])
    anybody: Operation = {"security": []} if login and not closed else {}
    return {**operation, **anybody, "responses": dict(sorted(responses.items()))}


def _common(method: str, closed: bool) -> Iterator[tuple[str, Any]]:
    kinds: list[type[errors.PromisePubError]] = [
        # Too many parameters, too many connections.
        errors.BadParameter,
        errors.ServerBusy,
        errors.WrongHost,
    ]
    acts = method not in SAFE_METHODS
    if acts:
        kinds.append(errors.CrossSite)
    if closed:
        kinds += DATABASE
        kinds += [errors.NotAllowed] if acts else []
        yield "303", answer("A browser is redirected to the login.", None, "Location")
        yield from problems((errors.LoginRequired, errors.TokenRefused), negotiated=False).items()
    yield from problems(kinds).items()
    failed = problems([errors.PromisePubError])["500"]
    yield "500", failed | {"description": "The server failed; its log says how: `internal`."}


def _both(own: Operation, common: Operation) -> Operation:
    """Merges two responses of one status: the operation's own words first, and only the headers that both have."""
    known = own["description"]
    more = [line for line in common["description"].splitlines() if line and line not in known]
    headers = {name: response for name, response in common.get("headers", {}).items() if name in own.get("headers", {})}
    return {
        "description": "\n".join([known, *more]),
        **({"headers": headers} if headers else {}),
        "content": {**common.get("content", {}), **own.get("content", {})},
    }


def _security_schemes() -> dict[str, Any]:
    return {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token: `promise-pub token add NAME`.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": COOKIE,
            "description": "A session, as `/login` starts it.",
        },
    }
