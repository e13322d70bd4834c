"""The record of visits as pages, JSON and CSV.

Responses may be long, so they are made in a thread: the event loop has to carry a run meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from markupsafe import Markup

from promise_pub.features.visits.chains import Chains, format_percent
from promise_pub.features.visits.errors import SessionNotFound
from promise_pub.features.visits.hit_buffer import HitCounts
from promise_pub.features.visits.hits import HIT_COLUMNS, Hit
from promise_pub.features.visits.middleware import RECORDING, VisitRecording
from promise_pub.features.visits.render.svg import draw_svg
from promise_pub.features.visits.report import SESSION_COLUMNS, PageFigures, SessionSummary, Transitions
from promise_pub.features.visits.store import MAX_HITS, StoredVisits
from promise_pub.http.keys import require_operator
from promise_pub.http.negotiation import CSV, JSON, negotiate_format
from promise_pub.http.pagination import PER_PAGE, Paging, add_page_headers, parse_paging, parse_query
from promise_pub.http.responses import as_csv, as_json, large_answer, page
from promise_pub.spans import parse_since
from promise_pub.text import parse_uuid

VISITS = web.AppKey("visits", StoredVisits)
PARAMETERS = ("since", "page", "per_page", "format")
SPANS = (
    ("", "all time"),
    ("24h", "the last 24 hours"),
    ("7d", "the last 7 days"),
    ("30d", "the last 30 days"),
)

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class VisitsQuery:
    """The parameters of a request. `asked` is `since` as it was written."""

    asked: str
    since: datetime | None
    paging: Paging

    def url(self, **more: str) -> str:
        """Returns an address with these parameters, except for those that have their defaults."""
        per_page = str(self.paging.per_page) if self.paging.per_page != PER_PAGE else ""
        given = {**more, "since": self.asked, "per_page": per_page}
        query = urlencode({name: value for name, value in given.items() if value})
        return f"/visits?{query}" if query else "/visits"

    def links(self, total: int) -> dict[str, str]:
        """Returns the addresses of the other pages of `total` sessions."""
        return self.paging.links(total, lambda n: self.url(page=str(n)))


@dataclass(frozen=True, slots=True)
class DrawnTransitions:
    """Transitions as a page shows them: the graph, and the rows of two tables."""

    chains: Chains
    graph: Markup
    pages: Sequence[PageFigures]
    rows: Sequence[tuple[str, str, int, str]]


def _draw(transitions: Transitions) -> DrawnTransitions:
    chains = transitions.chains
    rows = []
    for name in chains.pages():
        targets = chains.targets(name)
        leaving = sum(target.count for target in targets)
        rows += [(name, target.page, target.count, format_percent(target.count, leaving)) for target in targets]
    return DrawnTransitions(chains, draw_svg(chains), transitions.pages(), rows)


@routes.get("/visits")
async def list_visits(request: web.Request) -> web.Response:
    """Lists sessions, the newest hit first, and shows the transitions of all of them."""
    require_operator(request)
    wanted = negotiate_format(request, table=True)
    parameters = parse_query(request, PARAMETERS)
    asked = parameters.get("since", "")
    query = VisitsQuery(asked, parse_since(asked, datetime.now(UTC)), parse_paging(parameters))
    visits = request.app[VISITS]
    found, total = await visits.list_sessions(query.paging.per_page, query.paging.skip, query.since)
    transitions = None if wanted == CSV else await visits.get_transitions(since=query.since)
    async with large_answer(request) as make:
        if transitions is None:
            response = await make(as_csv, SESSION_COLUMNS, (session.row() for session in found), "sessions.csv")
        else:
            answer = _list_as_json if wanted == JSON else _list_as_page
            response = await make(answer, request, query, found, total, transitions)
    add_page_headers(response, total, query.links(total))
    return response


def _list_as_json(
    request: web.Request,
    _: VisitsQuery,
    found: Sequence[SessionSummary],
    __: int,
    transitions: Transitions,
) -> web.Response:
    counts = _hit_counts(request)
    return as_json(
        {
            "sessions": [session.as_json() for session in found],
            "transitions": transitions.as_json(),
            "recording": counts and asdict(counts),
        }
    )


def _list_as_page(
    request: web.Request,
    query: VisitsQuery,
    found: Sequence[SessionSummary],
    total: int,
    transitions: Transitions,
) -> web.Response:
    context = {
        "sessions": found,
        "total": total,
        "links": query.links(total),
        "query": query,
        "drawn": _draw(transitions),
        "hit_counts": _hit_counts(request),
        "spans": SPANS,
    }
    return page(request, "visits/sessions.html", context)


@routes.get("/visits/{session_id}")
async def show_visit(request: web.Request) -> web.Response:
    """Shows one session: its pages in the order of time, and its transitions."""
    require_operator(request)
    wanted = negotiate_format(request, table=True)
    parse_query(request, ("format",))
    text = request.match_info["session_id"]
    session_id = parse_uuid(text, SessionNotFound(f"There is no session {text[:50]}."))
    visits = request.app[VISITS]
    session, hits = await visits.get_session(session_id)
    transitions = None if wanted == CSV else await visits.get_transitions(session_id)
    async with large_answer(request) as make:
        if transitions is None:
            response = await make(_session_as_csv, session_id, hits)
        else:
            answer = _session_as_json if wanted == JSON else _session_as_page
            response = await make(answer, request, session, hits, transitions)
    response.headers["X-Total-Count"] = str(session.hits)
    return response


def _session_as_csv(session_id: UUID, hits: Sequence[Hit]) -> web.Response:
    return as_csv(HIT_COLUMNS, (hit.row() for hit in hits), f"session-{session_id}.csv")


def _session_as_json(
    _: web.Request, session: SessionSummary, hits: Sequence[Hit], transitions: Transitions
) -> web.Response:
    return as_json(
        {
            "session": session.as_json(),
            "hits": (hit.as_json() for hit in hits),
            "transitions": transitions.as_json(),
        }
    )


def _session_as_page(
    request: web.Request, session: SessionSummary, hits: Sequence[Hit], transitions: Transitions
) -> web.Response:
    context = {"session": session, "hits": hits, "max_hits": MAX_HITS, "drawn": _draw(transitions)}
    return page(request, "visits/session.html", context)


def _hit_counts(request: web.Request) -> HitCounts | None:
    """Returns the counts of this server's hits, or None when it records none."""
    return request.app[RECORDING].buffer.counts if RECORDING in request.app else None


def values_of(visits: StoredVisits, recording: VisitRecording | None) -> Mapping[web.AppKey[Any], Any]:
    """Returns what the handlers and the middleware look up in the application."""
    return {VISITS: visits, **({RECORDING: recording} if recording else {})}
