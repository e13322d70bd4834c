"""The records of one run with their fates: a page at a time for people, all that is asked for as CSV or JSON."""

from __future__ import annotations

import asyncio
import csv
import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing, nullcontext
from typing import NamedTuple

from aiohttp import web

from promise_pub.delivery.rows.reading import RowFate, RowFilter
from promise_pub.errors import PromisePubError
from promise_pub.http.intake.shares import STREAMS
from promise_pub.http.negotiation import CSV, HTML, JSON, negotiate_format
from promise_pub.http.pagination import PER_PAGE
from promise_pub.http.responses import page
from promise_pub.json_text import dump_json
from promise_pub.presentation.csv_cells import neutralise_cell
from promise_pub.presentation.fate_words import rows_in_need, sendable
from promise_pub.presentation.row_json import COLUMNS, encode_row, list_cells
from promise_pub.records import RunReport
from promise_pub.web.keys import ROWS, RUNS
from promise_pub.web.runs.row_query import MAX_TEXT, count_rows, fate_urls, parse_wanted, rows_url
from promise_pub.web.runs.run import find_recorded_run, find_run

SEARCH_TIME = 5.0  # seconds that a page looks for rows before it shows what it found; it goes on from there
SLICE = 1_000  # rows written at once: some milliseconds
SLICE_TEXT = 65_536  # characters of content after which a slice ends: a row may have twice as many
MAX_PAGE_TEXT = 1_000_000  # characters of content after which a page ends, with fewer rows than were asked for
SEND_TIMEOUT = 30.0  # seconds that a client may leave what it was sent unread

log = logging.getLogger(__name__)

_TYPES = {JSON: "application/json", CSV: "text/csv"}

routes = web.RouteTableDef()


class RowsPage(NamedTuple):
    """A page of rows, fewer than were asked for where they are long.

    `after` is the line to go on after, None where there are no more rows; `searched` is False where the page took too
    long and may lack some.
    """

    rows: list[RowFate]
    after: int | None
    searched: bool
    trouble: str


@routes.get("/runs/{id}/rows")
async def list_rows(request: web.Request) -> web.StreamResponse:
    """Lists the records of a run that has ended.

    HTML is a page; CSV and JSON are all rows, streamed, unless `per_page` asks for some. `Link` names the next ones.
    """
    format = negotiate_format(request, table=True)
    wanted, per_page = parse_wanted(request)
    paged, rows = format == HTML or per_page is not None, request.app[ROWS]
    async with rows.take_page_turn():
        report = await find_run(request)
        # A search for text may take seconds, and only its pieces take turns.
        if paged and not wanted.text and _is_listed(request, report):
            return await _show_page(request, report, wanted, per_page, format)
    report = await rows.prepare(await find_recorded_run(request, report))
    if paged:
        async with nullcontext() if wanted.text else rows.take_page_turn():
            return await _show_page(request, report, wanted, per_page, format)
    return await _stream(request, report, wanted, format)


def _is_listed(request: web.Request, report: RunReport) -> bool:
    """Tells whether the fates of a run's rows are there, with nothing to be waited for."""
    return bool(report.row_groups) and report.state.final and request.app[RUNS].find(report.id) is None


async def _show_page(
    request: web.Request, report: RunReport, wanted: RowFilter, per_page: int | None, format: str
) -> web.Response:
    shown = await _find_page(request, report, wanted, per_page or PER_PAGE)
    if format == HTML:
        response = page(request, "rows.html", _context(report, wanted, per_page, shown))
    else:
        table = _Table(format, report)
        text = list[str]()
        for some in _slices(shown.rows):
            text.append(table.add(some))
            await asyncio.sleep(0)
        text.append(table.end())
        response = web.Response(text="".join(text), content_type=_TYPES[format], charset="utf-8")
    if shown.after is not None:
        url = rows_url(report, wanted, after=shown.after, per_page=per_page, format=request.query.get("format"))
        response.headers["Link"] = f'<{url}>; rel="next"'
    if not wanted.text:
        response.headers["X-Total-Count"] = str(count_rows(report, wanted))
    return response


async def _find_page(request: web.Request, report: RunReport, wanted: RowFilter, most: int) -> RowsPage:
    loop = asyncio.get_running_loop()
    until, rows, size, trouble = loop.time() + SEARCH_TIME, list[RowFate](), 0, ""
    # One more than are shown tells whether there is a next page.
    async with aclosing(request.app[ROWS].find(report, wanted, most + 1)) as pieces:
        async for found in pieces:
            trouble = trouble or found.trouble
            for row in found.rows:
                if len(rows) == most or size >= MAX_PAGE_TEXT:
                    return RowsPage(rows, rows[-1].line, searched=True, trouble=trouble)
                rows.append(row)
                size += len(row.content or "")
            if loop.time() > until:
                return RowsPage(rows, found.next_line - 1, searched=False, trouble=trouble)
    return RowsPage(rows, None, searched=True, trouble=trouble)


def _context(report: RunReport, wanted: RowFilter, per_page: int | None, shown: RowsPage) -> dict[str, object]:
    more = {"per_page": per_page}
    chosen = {fate: count for fate, count in (report.fates or {}).items() if fate in wanted.fates}
    return {
        "run": report,
        "wanted": wanted,
        "shown": shown,
        "total": count_rows(report, wanted),
        "next_url": rows_url(report, wanted, after=shown.after, **more) if shown.after is not None else None,
        "first_url": rows_url(report, wanted, **more),
        "csv_url": rows_url(report, wanted, format=CSV),
        "json_url": rows_url(report, wanted, format=JSON),
        "fate_urls": fate_urls(report, wanted),
        "max_text": MAX_TEXT,
        # A new run is made of all rows of some fates, not of those with a text.
        "sent_again": {} if wanted.text else sendable(chosen or rows_in_need(report)),
    }


async def _stream(request: web.Request, report: RunReport, wanted: RowFilter, format: str) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type, response.charset = _TYPES[format], "utf-8"
    if format == CSV:
        response.headers["Content-Disposition"] = f'attachment; filename="rows-{report.id}.csv"'
    if not wanted.text:
        response.headers["X-Total-Count"] = str(count_rows(report, wanted))
    try:
        with request.app[STREAMS].hold(request):
            await _send_found(request, response, report, wanted, _Table(format, report))
    except (ConnectionError, TimeoutError):
        _cut_off(request)  # the client has hung up, or does not read
    except PromisePubError as error:
        if not response.prepared:
            raise
        log.warning("The rows of run %s were cut off: %s", report.id, error.message)
        _cut_off(request)
    return response


async def _send_found(
    request: web.Request, response: web.StreamResponse, report: RunReport, wanted: RowFilter, table: _Table
) -> None:
    """Sends what is found. What prevents the search raises before the headers are sent."""
    async with aclosing(request.app[ROWS].find(report, wanted)) as pieces:
        async for found in pieces:
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError
            if not response.prepared:
                await response.prepare(request)
            if request.method == "HEAD":
                return
            for some in _slices(found.rows):
                await _send(response, table.add(some))
    await response.prepare(request)
    if request.method != "HEAD":
        await _send(response, table.end())
        await response.write_eof()


def _cut_off(request: web.Request) -> None:
    """Ends the connection: an answer that is not whole must not look as if it were."""
    if request.transport:
        request.transport.abort()


async def _send(response: web.StreamResponse, text: str) -> None:
    """Sends text. Raises TimeoutError where the client leaves what it was sent unread."""
    async with asyncio.timeout(SEND_TIMEOUT):
        await response.write(text.encode())


def _slices(rows: Iterable[RowFate]) -> Iterator[list[RowFate]]:
    """Divides rows into as many as are written at once."""
    some, size = list[RowFate](), 0
    for row in rows:
        some.append(row)
        size += len(row.content or "")
        if len(some) == SLICE or size >= SLICE_TEXT:
            yield some
            some, size = [], 0
    if some:
        yield some


class _Table:
    """Rows as text, some at a time."""

    def __init__(self, format: str, report: RunReport) -> None:
        self._json = format == JSON
        self._report = report
        self._begun = False

    def add(self, rows: Sequence[RowFate]) -> str:
        if not rows:
            return ""
        begun, self._begun = self._begun, True
        if self._json:
            objects = (dump_json(encode_row(self._report, row)) for row in rows)
            return ("," if begun else "[") + "\n" + ",\n".join(objects)
        return _csv([*([] if begun else [COLUMNS]), *map(list_cells, rows)])

    def end(self) -> str:
        if self._json:
            return "\n]\n" if self._begun else "[]\n"
        return "" if self._begun else _csv([COLUMNS])


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([neutralise_cell(cell) for cell in row] for row in rows)
    return text.getvalue()
