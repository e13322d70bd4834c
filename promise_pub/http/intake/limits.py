"""Limits of requests: their size, and how slowly they may arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.errors import BadParameter, EncodingNotSupported, ServerBusy, UploadTooSlow
from promise_pub.settings.model import ServerSettings

ANSWER_TIMEOUT = 9.5  # seconds for an answer to begin
# Routes, as they are named, whose answers take as long as a run, a file or its reader does.
UNLIMITED = frozenset(
    {"/runs/{id}/stream", "/runs/{id}/rows", "/runs/{id}/report.html", "/runs/{id}/report.json", "/static"}
)
RATE_PERIOD = 30.0  # seconds of waiting for a client that its rate is averaged over


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits for one client. `upload_rate` in bytes per second, timeouts in seconds."""

    fields: int
    parameters: int
    upload_rate: int
    connections: int
    header_timeout: float

    @classmethod
    def of(cls, settings: ServerSettings) -> Self:
        return cls(
            fields=settings.max_fields,
            parameters=settings.max_parameters,
            upload_rate=settings.min_upload_rate,
            connections=settings.max_connections,
            header_timeout=settings.header_timeout,
        )

    def check_fields(self, count: int) -> None:
        """Raises BadParameter for a form with more fields than allowed, before all of them have arrived."""
        if count > self.fields:
            raise BadParameter(f"A form has at most {self.fields} fields.")


DEFAULT_LIMITS = Limits.of(ServerSettings())
LIMITS = web.AppKey("limits", Limits)


@web.middleware
async def limit_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises ServerBusy for whatever is not answered within ANSWER_TIMEOUT, but for what may take its time.

    Each thing that is waited for has a limit of its own, with words that say what hangs; this is for their sum.
    """
    resource = request.match_info.route.resource
    route = resource.canonical if resource else ""
    if route in UNLIMITED or request.method not in ("GET", "HEAD") and route != "/login":
        return await handler(request)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT) as limit:
            return await handler(request)
    except TimeoutError:
        if not limit.expired():
            raise
        raise ServerBusy(
            f"The answer was not ready within {ANSWER_TIMEOUT:g} s: the database or another service may hang."
        ) from None


@web.middleware
async def limit_parameters(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises BadParameter for a query with more parameters than anybody needs."""
    most = request.app[LIMITS].parameters
    if len(request.query) > most:
        raise BadParameter(f"A query has at most {most} parameters.")
    return await handler(request)


@web.middleware
async def refuse_encoded_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises EncodingNotSupported for a body that would have to be inflated: a megabyte of it can hold a gigabyte."""
    encodings = ",".join(request.headers.getall("Content-Encoding", ())).lower()
    if any(each.strip() not in ("", "identity") for each in encodings.split(",")):
        raise EncodingNotSupported
    return await handler(request)


class RateFloor:
    """Cuts off a body that arrives at less than `rate` bytes per second; 0 disables it.

    Only time spent waiting for the client counts, not for the disk. Each RATE_PERIOD must bring its share,
    whatever came before.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._waited = 0.0
        self._received = 0

    async def read(self, read_chunk: Callable[[], Awaitable[bytes]]) -> bytes:
        """Returns what `read_chunk` reads. Raises UploadTooSlow, and only then cancels a read, which may lose bytes."""
        if not self._rate:
            return await read_chunk()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._seconds_left()) as timeout:
                chunk = await read_chunk()
        except TimeoutError:
            if timeout.expired():
                raise self._too_slow() from None
            raise
        self._waited += clock() - began
        self._received += len(chunk)
        if self._waited >= RATE_PERIOD:
            if not self._is_enough():
                raise self._too_slow()
            self._waited, self._received = 0.0, 0
        return chunk

    def _seconds_left(self) -> float:
        """Returns the seconds until the period ends, or the next one if this has already brought its share."""
        return max(0.0, RATE_PERIOD * (2 if self._is_enough() else 1) - self._waited)

    def _is_enough(self) -> bool:
        return self._received >= self._rate * RATE_PERIOD

    def _too_slow(self) -> UploadTooSlow:
        return UploadTooSlow(
            f"The upload sent {self._received:,} bytes in {RATE_PERIOD:g} s, "
            f"less than the {self._rate:,} bytes per second that the server requires."
        )
