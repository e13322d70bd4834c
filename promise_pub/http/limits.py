"""How much a request may be, and how slowly it may come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.errors import BadParameter, UploadTooSlow
from promise_pub.settings.model import ServerSettings

RATE_PERIOD = 30.0  # seconds of waiting for a client over which its rate is averaged: the grace it has


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may ask of the server. `upload_rate` in bytes a second, timeouts in seconds."""

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
        """Raises BadParameter for a form with so many, before they are all there."""
        if count > self.fields:
            raise BadParameter(f"A form has at most {self.fields} fields.")


USUAL = Limits.of(ServerSettings())
LIMITS = web.AppKey("limits", Limits)


@web.middleware
async def limit_parameters(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises BadParameter for a query of more than anybody needs."""
    most = request.app[LIMITS].parameters
    if len(request.query) > most:
        raise BadParameter(f"A query has at most {most} parameters.")
    return await handler(request)


class RateFloor:
    """Cuts off a body that comes in at less than so many bytes a second, 0 for none.

    Only the time in which the client is waited for counts, not what the disk takes: a period of it must bring what it
    should, whatever came before.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._waited = 0.0
        self._came = 0

    async def next(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `read` gives. Raises UploadTooSlow; only then is a reading broken off, which may lose bytes."""
        if not self._rate:
            return await read()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._patience()) as patience:
                chunk = await read()
        except TimeoutError:
            if patience.expired():
                raise self._too_slow() from None
            raise
        self._waited += clock() - began
        self._came += len(chunk)
        if self._waited >= RATE_PERIOD:
            if not self._is_enough():
                raise self._too_slow()
            self._waited, self._came = 0.0, 0
        return chunk

    def _patience(self) -> float:
        """Seconds until the period is over; where it has brought what it should, until the next one is."""
        return max(0.0, RATE_PERIOD * (2 if self._is_enough() else 1) - self._waited)

    def _is_enough(self) -> bool:
        return self._came >= self._rate * RATE_PERIOD

    def _too_slow(self) -> UploadTooSlow:
        return UploadTooSlow(
            f"The upload brought {self._came:,} bytes in {RATE_PERIOD:g} s, "
            f"and is cut off below {self._rate:,} a second."
        )
