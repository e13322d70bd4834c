"""What both servers need of the system: files enough for their connections, and word of those it did not give them."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

MOST_FILES = 1 << 17  # connections take one each; a program that is started walks through all it might have
TOLD_EVERY = 10.0  # seconds between two complaints: asyncio makes a hundred a second

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def allow_many_files() -> int:
    """Raises the soft limit of open files to the hard one, as far as that is of use; how many they may be now.

    The soft one is usually 1,024, for programs that use `select`. asyncio does not; and whoever opens as many
    connections would shut everybody else out.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY:
        return MOST_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


@contextmanager
def telling_of_refused_connections() -> Iterator[None]:
    """Logs that the system gave no file, or no memory, for a connection that came.

    asyncio tells it to a logger that also tells, with tracebacks, whatever strangers send, and which is therefore not
    heard. It goes on by itself a second later.
    """
    loop = asyncio.get_running_loop()
    before, told = loop.get_exception_handler(), float("-inf")

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal told
        if reason := _refusal(context):
            if loop.time() - told >= TOLD_EVERY:
                told = loop.time()
                log.error("Connections that come cannot be accepted: %s", reason)
        elif before:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


def _refusal(context: dict[str, Any]) -> str | None:
    """Why the system refused to accept a connection, if that is what asyncio tells of."""
    error = context.get("exception")
    if "socket" in context and isinstance(error, OSError) and error.errno in _OUT_OF_RESOURCES:
        return error.strerror
    return None
