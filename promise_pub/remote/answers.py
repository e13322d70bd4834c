"""The answers of a server, or of a proxy before it: a run, or the reason in words why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from yarl import URL

from promise_pub.errors import ServerAnswerError, ServerAway
from promise_pub.json_text import parse_json
from promise_pub.remote.sse import MAX_EVENT_BYTES

Json = dict[str, Any]

BODY_TIMEOUT = 60.0  # seconds for what follows an answer's headers
REJECTS_SHOWN = 20  # as many as a server names
MAX_SENTENCE = 1_000  # characters of a sentence of the server
MAX_EXCERPT = 200  # characters of any other answer

_KNOWN_BY = {"id", "rows"}  # of a run, of the report of a dry run
_SAID_BY: Mapping[int, str] = {
    401: "a proxy in front of the server, or another server, asks for its own login",
    403: "a proxy in front of the server, or another server, refuses this",
    404: "nothing of promise-pub is there; check --server, and the path in it",
    405: "nothing of promise-pub is there; check --server, and the path in it",
    407: "a proxy in front of the server asks for its own login",
    408: "a proxy in front of the server stopped waiting for the file",
    413: "a proxy in front of the server limits uploads; raise its limit (nginx: client_max_body_size), or split the file",
    429: "a proxy in front of the server takes no more requests for now; try again later",
    502: "a proxy in front of the server lost or could not open its connection to it; check that the server is up",
    503: "a proxy in front of the server finds it unavailable; check that the server is up",
    504: "a proxy in front of the server stopped waiting for its answer; check the runs before you send the file again, and "
    "raise the proxy's limit (nginx: proxy_read_timeout)",
}
"""The same sentences as in static/words.js, apart from advice on --server."""


async def read_answer(response: aiohttp.ClientResponse, server: URL) -> Json:
    """Returns the run, or the report of a dry run. Raises ServerAway for a status from 500 on, else ServerAnswerError."""
    body = await _read_body(response, server)
    answer = _parsed(body)
    if response.status < 300 and _KNOWN_BY & answer.keys():
        return answer
    raise _refusal(response, server, answer, body)


async def read_refusal(response: aiohttp.ClientResponse, server: URL) -> ServerAnswerError:
    """Returns the error for an answer that holds no run."""
    body = await _read_body(response, server)
    return _refusal(response, server, _parsed(body), body)


async def _read_body(response: aiohttp.ClientResponse, server: URL) -> bytes:
    """Raises TimeoutError, or ServerAnswerError for more than a promise-pub server would send."""
    body = bytearray()
    async with asyncio.timeout(BODY_TIMEOUT):
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_EVENT_BYTES:
                raise ServerAnswerError(f"{server} answers with more than {MAX_EVENT_BYTES:,} bytes")
    return bytes(body)


def _parsed(body: bytes) -> Json:
    try:
        answer = parse_json(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(response: aiohttp.ClientResponse, server: URL, answer: Json, body: bytes) -> ServerAnswerError:
    kind = ServerAway if response.status >= 500 else ServerAnswerError
    if response.status >= 400 and "detail" in answer and "code" in answer:
        message = f"{_cut(answer['detail'], MAX_SENTENCE)} ({_cut(answer['code'], MAX_EXCERPT)})"
        return kind(message, [*_details(answer)])
    return kind(_describe_foreign(response, server, body))


def _details(answer: Json) -> Iterator[str]:
    """Yields the further lines of problem details: the first rejected rows, and what to do."""
    rejected = answer.get("rejected")
    for row in rejected[:REJECTS_SHOWN] if isinstance(rejected, list) else ():
        if isinstance(row, dict):
            told = (row.get(name, "") for name in ("line", "reason", "excerpt"))
            line, reason, excerpt = (_cut(value, MAX_SENTENCE) for value in told)
            yield f"line {line}: {reason}: {excerpt}"
    if advice := answer.get("advice"):
        yield _cut(advice, MAX_SENTENCE)


def _describe_foreign(response: aiohttp.ClientResponse, server: URL, body: bytes) -> str:
    """Describes an answer that is not promise-pub's."""
    status, kind = response.status, _cut(response.content_type, MAX_EXCERPT)
    by = f" (Server: {_cut(name, MAX_EXCERPT)})" if (name := response.headers.get("Server")) else ""
    if status < 300:
        where = f" at {_place(response.url)}" if response.history else ""
        return f"{server} is no promise-pub server: it answered {status} with {kind}{where}{by}"
    reason = _cut(response.reason or (HTTPStatus(status).phrase if status in {*HTTPStatus} else ""), MAX_EXCERPT)
    told = f"{server} answered {status} {reason}".rstrip() + by
    if status < 400 and "Location" in response.headers:
        return f"{told}: it redirects to {_target(response)}; give --server the address that is meant"
    sentence = _SAID_BY.get(status, "that is no answer of promise-pub's; check --server")
    excerpt = "" if "html" in kind else _cut(body.decode("utf-8", "replace"), MAX_EXCERPT)
    return f"{told}: {sentence}" + (f": {excerpt}" if excerpt and reason not in excerpt else "")


def _target(response: aiohttp.ClientResponse) -> str:
    location = response.headers["Location"]
    try:
        return _place(response.url.join(URL(location)))
    except ValueError:
        return _cut(location, MAX_EXCERPT)


def _place(url: URL) -> str:
    """Returns an address without credentials."""
    return _cut(url.with_user(None).with_query(None).with_fragment(None), MAX_EXCERPT)


def _cut(value: object, most: int) -> str:
    """Returns text in one line, cut to this length."""
    text = " ".join(str(value)[: 4 * most].split())
    return text if len(text) <= most else f"{text[:most]} …"
