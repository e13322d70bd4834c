"""How long to try again, and how often."""

from __future__ import annotations

import asyncio
import logging
import random
import time

from promise_pub.errors import PromisePubError

log = logging.getLogger(__name__)

LIMIT = 900.0  # seconds; a quarter of an hour outlasts a restart or a failover, and stays under the half hour after which RabbitMQ closes a channel that does not ack
FIRST = 0.05  # seconds; most losses are over at once
LONGEST = 5.0  # seconds; bounds how late the recovery is noticed


def raise_if_cancelled() -> None:
    """For loops that try again: Python 3.11's wait_for, which aiormq uses, loses a cancellation that comes as it ends.

    Without this such a loop would go on for ever, and its canceller wait as long.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


class Patience:
    """Waits between tries, twice as long each time up to 5 s, and gives up a quarter of an hour after the first."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._delay = FIRST

    async def wait(self, error: PromisePubError) -> None:
        """Sleeps before the next try. Raises `error` when patience is over."""
        raise_if_cancelled()
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if now - self._since >= LIMIT:
            raise error
        log.warning("%s Trying again in %.2g s.", error.message.rstrip(".") + ".", self._delay)
        await asyncio.sleep(self._delay * random.uniform(0.8, 1.2))
        self._delay = min(2 * self._delay, LONGEST)

    def restore(self) -> None:
        """It worked: the next failure is a first one."""
        self._since = None
        self._delay = FIRST
