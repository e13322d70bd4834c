"""A preview of a file: its first rows as they would be published or rejected. Nothing is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from promise_pub.delivery.input import signatures
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.header import find_header
from promise_pub.delivery.input.reader import Reader
from promise_pub.errors import NotCsv, TooManyWaiting
from promise_pub.http.intake.bodies import receive_body
from promise_pub.http.intake.expect import defer_continue
from promise_pub.http.responses import as_json
from promise_pub.parameters import Parameters
from promise_pub.records import Batch, Rejected, Row
from promise_pub.web.runs.forms import parse_preview

LIMIT = 256 * 1024  # bytes of a file that are looked at: 10 ms for an ordinary one, 3 s where each line is a reject
PIECE = 16 * 1024  # bytes parsed at once: some milliseconds
MOST_AT_ONCE = 4  # one is parsed, the others wait; with these, a preview takes 12 s at most
TIMEOUT = 30.0  # seconds for them to arrive
SHOWN = 10  # rows, and rejected records

routes = web.RouteTableDef()


@routes.post("/preview/", expect_handler=defer_continue)
async def preview(request: web.Request) -> web.Response:
    """Judges the first bytes of a file, which are the body.

    Their last, incomplete line is not judged, unless they are the `whole` file.
    """
    parameters, whole = parse_preview(request)
    head = await receive_body(request, LIMIT, TIMEOUT)
    async with request.app[PREVIEWS].take_turn():
        told = await _judged(head, parameters, whole=whole)
    response = as_json(told)
    response.headers["Cache-Control"] = "no-store"
    return response


class Previews:
    """Previews of this process: one is parsed at a time, a few wait for it."""

    def __init__(self) -> None:
        self._admitted = 0
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def take_turn(self) -> AsyncIterator[None]:
        """Waits until the block can run. Raises TooManyWaiting where too many do."""
        if self._admitted >= MOST_AT_ONCE:
            raise TooManyWaiting(f"{self._admitted} previews are already being made: try again later.")
        self._admitted += 1
        try:
            async with self._turn:
                yield
        finally:
            self._admitted -= 1


PREVIEWS = web.AppKey("previews", Previews)


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
    """Yields batches that each take the event loop for 20 ms at most."""
    pieces = [(data[at : at + PIECE], False) for at in range(0, len(data), PIECE)]
    for piece, last in [*pieces, *([(b"", True)] if whole else [])]:
        for batch in reader.batches(piece, last=last):
            yield batch
            await asyncio.sleep(0)
