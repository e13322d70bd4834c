"""Dry runs: what would become of a file, for people and for scripts."""

from __future__ import annotations

import asyncio

from aiohttp import web

from promise_pub.http.negotiation import JSON, negotiate_format
from promise_pub.http.responses import as_json, page
from promise_pub.web.keys import DRY_RUNS, RUNS
from promise_pub.web.runs.forms import SubmittedRun


async def answer(request: web.Request, run_id: str, submitted: SubmittedRun) -> web.Response:
    """Judges the file that arrived under this id, and deletes it whatever comes of it.

    200 when it is done, whatever the client prefers: there is no run to look at in the meantime.
    """
    uploads = request.app[RUNS].uploads
    try:
        report = await request.app[DRY_RUNS].carry_out(uploads.arrived(run_id), submitted.file, submitted.parameters)
    finally:
        await asyncio.shield(uploads.discard(run_id))
    if negotiate_format(request) == JSON:
        return as_json(report.as_json())
    return page(request, "dry_run.html", {"report": report})
