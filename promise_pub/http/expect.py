"""`Expect: 100-continue`: whoever sends a large file so wants to hear first whether it is wanted.

aiohttp answers that before anything else has been looked at: the login, the host, the parameters. Here a route's handler
does it itself, when nothing is known that speaks against the body.
"""

from __future__ import annotations

from aiohttp import HttpVersion11, web

_UNASKED = web.RequestKey("unasked", bool)


async def defer_continue(request: web.Request) -> None:
    """A route's `expect_handler`, which leaves it to the handler to call `ask_for_body`. Raises HTTPExpectationFailed."""
    if request.version != HttpVersion11:
        return  # older clients do not wait
    expected = request.headers.get("Expect", "")
    if expected.lower() != "100-continue":
        raise web.HTTPExpectationFailed(text=f"Unknown Expect: {expected}")
    request[_UNASKED] = True


async def ask_for_body(request: web.Request) -> None:
    """Has a client that waits for it send its body. To be called before the body is read."""
    if request.pop(_UNASKED, False):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # of the answer proper


async def close_if_body_unread(request: web.Request, response: web.StreamResponse) -> None:
    """A signal's receiver: nobody can tell what comes next on a connection whose body was not asked for."""
    if request.get(_UNASKED):
        response.headers["Connection"] = "close"
        response.force_close()
