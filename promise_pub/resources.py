"""Resources of the system for both servers: enough files for connections, a log of connections it refused, and a garbage
collector and threads that do not stop the event loop."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

MAX_FILES = 1 << 17  # one for each connection; a program that is started walks through all it could have
GARBAGE = (50_000, 20, 10)  # new objects until the youngest are looked at: some milliseconds' work, and a few MB
SWITCH_EVERY = 0.001  # seconds that a thread goes on while others wait
LOG_EVERY = 10.0  # seconds between two lines in the log: asyncio reports a hundred a second

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def allow_many_files() -> int:
    """Raises the soft limit of open files towards the hard one, and returns the new limit.

    The soft limit is usually 1,024, for programs that use `select`. asyncio does not, and a client with that many
    connections would shut out all others.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft == resource.RLIM_INFINITY:
        return MAX_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


@contextmanager
def collect_garbage_rarely() -> Iterator[None]:
    """Keeps the garbage collector from stopping the event loop for tens of milliseconds, again and again.

    What is there when the block begins is taken to live until it ends, and is not looked at. Of what comes, nearly
    everything is freed without the collector.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def switch_threads_often() -> Iterator[None]:
    """Keeps work in threads from holding up the event loop: it waits a fifth as long for its turn as Python has it.

    A page waits for such a turn a dozen times while it is made.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_EVERY)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def log_refused_connections() -> Iterator[None]:
    """Logs that the system had no file or no memory for a new connection.

    asyncio reports it to a logger that is silenced, because it also reports, with tracebacks, whatever strangers send.
    asyncio accepts connections again after a second.
    """
    loop = asyncio.get_running_loop()
    before, logged_at = loop.get_exception_handler(), float("-inf")

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal logged_at
        if reason := _refusal(context):
            if loop.time() - logged_at >= LOG_EVERY:
                logged_at = loop.time()
                log.error("New connections cannot be accepted: %s", reason)
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
    """Returns the reason for which the system refused a connection; None when asyncio reports something else."""
    error = context.get("exception")
    if "socket" in context and isinstance(error, OSError) and error.errno in _OUT_OF_RESOURCES:
        return error.strerror
    return None
