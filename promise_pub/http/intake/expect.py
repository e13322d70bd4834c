"""`Expect: 100-continue`: a client that sends a large file may ask first whether the server wants it.

aiohttp answers before login, host and parameters were checked. Here a route's handler answers itself, once
nothing speaks against the body.
"""

from __future__ import annotations

from aiohttp import HttpVersion11, web

from promise_pub.http.aiohttp_internals import send_continue

_BODY_PENDING = web.RequestKey("body_pending", bool)


async def defer_continue(request: web.Request) -> None:
    """Leaves it to the handler to call `request_body`; an `expect_handler` of routes. Raises HTTPExpectationFailed."""
    if request.version != HttpVersion11:
        # Older clients do not wait.
        return
    expected = request.headers.get("Expect", "")
    if expected.lower() != "100-continue":
        raise web.HTTPExpectationFailed(text=f"Unknown Expect: {expected}")
    request[_BODY_PENDING] = True


async def request_body(request: web.Request) -> None:
    """Makes a client that waits send its body. Call it before reading the body."""
    if request.pop(_BODY_PENDING, False):
        await send_continue(request)


async def close_if_body_unread(request: web.Request, response: web.StreamResponse) -> None:
    """Closes a connection whose body was never requested: it may or may not come next; an `on_response_prepare` signal."""
    if request.get(_BODY_PENDING):
        response.headers["Connection"] = "close"
        response.force_close()
