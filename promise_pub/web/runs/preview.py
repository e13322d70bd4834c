"""The beginning of a file as it would be published and rejected, before anything is sent. Nothing is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from promise_pub.delivery.input import signatures
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.header import find_header
from promise_pub.delivery.input.reader import Reader
from promise_pub.errors import NotCsv
from promise_pub.http.intake.expect import defer_continue
from promise_pub.http.responses import as_json
from promise_pub.parameters import Parameters
from promise_pub.records import Batch, Rejected, Row
from promise_pub.web.runs.forms import parse_preview, receive_body

LIMIT = 256 * 1024  # bytes of a file that are looked at: parsed in 10 ms
TIMEOUT = 30.0  # seconds for them to arrive
SHOWN = 10  # rows, and rejected records

routes = web.RouteTableDef()


@routes.post("/preview/", expect_handler=defer_continue)
async def preview(request: web.Request) -> web.Response:
    """Judges the first bytes of a file, which are the body. What is cut off at their end is not judged, unless they
    are `whole`: all of it."""
    parameters, whole = parse_preview(request)
    head = await receive_body(request, LIMIT, TIMEOUT)
    response = as_json(await _judged(head, parameters, whole=whole))
    response.headers["Cache-Control"] = "no-store"
    return response


async def _judged(head: bytes, parameters: Parameters, *, whole: bool) -> dict[str, Any]:
    if fault := signatures.fault_of(head):
        raise NotCsv(fault)
    columns, dialect = parameters.columns, Dialect.of(parameters)
    offset, line = 0, 1
    if parameters.header:
        columns, offset, line = find_header(head, dialect, whole=whole) or ((), len(head), 1)
    reader = Reader(Dialect(len(columns), dialect.delimiter, dialect.encoding), offset=offset, line=line)
    rows: list[Row] = []
    rejected: list[Rejected] = []
    accepted_count = rejected_count = 0
    async for batch in _batches(reader, head[offset:], whole=whole):
        rows += batch.rows[: SHOWN - len(rows)]
        rejected += batch.rejected[: SHOWN - len(rejected)]
        accepted_count += len(batch.rows)
        rejected_count += len(batch.rejected)
    return {
        "columns": list(columns),
        "rows": [{"number": row.number, "body": dict(zip(columns, row.fields, strict=True))} for row in rows],
        "rejected": [one._asdict() for one in rejected],
        "counts": {"accepted": accepted_count, "rejected": rejected_count},
        "more": not whole,
    }


async def _batches(reader: Reader, data: bytes, *, whole: bool) -> AsyncIterator[Batch]:
    """Each takes the event loop for 20 ms at most."""
    for chunk, last in ((data, False), (b"", True))[: 1 + whole]:
        for batch in reader.batches(chunk, last=last):
            yield batch
            await asyncio.sleep(0)
