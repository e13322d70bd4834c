"""Events about who came in, and who did not: never what was typed, and no address."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from promise_pub.accounts.people import Principal, Role
from promise_pub.concurrency import background
from promise_pub.errors import DatabaseError
from promise_pub.event_records import OutboxEvent
from promise_pub.logs import fields
from promise_pub.outbox import new_message_id

log = logging.getLogger(__name__)

QUARTER = 900  # seconds of UTC in which the first use of a token is told
FAILURES_EVERY = 60.0  # seconds between two events about failed logins: strangers must not fill the journal


class AccountTelling:
    """Tells logins before the user is in, the first use of a token in each quarter of an hour, and failed logins summed up.

    `put` puts events into the outbox, and may raise a DatabaseError: then who comes is not let in. Failed logins wait for
    up to FAILURES_EVERY while `running`; those that wait are lost with a server that is killed.
    """

    def __init__(self, put: Callable[[OutboxEvent], Awaitable[None]]) -> None:
        self._put = put
        self._failed: Counter[str] = Counter()
        self._quarter = 0
        self._tokens: set[str] = set()

    async def tell_login(self, name: str, role: Role) -> None:
        await self._put(_event("account.login", {"user": name, "role": role.value}, actor=name))

    def note_failure(self, reason: str) -> None:
        """Counts a failed login for the next event about them."""
        self._failed[reason] += 1

    async def tell_token(self, owner: Principal) -> None:
        """Tells the use of a token unless it was used before in this quarter of an hour."""
        now = datetime.now(UTC)
        quarter = int(now.timestamp()) // QUARTER
        if quarter != self._quarter:
            self._quarter, self._tokens = quarter, set()
        if owner.name in self._tokens:
            return
        tokens = self._tokens
        tokens.add(owner.name)  # before it is told, so that a thousand requests at once tell it once
        body = {"token": owner.name, "role": owner.role.value}
        # With this id it is one event, whichever server is asked.
        message_id = f"token:{owner.name}:{quarter}"
        try:
            await self._put(_event("account.token_used", body, actor=owner.name, message_id=message_id))
        except BaseException:
            tokens.discard(owner.name)
            raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tells failed logins during the block, and those that are left at its end."""
        try:
            async with background(self._keep_telling()):
                yield
        finally:
            await self._tell_failures()

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(FAILURES_EVERY)
            await self._tell_failures()

    async def _tell_failures(self) -> None:
        for reason, times in [*self._failed.items()]:
            try:
                await self._put(_event("account.login_failed", {"reason": reason, "times": times}))
            except DatabaseError as error:
                log.warning("Failed logins are not told yet", extra=fields(why=error.message))
                return
            self._failed[reason] -= times
        self._failed = +self._failed


def _event(topic: str, body: dict[str, Any], actor: str | None = None, message_id: str | None = None) -> OutboxEvent:
    return OutboxEvent(
        message_id=message_id or new_message_id(),
        at=datetime.now(UTC),
        topic=topic,
        actor=actor,
        body=body,
    )
