"""The history of runs: sorted, filtered, a page at a time, in three faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from aiohttp import web

from promise_pub.delivery.history import NEWEST_FIRST, Selection, Sort
from promise_pub.delivery.uploads import NAME_LIMIT
from promise_pub.errors import BadParameter
from promise_pub.records import SUMMARY, Mode, RunReport, State, Verdict
from promise_pub.web.compare import MOST
from promise_pub.web.keys import LEDGER, RUNS
from promise_pub.web.negotiate import CSV, JSON, as_csv, as_json, page, wanted

PER_PAGE = 50
MOST_PER_PAGE = 500
MOST_PAGES = 10**9

ORDERS = {"asc": False, "desc": True}
PARAMETERS = ("state", "verdict", "mode", "file", "sort", "order", "page", "per_page", "format")

Value = TypeVar("Value", bound=StrEnum)
routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class View:
    """What a request asks the history for. An address of it names only what is not the default."""

    which: Selection = NEWEST_FIRST
    page: int = 1
    per_page: int = PER_PAGE

    @property
    def skip(self) -> int:
        return (self.page - 1) * self.per_page

    @property
    def asked(self) -> Mapping[str, str]:
        """Its parameters, but for the page: a form sends them along."""
        which = self.which
        given = {
            "state": which.state and which.state.value,
            "verdict": which.verdict and which.verdict.value,
            "mode": which.mode and which.mode.value,
            "file": which.file,
            "sort": which.sort.value if which.sort is not NEWEST_FIRST.sort else "",
            "order": "" if which.descending is _first_order(which.sort) else _order(which),
            "per_page": str(self.per_page) if self.per_page != PER_PAGE else "",
        }
        return {name: value for name, value in given.items() if value}

    def url(self, **more: str) -> str:
        query = urlencode({**more, **self.asked})
        return f"/runs?{query}" if query else "/runs"

    def sorted_by(self, name: str) -> str:
        """The address of the same runs in another order; the other way round where it is this one already."""
        sort = Sort(name)
        again = sort is self.which.sort
        descending = not self.which.descending if again else _first_order(sort)
        return replace(
            self, page=1, which=replace(self.which, sort=sort, descending=descending)
        ).url()

    @property
    def order(self) -> str:
        """As `aria-sort` has it."""
        return "descending" if self.which.descending else "ascending"

    def pages(self, total: int) -> int:
        """How many pages so many runs take."""
        return max(1, -(-total // self.per_page))

    def links(self, total: int) -> dict[str, str]:
        """Where the other pages are, by their relation to this one."""
        last = self.pages(total)
        targets = {"first": 1, "prev": self.page - 1, "next": self.page + 1, "last": last}
        known = {name: n for name, n in targets.items() if 1 <= n <= last and n != self.page}
        return {name: self.url(page=str(n)) for name, n in known.items()}


def _first_order(sort: Sort) -> bool:
    """Whether what is asked for first is the highest: names begin with A."""
    return sort is not Sort.FILE


def _order(which: Selection) -> str:
    return "desc" if which.descending else "asc"


def parse_view(query: Mapping[str, str]) -> View:
    """What the query string asks for; an empty value is none. Raises BadParameter naming what there is."""
    for name in query:
        if name not in PARAMETERS:
            raise BadParameter(
                f"There is no parameter {name[:50]!r}: there are {', '.join(PARAMETERS)}."
            )
    sort = _one_of(query, "sort", Sort) or NEWEST_FIRST.sort
    which = Selection(
        state=_one_of(query, "state", State),
        verdict=_one_of(query, "verdict", Verdict),
        mode=_one_of(query, "mode", Mode),
        file=_part_of_a_name(query.get("file", "")),
        sort=sort,
        descending=_descending(query.get("order", ""), sort),
    )
    number = _whole(query, "page", 1, MOST_PAGES)
    return View(which, number, _whole(query, "per_page", PER_PAGE, MOST_PER_PAGE))


def _one_of(query: Mapping[str, str], name: str, kind: type[Value]) -> Value | None:
    text = query.get(name, "")
    try:
        return kind(text) if text else None
    except ValueError:
        raise _not_one_of(name, text, [*kind]) from None


def _descending(text: str, sort: Sort) -> bool:
    if text and text not in ORDERS:
        raise _not_one_of("order", text, [*ORDERS])
    return ORDERS.get(text, _first_order(sort))


def _not_one_of(name: str, text: str, allowed: list[str]) -> BadParameter:
    return BadParameter(f"{name} must be one of {', '.join(allowed)}, not {text[:50]!r}.")


def _part_of_a_name(text: str) -> str:
    """As names are kept (see `uploads.clean_name`): what cannot be printed was replaced."""
    if len(text) > NAME_LIMIT:
        raise BadParameter(f"file must be at most {NAME_LIMIT} characters: no name has more.")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.strip())


def _whole(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= most):
        raise BadParameter(f"{name} must be a whole number from 1 to {most}, not {text[:50]!r}.")
    return int(text)


def _query(request: web.Request) -> Mapping[str, str]:
    for name in request.query:
        if len(request.query.getall(name)) > 1:
            raise BadParameter(f"{name[:50]} is given more than once.")
    return dict(request.query)


@routes.get("/runs")
async def list_runs(request: web.Request) -> web.Response:
    """The history, newest first where no other order is asked for."""
    face = wanted(request, table=True)
    view = parse_view(_query(request))
    found, total = await request.app[LEDGER].newest(view.per_page, view.skip, view.which)
    found = as_they_are_now(request, found)
    links = view.links(total)
    if face == JSON:
        response = as_json([report.as_json() for report in found])
    elif face == CSV:
        response = as_csv(SUMMARY, [report.summary() for report in found], "runs.csv")
    else:
        context = {"runs": found, "total": total, "links": links, "view": view, **_CHOICES}
        response = page(request, "runs.html", context)
    response.headers["X-Total-Count"] = str(total)
    if links:
        response.headers["Link"] = ", ".join(
            f'<{url}>; rel="{name}"' for name, url in links.items()
        )
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
    "most_compared": MOST,
}


def as_they_are_now(request: web.Request, reports: list[RunReport]) -> list[RunReport]:
    """The ledger is up to half a second old: a run that lives here tells of itself."""
    runs = request.app[RUNS]
    living = {report.id: runs.find(report.id) for report in reports}
    return [runs.report(run) if (run := living[report.id]) else report for report in reports]
