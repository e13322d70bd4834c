"""The middleware that records which pages visitors are shown."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.features.visits.client_quota import ClientQuota
from promise_pub.features.visits.hit_buffer import HitBuffer
from promise_pub.features.visits.hits import (
    MAX_TEXT_LENGTH,
    MAX_UNKNOWN_LENGTH,
    Hit,
    HitIds,
    anonymise_address,
    headers_as_json,
    storable_referrer,
    storable_text,
)
from promise_pub.features.visits.sessions import VisitorSessions
from promise_pub.features.visits.settings import VisitsSettings
from promise_pub.http.intake.client_address import client_of
from promise_pub.http.keys import IS_PAGE, ROUTE, is_known
from promise_pub.http.security import is_encrypted

log = logging.getLogger(__name__)

# The page of all addresses without a route: their number has no limit.
NOT_FOUND = "not found"

# Routes that are no pages, even when they show an error as one.
_NO_PAGES = frozenset({"/static", "/static/visits", "/runs/{id}/stream", "/metrics", "/healthz", "/readyz"})
_OPT_OUTS = ("DNT", "Sec-GPC")
_FRAMES = frozenset({"document", "iframe", "frame"})


@dataclass(frozen=True, slots=True)
class VisitRecording:
    """The services that recording a visit needs."""

    buffer: HitBuffer
    sessions: VisitorSessions
    settings: VisitsSettings
    ids: HitIds
    clients: ClientQuota


RECORDING = web.AppKey("visiting", VisitRecording)


@web.middleware
async def record_visits(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives visitors a session, and records the pages they are shown.

    A response waits at most `sessions.LOOKUP_TIMEOUT` for it, once per session, and never fails because of it.
    """
    if RECORDING not in request.app or _is_not_recorded(request):
        return await handler(request)
    at, began = datetime.now(UTC), perf_counter()
    try:
        response = await handler(request)
    except web.HTTPException as answer:
        await _try_to_record(request, answer, at, began)
        raise
    await _try_to_record(request, response, at, began)
    return response


async def _try_to_record(request: web.Request, response: web.StreamResponse, at: datetime, began: float) -> None:
    # This middleware is outside of the one that renders errors, so nothing may be raised here.
    try:
        await _record(request, response, at, began)
    except Exception:
        log.exception("The visit of %s was not recorded after an unexpected error", request.path)


def _is_not_recorded(request: web.Request) -> bool:
    """True if the visitor opted out, or sees no page: it is prefetched, or part of another page."""
    headers = request.headers
    return (
        any(headers.get(name) == "1" for name in _OPT_OUTS)
        or "prefetch" in headers.get("Sec-Purpose", "")
        or headers.get("Sec-Fetch-Dest", "document") not in _FRAMES
        or request.get(ROUTE) in _NO_PAGES
    )


async def _record(request: web.Request, response: web.StreamResponse, at: datetime, began: float) -> None:
    shown = IS_PAGE in request
    if response.prepared or not (shown or 300 <= response.status < 400):
        return
    recording = request.app[RECORDING]
    # A shared cache must neither give this cookie to others nor answer in our place.
    response.headers.setdefault("Cache-Control", "private, no-cache")
    is_hit = shown and _is_hit(request.method, response.status)
    client = client_of(request)
    if not recording.clients.admit(client.address if client else None, known=is_known(request)):
        if is_hit:
            recording.buffer.count_limited()
        return
    cookie = recording.settings.cookie
    session, new = await recording.sessions.find_or_start(request.cookies.get(cookie))
    if new:
        response.set_cookie(
            cookie,
            str(session),
            httponly=True,
            samesite="Lax",
            path="/",
            secure=is_encrypted(request),
        )
    if is_hit:
        took = (perf_counter() - began) * 1000
        recording.sessions.touch(session)
        recording.buffer.add(_hit(request, response, recording, session, at, took))


def _is_hit(method: str, status: int) -> bool:
    """True if a visitor sees a page: 304 shows the one they have, HEAD shows none."""
    return method in ("GET", "POST") and (200 <= status < 300 or status in (304, 404))


def _hit(
    request: web.Request,
    response: web.StreamResponse,
    recording: VisitRecording,
    session: UUID,
    at: datetime,
    took: float,
) -> Hit:
    anonymise, known = recording.settings.anonymise, is_known(request)
    longest = MAX_TEXT_LENGTH if known else MAX_UNKNOWN_LENGTH
    client = client_of(request)
    address = client.address if client else None
    return Hit(
        id=recording.ids.make(at),
        at=at,
        session_id=session,
        page=request.get(ROUTE, NOT_FOUND),
        path=storable_text(request.path, longest),
        method=request.method,
        status=response.status,
        ip=anonymise_address(address) if address and anonymise else address,
        port=None if anonymise or not client else client.port,
        user_agent=storable_text(request.headers.get("User-Agent"), longest),
        referrer=storable_referrer(request.headers.get("Referer"), longest),
        headers=headers_as_json(request.headers.items() if known else ()),
        took_ms=round(took, 3),
        known=known,
    )
