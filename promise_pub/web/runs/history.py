"""The history of runs: sorted, filtered, a page at a time, in three formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from aiohttp import web

from promise_pub.delivery.input.uploads import NAME_LIMIT
from promise_pub.delivery.store.query import NEWEST_FIRST, RunSelection, Sort
from promise_pub.errors import BadParameter
from promise_pub.http.insets import Place, render_insets
from promise_pub.http.negotiation import CSV, JSON, negotiate_format
from promise_pub.http.pagination import PER_PAGE, Paging, add_page_headers, check_known, parse_paging, parse_query
from promise_pub.http.responses import as_csv, as_json, large_answer, page
from promise_pub.parameters import Mode
from promise_pub.presentation.run_json import SUMMARY, encode_run, summarize_run
from promise_pub.records import RunReport, State, Verdict
from promise_pub.web.keys import LEDGER, RUNS
from promise_pub.web.runs.compare import MAX_RUNS

ORDERS = {"asc": False, "desc": True}
PARAMETERS = ("state", "verdict", "mode", "file", "sort", "order", "page", "per_page", "format")

Value = TypeVar("Value", bound=StrEnum)
routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class View:
    """The part of the history that a request asks for. Its URL names only what is not the default."""

    which: RunSelection = NEWEST_FIRST
    paging: Paging = Paging()

    @property
    def asked(self) -> Mapping[str, str]:
        """Returns the parameters but for the page, which a form sends along."""
        which = self.which
        given = {
            "state": which.state and which.state.value,
            "verdict": which.verdict and which.verdict.value,
            "mode": which.mode and which.mode.value,
            "file": which.file,
            "sort": which.sort.value if which.sort is not NEWEST_FIRST.sort else "",
            "order": ""
            if which.descending is _descends_by_default(which.sort)
            else ("desc" if which.descending else "asc"),
            "per_page": str(self.paging.per_page) if self.paging.per_page != PER_PAGE else "",
        }
        return {name: value for name, value in given.items() if value}

    def url(self, **more: str) -> str:
        query = urlencode({**more, **self.asked})
        return f"/runs?{query}" if query else "/runs"

    def sorted_by(self, name: str) -> str:
        """Returns the URL of the same runs sorted by `name`, reversed where they already are."""
        sort = Sort(name)
        again = sort is self.which.sort
        descending = not self.which.descending if again else _descends_by_default(sort)
        return replace(self, which=replace(self.which, sort=sort, descending=descending)).url()

    @property
    def order(self) -> str:
        """Returns the order in the words of `aria-sort`."""
        return "descending" if self.which.descending else "ascending"

    def links(self, total: int) -> dict[str, str]:
        """Returns the URLs of the other pages by their relation to this one."""
        return self.paging.links(total, lambda n: self.url(page=str(n)))


def _descends_by_default(sort: Sort) -> bool:
    """Returns the default direction of a sort: descending, except for file names."""
    return sort is not Sort.FILE


def parse_view(query: Mapping[str, str]) -> View:
    """Parses a query string, in which an empty value counts as none. Raises BadParameter, which names the allowed values."""
    check_known(query, PARAMETERS)
    sort = _one_of(query, "sort", Sort) or NEWEST_FIRST.sort
    which = RunSelection(
        state=_one_of(query, "state", State),
        verdict=_one_of(query, "verdict", Verdict),
        mode=_one_of(query, "mode", Mode),
        file=_part_of_a_name(query.get("file", "")),
        sort=sort,
        descending=_descending(query.get("order", ""), sort),
    )
    return View(which, parse_paging(query))


def _one_of(query: Mapping[str, str], name: str, kind: type[Value]) -> Value | None:
    text = query.get(name, "")
    try:
        return kind(text) if text else None
    except ValueError:
        raise _not_one_of(name, text, [*kind]) from None


def _descending(text: str, sort: Sort) -> bool:
    if text and text not in ORDERS:
        raise _not_one_of("order", text, [*ORDERS])
    return ORDERS.get(text, _descends_by_default(sort))


def _not_one_of(name: str, text: str, allowed: list[str]) -> BadParameter:
    return BadParameter(f"{name} must be one of {', '.join(allowed)}, not {text[:50]!r}.")


def _part_of_a_name(text: str) -> str:
    """Returns the text as stored names have it (see `uploads.clean_name`): unprintable characters are replaced."""
    if len(text) > NAME_LIMIT:
        raise BadParameter(f"file must be at most {NAME_LIMIT} characters: no name has more.")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.strip())


@routes.get("/runs")
async def list_runs(request: web.Request) -> web.Response:
    """Lists the history, by default the newest first."""
    format = negotiate_format(request, table=True)
    view = parse_view(parse_query(request, PARAMETERS))
    async with large_answer(request) as make:
        found, total = await request.app[LEDGER].list_runs(view.paging.per_page, view.paging.skip, view.which)
        found = refresh_reports(request, found)
        links = view.links(total)
        if format == JSON:
            response = await make(as_json, map(encode_run, found))
        elif format == CSV:
            response = await make(as_csv, SUMMARY, map(summarize_run, found), "runs.csv")
        else:
            insets = await render_insets(request, Place.RUNS)
            context = {"runs": found, "total": total, "links": links, "view": view, "insets": insets, **_CHOICES}
            response = await make(page, request, "runs.html", context)
    add_page_headers(response, total, links)
    return response


_CHOICES = {
    "states": [(one.value, one.value) for one in State],
    "verdicts": [(one.value, one.value) for one in Verdict],
    "modes": [(one.value, one.value) for one in Mode],
    "sorts": [
        (Sort.STARTED.value, "start"),
        (Sort.FILE.value, "file name"),
        (Sort.SENT.value, "rows sent"),
        (Sort.SECONDS.value, "time taken"),
    ],
    "per_page": PER_PAGE,
    "most_compared": MAX_RUNS,
}


def refresh_reports(request: web.Request, reports: list[RunReport]) -> list[RunReport]:
    """Replaces reports of runs of this server by their present state: the ledger is up to half a second older."""
    runs = request.app[RUNS]
    active = {report.id: runs.find(report.id) for report in reports}
    return [runs.report(run) if (run := active[report.id]) else report for report in reports]
