"""Bodies of requests: received within limits of size and time, and with one error for all the ways in which they break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import aiohttp
from aiohttp import web

from promise_pub.errors import FileTooLarge, UploadIncomplete
from promise_pub.http.intake.expect import request_body
from promise_pub.http.intake.limits import LIMITS, RateFloor
from promise_pub.http.intake.shares import BODIES

CHUNK_TIMEOUT = 60.0  # seconds without a byte before an upload counts as abandoned

_BROKEN = (
    aiohttp.ClientPayloadError,
    web.RequestPayloadError,
    aiohttp.http_exceptions.HttpProcessingError,
    web.HTTPException,
    ConnectionError,
    EOFError,
    TimeoutError,
    AssertionError,
    ValueError,
    RuntimeError,
)


async def receive_body(request: web.Request, limit: int, within: float) -> bytes:
    """Returns a small body that arrives `within` seconds. Raises FileTooLarge or UploadIncomplete."""
    too_large = FileTooLarge(f"The body is over the limit of {limit:,} bytes.")
    if (request.content_length or 0) > limit:
        raise too_large
    body, floor = bytearray(), RateFloor(request.app[LIMITS].upload_rate)
    with request.app[BODIES].hold(request), broken_uploads(f"The body was not there within {within:g} s."):
        async with asyncio.timeout(within):
            await request_body(request)
            async for chunk in read_timely(partial(floor.read, request.content.readany), request.content.at_eof):
                body += chunk
                if len(body) > limit:
                    raise too_large
    return bytes(body)


async def read_timely(read: Callable[[], Awaitable[bytes]], ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yields the chunks of a body to its end; an empty chunk is no end. Raises TimeoutError."""
    while not ended():
        async with asyncio.timeout(CHUNK_TIMEOUT):
            chunk = await read()
        yield chunk


@contextmanager
def broken_uploads(too_slow: str | None = None) -> Iterator[None]:
    """Turns aiohttp's many errors of a broken body into UploadIncomplete."""
    try:
        yield
    except TimeoutError as error:
        message = too_slow or f"The upload stood still for {CHUNK_TIMEOUT:g} s."
        raise UploadIncomplete(message) from error
    except _BROKEN as error:
        reason = " ".join(str(error).split())  # some come with line ends
        raise UploadIncomplete(f"The upload cannot be read to its end: {reason}") from error
