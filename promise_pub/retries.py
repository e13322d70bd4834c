"""How long something that failed is tried again, and how often: one rule for a broker, a consumer, and a database that runs need.

Others wait by rules of their own: whoever follows a run from afar, whoever waits for the turn on a database, and the
recorder of a run, beside which publishing goes on for a while.
"""

from __future__ import annotations

import asyncio
import logging
import random

from promise_pub.errors import PromisePubError

log = logging.getLogger(__name__)

TELL_EVERY = 10.0  # seconds between lines in the log about one trouble


def raise_if_cancelled() -> None:
    """Raises CancelledError in a task that was cancelled, for loops that try again.

    Python 3.11's wait_for, which aiormq uses, loses a cancellation that comes as it ends. Without this such a loop
    would go on for ever, and its canceller wait as long.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


class Patience:
    """Waits between tries, twice as long each time up to `longest`, until it is over: `within` seconds after the first.

    Progress alone renews it. A try that seems to work is none: a broker may take each connection and refuse each row,
    and would be asked for ever. So whoever waits tells how much has been done so far, and patience begins anew only
    when that has grown. What cannot pass by itself (see `PromisePubError.passes`) is not tried again at all.
    """

    def __init__(self, within: float, first: float, longest: float) -> None:
        self._within = within
        self._first = self._delay = first
        self._longest = longest
        self._since: float | None = None
        self._done = 0
        self._told_at: float | None = None
        self._telling = False

    async def wait(self, error: PromisePubError, done: int = 0) -> None:
        """Sleeps before the next try. Raises `error` where that is of no use, or patience is over."""
        raise_if_cancelled()
        now = asyncio.get_running_loop().time()
        if self._since is None or done > self._done:
            self._since, self._delay = now, self._first
        self._done = max(self._done, done)
        if not error.passes or now - self._since >= self._within:
            raise error
        if self._told_at is None or now - self._told_at >= TELL_EVERY:
            self._told_at, self._telling = now, True
            log.warning("%s. Trying again in %.2g s.", error.message.rstrip("."), self._delay)
        await asyncio.sleep(self._delay * random.uniform(0.5, 1.0))
        self._delay = min(2 * self._delay, self._longest)

    def worked(self, news: str) -> None:
        """Tells that a try worked, if the log has its trouble. What it was tried for is still to be done."""
        if self._telling:
            self._telling = False
            log.info("%s", news)
