"""A server's answer, or that of whatever stands before it: the run that it tells of, or in words why there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from yarl import URL

from promise_pub.errors import ServerAnswerError, ServerAway
from promise_pub.remote.sse import MOST_BYTES

Json = dict[str, Any]

BODY_TIMEOUT = 60.0  # seconds for what follows an answer's headers
REJECTS_SHOWN = 20  # as many as a server names where no row is usable
LONGEST = 1_000  # characters of a sentence of a server's
EXCERPT = 200  # characters of whatever else somebody answers

_KNOWN_BY = {"id", "rows"}  # a run, the report of a dry run
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
"""As static/words.js has them, but for what only --server changes."""


async def read_answer(response: aiohttp.ClientResponse, server: URL) -> Json:
    """Returns the run, or the report of a dry run. Raises ServerAway for a status from 500 on, else ServerAnswerError."""
    body = await _read_body(response, server)
    answer = _parsed(body)
    if response.status < 300 and _KNOWN_BY & answer.keys():
        return answer
    raise _refusal(response, server, answer, body)


async def read_refusal(response: aiohttp.ClientResponse, server: URL) -> ServerAnswerError:
    """Returns the error that an answer is which holds no run, whatever it holds."""
    body = await _read_body(response, server)
    return _refusal(response, server, _parsed(body), body)


async def _read_body(response: aiohttp.ClientResponse, server: URL) -> bytes:
    """Raises TimeoutError, or ServerAnswerError for more than any server of ours has to say."""
    body = bytearray()
    async with asyncio.timeout(BODY_TIMEOUT):
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MOST_BYTES:
                raise ServerAnswerError(f"{server} answers with more than {MOST_BYTES:,} bytes")
    return bytes(body)


def _parsed(body: bytes) -> Json:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(response: aiohttp.ClientResponse, server: URL, answer: Json, body: bytes) -> ServerAnswerError:
    kind = ServerAway if response.status >= 500 else ServerAnswerError
    if response.status >= 400 and "detail" in answer and "code" in answer:
        message = f"{_cut(answer['detail'], LONGEST)} ({_cut(answer['code'], EXCERPT)})"
        return kind(message, [*_details(answer)])
    return kind(_said(response, server, body))


def _details(answer: Json) -> Iterator[str]:
    """The further lines of problem details: the first rejected rows, and what to do."""
    rejected = answer.get("rejected")
    for row in rejected[:REJECTS_SHOWN] if isinstance(rejected, list) else ():
        if isinstance(row, dict):
            told = (row.get(name, "") for name in ("line", "reason", "excerpt"))
            line, reason, excerpt = (_cut(value, LONGEST) for value in told)
            yield f"line {line}: {reason}: {excerpt}"
    if advice := answer.get("advice"):
        yield _cut(advice, LONGEST)


def _said(response: aiohttp.ClientResponse, server: URL, body: bytes) -> str:
    """What an answer tells that is not promise-pub's."""
    status, kind = response.status, _cut(response.content_type, EXCERPT)
    by = f" (Server: {_cut(name, EXCERPT)})" if (name := response.headers.get("Server")) else ""
    if status < 300:
        where = f" at {_place(response.url)}" if response.history else ""
        return f"{server} is no promise-pub server: it answered {status} with {kind}{where}{by}"
    reason = _cut(response.reason or _phrase(status), EXCERPT)
    told = f"{server} answered {status} {reason}".rstrip() + by
    if status < 400 and "Location" in response.headers:
        return f"{told}: it redirects to {_target(response)}; give --server the address that is meant"
    sentence = _SAID_BY.get(status, "that is no answer of promise-pub's; check --server")
    excerpt = "" if "html" in kind else _cut(body.decode("utf-8", "replace"), EXCERPT)
    return f"{told}: {sentence}" + (f": {excerpt}" if excerpt and reason not in excerpt else "")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in {*HTTPStatus} else ""


def _target(response: aiohttp.ClientResponse) -> str:
    location = response.headers["Location"]
    try:
        return _place(response.url.join(URL(location)))
    except ValueError:
        return _cut(location, EXCERPT)


def _place(url: URL) -> str:
    """An address without what may let somebody in."""
    return _cut(url.with_user(None).with_query(None).with_fragment(None), EXCERPT)


def _cut(value: object, most: int) -> str:
    """Text of one line, no longer than that."""
    text = " ".join(str(value)[: 4 * most].split())
    return text if len(text) <= most else f"{text[:most]} …"
