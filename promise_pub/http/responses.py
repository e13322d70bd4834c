"""Responses as pages, JSON, JSON lines and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import aiohttp_jinja2
from aiohttp import web

from promise_pub.concurrency import finish_task
from promise_pub.errors import ServerBusy
from promise_pub.http.keys import IS_PAGE, NAV, PRINCIPAL, may_operate
from promise_pub.json_text import dump_json
from promise_pub.presentation.csv_cells import neutralise_cell

TURN_TIMEOUT = 8.0  # seconds to wait until the large answers of others are made

T = TypeVar("T")

Make = Callable[..., Awaitable[web.Response]]
"""Returns the response that a function makes of its arguments, in a thread."""


def page(request: web.Request, template: str, context: Mapping[str, Any], status: int = 200) -> web.Response:
    """Renders a page. Templates also know where they are, who asks, and whether they may do more than view."""
    request[IS_PAGE] = True
    return aiohttp_jinja2.render_template(template, request, {**_common_context(request), **context}, status=status)


def fragment(request: web.Request, template: str, context: Mapping[str, Any]) -> str:
    """Renders a part of a page, with the context that `page` gives."""
    return aiohttp_jinja2.render_string(template, request, {**_common_context(request), **context})


def _common_context(request: web.Request) -> dict[str, Any]:
    operator = may_operate(request)
    return {
        "here": request.path,
        "principal": request.get(PRINCIPAL),
        "may_operate": operator,
        "nav": [item for item in request.app[NAV] if operator or not item.operators_only],
    }


class LargeAnswers:
    """The large answers of a server: one is made at a time for operators, and one for all others.

    Every further thread would slow down the event loop, and what was loaded would wait in memory.
    """

    def __init__(self) -> None:
        self._of_operators, self._of_others = asyncio.Lock(), asyncio.Lock()

    @asynccontextmanager
    async def turn(self, *, operator: bool) -> AsyncIterator[None]:
        """Waits for a turn, and has it for the block. Raises ServerBusy."""
        making = self._of_operators if operator else self._of_others
        try:
            async with asyncio.timeout(TURN_TIMEOUT):
                await making.acquire()
        except TimeoutError:
            raise ServerBusy("Too many ask for long tables at once. Try again.") from None
        try:
            yield
        finally:
            making.release()


LARGE_ANSWERS = web.AppKey("large_answers", LargeAnswers)


@asynccontextmanager
async def large_answer(request: web.Request) -> AsyncIterator[Make]:
    """Gives a large answer its turn, for the block that loads what is in it and makes it, in a thread.

    While it is made, pages take their turn between two of its items, and it ends where its client has left. Raises
    ServerBusy.
    """
    stopped = threading.Event()

    async def make(function: Callable[..., web.Response], *given: Any) -> web.Response:
        task = asyncio.create_task(asyncio.to_thread(function, *given))
        try:
            return await finish_task(task, on_cancel=stopped.set)
        except _Unwanted:
            return web.Response()  # nobody reads it

    _UNWANTED.set(lambda: stopped.is_set() or request.transport is None)
    async with request.app[LARGE_ANSWERS].turn(operator=may_operate(request)):
        yield make


class _Unwanted(Exception):
    """Raised in a thread that makes an answer which nobody waits for any more."""


_UNWANTED: ContextVar[Callable[[], bool]] = ContextVar("unwanted", default=lambda: False)


def _while_wanted(items: Iterable[T]) -> Iterator[T]:
    unwanted = _UNWANTED.get()
    for item in items:
        if unwanted():
            raise _Unwanted
        yield item


def as_json(data: Any, status: int = 200, content_type: str = "application/json") -> web.Response:
    """Returns JSON that is not escaped to ASCII. A long list near the top may be an iterator, to save memory."""
    return web.json_response(data, status=status, content_type=content_type, dumps=_dump_piecewise)


def _dump_piecewise(data: Any, depth: int = 2) -> str:
    """Encodes lists near the top item by item: while `json` encodes, no other thread runs."""
    if isinstance(data, dict) and depth and all(isinstance(name, str) for name in data):
        pairs = (f"{dump_json(name)}: {_dump_piecewise(value, depth - 1)}" for name, value in data.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(data, list | Iterator):
        return f"[{', '.join(map(dump_json, _while_wanted(data)))}]"
    return dump_json(data)


def as_json_lines(objects: Iterable[Any], name: str) -> web.Response:
    """Returns a line of JSON for each object, to download under this name."""
    return web.Response(
        text="".join(f"{dump_json(one)}\n" for one in _while_wanted(objects)),
        content_type="application/x-ndjson",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]], name: str) -> web.Response:
    """Returns a table to download under this name. Cells that a spreadsheet would execute are neutralised."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    # By a generator, so that other threads run between two rows.
    writer.writerows([neutralise_cell(cell) for cell in row] for row in _while_wanted(rows))
    return web.Response(
        text=text.getvalue(),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
