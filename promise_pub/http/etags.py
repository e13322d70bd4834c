"""Answers that a client has already are not sent again: marks (`ETag`), and 304 for those who show one."""

from __future__ import annotations

import asyncio
import hashlib

from aiohttp import web
from aiohttp.typedefs import Handler

LONG = 1024 * 1024  # bytes that take a millisecond or two: more of them go to a thread
_MARK_BYTES = 16
# What an answer says besides its body, and clients keep with it.
_SAID = ("Content-Type", "Link", "X-Total-Count")
_OF_THE_BODY = frozenset({"content-type", "content-length", "content-disposition"})


@web.middleware
async def add_etag(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Marks whatever was found, and answers 304 without a body to who has it.

    The mark is of the very bytes, so each face has its own, and a run that goes has a new one whenever it is
    told differently. What is streamed has none.
    """
    response = await handler(request)
    if request.method not in ("GET", "HEAD") or not isinstance(response, web.Response):
        return response
    if response.status != 200 or not isinstance(response.body, bytes | bytearray):
        return response
    long = len(response.body) > LONG
    mark = await asyncio.to_thread(etag_of, response) if long else etag_of(response)
    response.etag = mark
    if any(known.value in (mark, "*") for known in request.if_none_match or ()):
        return _unchanged(response)
    return response


async def require_revalidation(_: web.Request, response: web.StreamResponse) -> None:
    """A run that has ended can be resumed: what was kept of it is shown only once its mark is confirmed."""
    if isinstance(response, web.Response) and "ETag" in response.headers:
        response.headers.setdefault("Cache-Control", "no-cache")


def etag_of(response: web.Response) -> str:
    """Equal for two answers that tell the same."""
    digest = hashlib.blake2b(digest_size=_MARK_BYTES)
    for name in _SAID:
        digest.update(f"{response.headers.get(name, '')}\n".encode())
    assert isinstance(response.body, bytes | bytearray)
    digest.update(response.body)
    return digest.hexdigest()


def _unchanged(response: web.Response) -> web.Response:
    """All that the answer would have said of itself, but for its body."""
    kept = {name: value for name, value in response.headers.items() if name.lower() not in _OF_THE_BODY}
    return web.Response(status=304, headers=kept)
