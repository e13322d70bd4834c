"""The private parts of aiohttp that the server uses, all in this module.

requirements.txt pins aiohttp to the versions that these were tested with; tests/unit/http/test_aiohttp_internals.py has a
test for each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

Finish = Callable[[web.BaseRequest, web.StreamResponse], Awaitable[None]]


def peer_name(request: web.BaseRequest) -> Any:
    """Returns the address of the connection's other end, as it was when the request came.

    The transport's own is gone as soon as the client is.
    """
    return request._transport_peername


def reached_application(request: web.Request) -> bool:
    """Tells a request that was routed from one that aiohttp answers by itself because it is malformed."""
    return request._match_info is not None


def on_response_before_application(
    runner: web.AppRunner, rewrite: Callable[[web.Response], bytes], finish: Finish
) -> None:
    """Lets `rewrite` give a new body to the responses that aiohttp makes for malformed requests, for which it sends no signal.

    `finish` is called for every response, after its signals.
    """

    class Request(web.Request):
        async def _prepare_hook(self, response: web.StreamResponse) -> None:
            of_aiohttp = not reached_application(self) or isinstance(response, web.HTTPError)
            if of_aiohttp and isinstance(response, web.Response):
                response.body = body = rewrite(response)
                # The length was set, twice, before this hook is called.
                self.writer.length = len(body)
                response.headers["Content-Length"] = str(len(body))
            await super()._prepare_hook(response)
            await finish(self, response)

    assert runner.server
    runner.server.request_factory = partial(runner.app._make_request, _cls=Request)


async def send_continue(request: web.Request) -> None:
    """Sends `100 Continue`, which must not count as a part of the response."""
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0
