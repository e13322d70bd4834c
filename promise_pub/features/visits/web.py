"""The record of visits in three faces: who came, which pages they saw, where they went next.

Answers may be long, and are made in a thread: the loop has a run to carry meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from markupsafe import Markup

from promise_pub.errors import NotAllowed
from promise_pub.features.visits.chains import percent
from promise_pub.features.visits.errors import SessionNotFound
from promise_pub.features.visits.hit_buffer import HitCounts
from promise_pub.features.visits.hits import HIT_COLUMNS, Hit
from promise_pub.features.visits.middleware import RECORDING, VisitRecording
from promise_pub.features.visits.render.svg import svg
from promise_pub.features.visits.report import SESSION_COLUMNS, PageFigures, SessionSummary, Transitions
from promise_pub.features.visits.store import MAX_HITS, StoredVisits
from promise_pub.http.keys import may_operate
from promise_pub.http.negotiation import CSV, JSON, negotiate_format
from promise_pub.http.pagination import PER_PAGE, Paging, add_page_headers, parse_paging, parse_query
from promise_pub.http.responses import as_csv, as_json, page
from promise_pub.spans import parse_since

VISITS = web.AppKey("visits", StoredVisits)
_MAKING = web.AppKey("making", asyncio.Lock)
"""Held by whoever makes an answer: each thread at it would let the loop wait once more."""
PARAMETERS = ("since", "page", "per_page", "format")
SPANS = (
    ("", "all time"),
    ("24h", "the last 24 hours"),
    ("7d", "the last 7 days"),
    ("30d", "the last 30 days"),
)

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class View:
    """What a request asks for. `asked` is `since` as it was written."""

    asked: str
    since: datetime | None
    paging: Paging

    def url(self, **more: str) -> str:
        """An address that names only what is not the default."""
        given = {
            **more,
            "since": self.asked,
            "per_page": str(self.paging.per_page) if self.paging.per_page != PER_PAGE else "",
        }
        query = urlencode({name: value for name, value in given.items() if value})
        return f"/visits?{query}" if query else "/visits"

    def links(self, total: int) -> dict[str, str]:
        """Where the other pages of so many sessions are."""
        return self.paging.links(total, lambda n: self.url(page=str(n)))


def _view(request: web.Request) -> View:
    query = parse_query(request, PARAMETERS)
    asked = query.get("since", "")
    return View(asked, parse_since(asked, datetime.now(UTC)), parse_paging(query))


@dataclass(frozen=True, slots=True)
class Picture:
    """Transitions as a page shows them: drawn, and in figures."""

    told: Transitions
    graph: Markup
    pages: Sequence[PageFigures]
    lines: Sequence[tuple[str, str, int, str]]


def _picture(told: Transitions) -> Picture:
    lines = [
        (page, target.page, target.count, percent(target.count, _leaving(told, page)))
        for page in told.chains.pages()
        for target in told.chains.targets(page)
    ]
    return Picture(told, svg(told.chains), told.pages(), lines)


def _leaving(told: Transitions, page: str) -> int:
    return int(told.chains.graph.out_degree(page, weight="count"))


@routes.get("/visits")
async def list_visits(request: web.Request) -> web.Response:
    """The sessions, the newest hit first, and how all of them went through the pages."""
    _for_operators(request)
    face = negotiate_format(request, table=True)
    view = _view(request)
    visits = request.app[VISITS]
    found, total = await visits.list_sessions(view.paging.per_page, view.paging.skip, view.since)
    if face == CSV:
        response = as_csv(SESSION_COLUMNS, [one.row() for one in found], "sessions.csv")
    else:
        told = await visits.get_transitions(since=view.since)
        show = _all_as_json if face == JSON else _all_as_page
        response = await _made(request, show, request, view, found, total, told)
    add_page_headers(response, total, view.links(total))
    return response


def _all_as_json(
    request: web.Request,
    view: View,
    found: Sequence[SessionSummary],
    total: int,
    told: Transitions,
) -> web.Response:
    recorded = _recorded(request)
    return as_json(
        {
            "sessions": [one.as_json() for one in found],
            "transitions": told.as_json(),
            "recording": recorded and asdict(recorded),
        }
    )


def _all_as_page(
    request: web.Request,
    view: View,
    found: Sequence[SessionSummary],
    total: int,
    told: Transitions,
) -> web.Response:
    context = {
        "sessions": found,
        "total": total,
        "links": view.links(total),
        "view": view,
        "picture": _picture(told),
        "recorded": _recorded(request),
        "spans": SPANS,
    }
    return page(request, "visits/sessions.html", context)


@routes.get("/visits/{session_id}")
async def show_visit(request: web.Request) -> web.Response:
    """One session: its way through the pages in the order of time."""
    _for_operators(request)
    face = negotiate_format(request, table=True)
    parse_query(request, ("format",))
    session = _session_id(request.match_info["session_id"])
    visits = request.app[VISITS]
    summary, hits = await visits.get_session(session)
    if face == CSV:
        response = await _made(request, _one_as_csv, session, hits)
    else:
        told = await visits.get_transitions(session)
        show = _one_as_json if face == JSON else _one_as_page
        response = await _made(request, show, request, summary, hits, told)
    response.headers["X-Total-Count"] = str(summary.hits)
    return response


def _one_as_csv(session: UUID, hits: Sequence[Hit]) -> web.Response:
    return as_csv(HIT_COLUMNS, (hit.row() for hit in hits), f"session-{session}.csv")


def _one_as_json(_: web.Request, session: SessionSummary, hits: Sequence[Hit], told: Transitions) -> web.Response:
    return as_json(
        {
            "session": session.as_json(),
            "hits": (hit.as_json() for hit in hits),
            "transitions": told.as_json(),
        }
    )


def _one_as_page(request: web.Request, session: SessionSummary, hits: Sequence[Hit], told: Transitions) -> web.Response:
    context = {"session": session, "hits": hits, "most": MAX_HITS, "picture": _picture(told)}
    return page(request, "visits/session.html", context)


async def _made(request: web.Request, make: Callable[..., web.Response], *parameters: Any) -> web.Response:
    async with request.app[_MAKING]:
        return await asyncio.to_thread(make, *parameters)


def _for_operators(request: web.Request) -> None:
    """Who came by, and from where, is nothing for everybody who may look at runs."""
    if not may_operate(request):
        raise NotAllowed


def _session_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise SessionNotFound(f"There is no session {text[:50]}.") from None


def _recorded(request: web.Request) -> HitCounts | None:
    """What this server noted; None where it notes nothing."""
    return request.app[RECORDING].buffer.counts if RECORDING in request.app else None


def values_of(visits: StoredVisits, recording: VisitRecording | None) -> Mapping[web.AppKey[Any], Any]:
    """Returns what the handlers and the middleware look up in the application."""
    return {VISITS: visits, _MAKING: asyncio.Lock(), **({RECORDING: recording} if recording else {})}
