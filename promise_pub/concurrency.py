"""Dances with cancellation that more than one room needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Runs it in a thread, and returns or raises what it does.

    Threads cannot be cancelled: whoever is waits until it is done, so that nothing is written, or comes to be, behind the
    back of those who clean up.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **options))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody else reads it
        raise
