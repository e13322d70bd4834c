"""The report of a run to hand on: in one file that needs no server, and as JSON with which a file can be verified."""

from __future__ import annotations

from base64 import b64encode
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256

from aiohttp import web
from markupsafe import Markup

from promise_pub.delivery.rows.reading import RowFate, RowFilter
from promise_pub.errors import DatabaseError, StoredFileError
from promise_pub.fates import Fate
from promise_pub.http.responses import as_json, page
from promise_pub.presentation.report_json import encode_report
from promise_pub.records import RunReport, State
from promise_pub.settings.model import asset
from promise_pub.web.keys import BLOCKS, ROWS, RUNS

ROWS_SHOWN = 10  # rows that need attention; with more it would not be one page


@dataclass(frozen=True, slots=True)
class PrintedRun:
    """What the printed report of a run has besides the run: its address, the time, the first rows that need attention,
    and how many do."""

    address: str
    now: datetime
    rows: list[RowFate]
    in_need: int


async def describe_print(request: web.Request, report: RunReport) -> PrintedRun:
    """Returns what a run's report needs. Its rows are left out while they cannot be read."""
    needed = {fate: count for fate, count in (report.fates or {}).items() if fate.needs_attention}
    rows = await _find_first(request, report, set(needed)) if needed else []
    address = f"{request.url.origin()}/runs/{report.id}"
    return PrintedRun(address, datetime.now(UTC), rows, sum(needed.values()))


async def _find_first(request: web.Request, report: RunReport, fates: set[Fate]) -> list[RowFate]:
    rows: list[RowFate] = []
    try:
        async with aclosing(request.app[ROWS].find(report, RowFilter(fates))) as pieces:
            async for found in pieces:
                rows += found.rows
                if len(rows) >= ROWS_SHOWN:
                    break
    except (DatabaseError, StoredFileError):
        return []
    return rows[:ROWS_SHOWN]


@cache
def _style() -> tuple[Markup, str]:
    """Returns the style of a report, and the policy that allows this style and nothing else. Read once."""
    text = "\nbody { margin: 0; padding: 6mm; background: #fff; }\n@media print { body { padding: 0; } }\n"
    text = f"\n{asset('static/report.css').read_text(encoding='utf-8')}{text}"
    hashed = b64encode(sha256(text.encode()).digest()).decode()
    return Markup(text), f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"


async def show_report(request: web.Request, report: RunReport) -> web.Response:
    """Returns a run's report as one file."""
    style, policy = _style()
    context = {"run": report, "told": await describe_print(request, report), "style": style, "policy": policy}
    response = page(request, "report.html", context)
    response.headers["Content-Disposition"] = f'inline; filename="report-{report.id}.html"'
    response.headers["Content-Security-Policy"] = f"{policy}; frame-ancestors 'none'"
    return response


async def tell_report(request: web.Request, report: RunReport) -> web.Response:
    """Returns a run's report as JSON, with hashes of the records of its file. Raises TooManyWaiting."""
    blocks, why = None, None
    if report.state is not State.COMPLETED:
        why = f"The run is {report.state.value}: the records of its file are hashed once it has completed."
    else:
        try:
            blocks = await request.app[BLOCKS].fetch(request.app[RUNS].uploads, report)
        except StoredFileError as error:
            why = error.message
    response = as_json(encode_report(report, blocks, why))
    response.headers["Content-Disposition"] = f'attachment; filename="report-{report.id}.json"'
    return response
