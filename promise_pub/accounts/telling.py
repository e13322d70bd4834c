"""Events about who came in, and who did not: never what was typed, and no address."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from promise_pub.accounts.people import Principal, Role
from promise_pub.concurrency import background, wait_or_cancel
from promise_pub.errors import DatabaseError
from promise_pub.event_records import OutboxEvent
from promise_pub.logs import fields
from promise_pub.outbox import new_message_id

log = logging.getLogger(__name__)

QUARTER = 900  # seconds of UTC in which the first use of a token is told
TELL_EVERY = 1.0  # seconds
MAX_WAITING = 10_000  # events
LAST_WORD = 0.5  # seconds to tell what is left at the end
FAILURES_EVERY = 60.0  # seconds between two events about failed logins: strangers must not fill the journal


class AccountTelling:
    """Tells logins before the user is in; the first use of a token in each quarter of an hour, and failed logins summed up,
    a moment later.

    `put` puts events into the outbox, and may raise a DatabaseError: then nobody logs in. What else is to be told waits
    while `running`, MAX_WAITING at most, and is lost with a server that is killed.
    """

    def __init__(self, put: Callable[[OutboxEvent], Awaitable[None]]) -> None:
        self._put = put
        self._failed: Counter[str] = Counter()
        self._quarter = 0
        self._tokens: set[str] = set()
        # Each as it was made, so that one whose answer was lost is the same event when it is told again.
        self._waiting: deque[OutboxEvent] = deque(maxlen=MAX_WAITING)
        self._is_away = False

    async def tell_login(self, name: str, role: Role) -> None:
        await self._put(_event("account.login", {"user": name, "role": role.value}, actor=name))

    def note_failure(self, reason: str) -> None:
        """Counts a failed login for the next event about them."""
        self._failed[reason] += 1

    def note_token(self, owner: Principal) -> None:
        """Notes the use of a token, which is told unless it was used before in this quarter of an hour."""
        quarter = int(datetime.now(UTC).timestamp()) // QUARTER
        if quarter != self._quarter:
            self._quarter, self._tokens = quarter, set()
        if owner.name in self._tokens:
            return
        self._tokens.add(owner.name)
        body = {"token": owner.name, "role": owner.role.value}
        # With this id it is one event, whichever server is asked.
        message_id = f"token:{owner.name}:{quarter}"
        self._waiting.append(_event("account.token_used", body, actor=owner.name, message_id=message_id))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tells what waits during the block, and what is left at its end."""
        try:
            async with background(self._keep_telling()):
                yield
        finally:
            self._sum_up_failures()
            # A cancelled query would be waited for, until its connection is closed.
            await wait_or_cancel([asyncio.create_task(self._tell_waiting())], LAST_WORD)

    async def _keep_telling(self) -> None:
        clock = asyncio.get_running_loop().time
        summed_up = clock()
        while True:
            await asyncio.sleep(TELL_EVERY)
            if clock() - summed_up >= FAILURES_EVERY:
                summed_up = clock()
                self._sum_up_failures()
            await self._tell_waiting()

    def _sum_up_failures(self) -> None:
        for reason, times in self._failed.items():
            self._waiting.append(_event("account.login_failed", {"reason": reason, "times": times}))
        self._failed.clear()

    async def _tell_waiting(self) -> None:
        while self._waiting:
            event = self._waiting[0]
            try:
                await self._put(event)
            except DatabaseError as error:
                if not self._is_away:
                    log.warning("Uses of tokens and failed logins are not told yet", extra=fields(why=error.message))
                self._is_away = True
                return
            self._is_away = False
            if self._waiting and self._waiting[0] is event:
                self._waiting.popleft()


def _event(topic: str, body: dict[str, Any], actor: str | None = None, message_id: str | None = None) -> OutboxEvent:
    return OutboxEvent(
        message_id=message_id or new_message_id(),
        at=datetime.now(UTC),
        topic=topic,
        actor=actor,
        body=body,
    )
