"""ETags: a response that the client already has is not sent again."""

from __future__ import annotations

import asyncio
import hashlib

from aiohttp import web
from aiohttp.typedefs import Handler

LARGE = 1024 * 1024  # bytes, hashed in a millisecond or two; larger bodies are hashed in a thread
_DIGEST_BYTES = 16
# Headers that clients keep with the body.
_HASHED_HEADERS = ("Content-Type", "Link", "X-Total-Count")
_BODY_HEADERS = frozenset({"content-type", "content-length", "content-disposition"})


@web.middleware
async def add_etag(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Adds an ETag to successful responses, and sends 304 without a body to a client that has it.

    The ETag is a digest of the bytes: each format has its own, and a run in progress gets a new one with each
    change. Streamed responses have none.
    """
    response = await handler(request)
    if request.method not in ("GET", "HEAD") or not isinstance(response, web.Response):
        return response
    if response.status != 200 or not isinstance(response.body, bytes | bytearray):
        return response
    large = len(response.body) > LARGE
    etag = await asyncio.to_thread(etag_of, response) if large else etag_of(response)
    response.etag = etag
    if any(known.value in (etag, "*") for known in request.if_none_match or ()):
        kept = {name: value for name, value in response.headers.items() if name.lower() not in _BODY_HEADERS}
        return web.Response(status=304, headers=kept)
    return response


async def require_revalidation(_: web.Request, response: web.StreamResponse) -> None:
    """Makes clients confirm an ETag before they show what they kept: a run that has ended can be resumed."""
    if isinstance(response, web.Response) and "ETag" in response.headers:
        response.headers.setdefault("Cache-Control", "no-cache")


def etag_of(response: web.Response) -> str:
    """Returns the same for two responses with the same content."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for name in _HASHED_HEADERS:
        digest.update(f"{response.headers.get(name, '')}\n".encode())
    assert isinstance(response.body, bytes | bytearray)
    digest.update(response.body)
    return digest.hexdigest()
