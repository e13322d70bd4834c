"""Who was shown which page: the one tie between what the server answers and the record of visits."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.features.visits.hits import Hit, Ids, cut_short, headers_of, text_of
from promise_pub.features.visits.recorder import Recorder
from promise_pub.features.visits.sessions import Sessions
from promise_pub.features.visits.settings import VisitsSettings
from promise_pub.http.intake.client_address import client_of
from promise_pub.http.keys import IS_PAGE, ROUTE
from promise_pub.http.security import EXPOSURE

log = logging.getLogger(__name__)

NOT_FOUND = "not found"  # the page of an address that no route is for: strangers' would be without end

# Never pages, whatever is shown there when it goes wrong.
_NO_PAGES = frozenset({"/static", "/static/visits", "/runs/{id}/stream", "/metrics", "/healthz", "/readyz"})
_OPT_OUTS = ("DNT", "Sec-GPC")
_FRAMES = frozenset({"document", "iframe", "frame"})


@dataclass(frozen=True, slots=True)
class Visiting:
    """What it takes to note visits: where they go, whose they are, and what is kept of them."""

    recorder: Recorder
    sessions: Sessions
    settings: VisitsSettings
    ids: Ids


VISITING = web.AppKey("visiting", Visiting)


@web.middleware
async def record_visits(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives visitors a session, and notes the pages they are shown.

    No answer waits for it longer than `sessions.ASK_TIMEOUT`, once a session, and none fails by it.
    """
    if VISITING not in request.app or _wants_no_notes(request):
        return await handler(request)
    at, began = datetime.now(UTC), perf_counter()
    try:
        response = await handler(request)
    except web.HTTPException as answer:
        await _try_to_note(request, answer, at, began)
        raise
    await _try_to_note(request, response, at, began)
    return response


async def _try_to_note(request: web.Request, response: web.StreamResponse, at: datetime, began: float) -> None:
    """Nobody behind this one would make an answer of what it raises."""
    try:
        await _note(request, response, at, began)
    except Exception:
        log.exception("%s is not noted, for a reason nobody foresaw", request.path)


def _wants_no_notes(request: web.Request) -> bool:
    """Whoever says so; and nobody sees what is fetched beforehand, or for the inside of another page."""
    headers = request.headers
    return (
        any(headers.get(name) == "1" for name in _OPT_OUTS)
        or "prefetch" in headers.get("Sec-Purpose", "")
        or headers.get("Sec-Fetch-Dest", "document") not in _FRAMES
        or request.get(ROUTE) in _NO_PAGES
    )


async def _note(request: web.Request, response: web.StreamResponse, at: datetime, began: float) -> None:
    shown = IS_PAGE in request
    if response.prepared or not (shown or 300 <= response.status < 400):
        return
    visiting = request.app[VISITING]
    # A cache that others share must not hand on whose cookie this is, nor hide from us who comes.
    response.headers.setdefault("Cache-Control", "private, no-cache")
    cookie = visiting.settings.cookie
    session, new = await visiting.sessions.of(request.cookies.get(cookie))
    if new:
        response.set_cookie(
            cookie,
            str(session),
            httponly=True,
            samesite="Lax",
            path="/",
            secure=request.app[EXPOSURE].tls,
        )
    if shown and _is_hit(request.method, response.status):
        took = (perf_counter() - began) * 1000
        visiting.sessions.touch(session)
        visiting.recorder.note(_hit(request, response, visiting, session, at, took))


def _is_hit(method: str, status: int) -> bool:
    """A page that somebody was shown; 304 shows the one they have. HEAD shows none."""
    return method in ("GET", "POST") and (200 <= status < 300 or status in (304, 404))


def _hit(
    request: web.Request,
    response: web.StreamResponse,
    visiting: Visiting,
    session: UUID,
    at: datetime,
    took: float,
) -> Hit:
    anonymise = visiting.settings.anonymise
    client = client_of(request)
    address = client.address if client else None
    return Hit(
        id=visiting.ids.next(at),
        at=at,
        session_id=session,
        page=request.get(ROUTE, NOT_FOUND),
        path=text_of(request.path),
        method=request.method,
        status=response.status,
        ip=cut_short(address) if address and anonymise else address,
        port=None if anonymise or not client else client.port,
        user_agent=text_of(request.headers.get("User-Agent")),
        referrer=text_of(request.headers.get("Referer")),
        headers=headers_of(request.headers.items(), anonymise=anonymise),
        took_ms=round(took, 3),
    )
