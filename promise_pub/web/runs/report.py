"""The report of a run to hand on: in one file that needs no server, and as JSON with which a file can be verified."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any

from aiohttp import web
from markupsafe import Markup

from promise_pub.delivery.rows.reading import RowFate
from promise_pub.errors import StoredFileError
from promise_pub.http.responses import as_json, page
from promise_pub.http.security import origin_of
from promise_pub.presentation.report_json import encode_report
from promise_pub.records import RunReport, State
from promise_pub.settings.model import asset
from promise_pub.web.keys import BLOCKS, RUNS

_ALONE = "body { margin: 0; padding: 6mm; background: #fff; }\n@media print { body { padding: 0; } }\n"


def describe_print(request: web.Request, report: RunReport) -> dict[str, Any]:
    """Returns what templates print a run's report with, besides the run and its rows."""
    return {"run_url": f"{origin_of(request)}/runs/{report.id}", "shown_at": datetime.now(UTC)}


@cache
def _style() -> tuple[Markup, str]:
    """Returns the style of a report that stands alone, and the policy that allows this style and nothing else."""
    text = f"\n{asset('static/report.css').read_text(encoding='utf-8')}{_ALONE}"
    hashed = b64encode(sha256(text.encode()).digest()).decode()
    # It is a file of this package.
    return Markup(text), f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"


def render_report(request: web.Request, report: RunReport, rows: Sequence[RowFate]) -> web.Response:
    """Returns a run's report as one file. `rows` are the first that need somebody."""
    style, policy = _style()
    context = {"run": report, "needed": rows, "style": style, "policy": policy, **describe_print(request, report)}
    response = page(request, "report.html", context)
    response.headers["Content-Disposition"] = f'inline; filename="report-{report.id}.html"'
    response.headers["Content-Security-Policy"] = f"{policy}; frame-ancestors 'none'"
    if not report.state.final:
        response.headers["Cache-Control"] = "no-store"
    return response


async def report_as_json(request: web.Request, report: RunReport) -> web.Response:
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
