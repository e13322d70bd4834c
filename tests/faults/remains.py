"""What is still there when every run has ended: nothing, but for what a killed process could not take with it."""

from __future__ import annotations

import asyncio

from tests.faults.world import FINAL, QUEUE, World

SETTLES = 60.0  # seconds in which what is ending has ended

_RUNS = "SELECT id::text, state FROM runs WHERE state <> ALL ($1)"
_SESSIONS = """
SELECT session->>'uuid' AS uuid FROM runs WHERE session IS NOT NULL
UNION SELECT one->'session'->>'uuid' FROM runs, jsonb_array_elements(earlier) AS one
"""
_BUSY = """
SELECT pid, state, left(query, 100) AS query FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'
"""
# One for the name of the server that lives, beside that of whoever counts statistics; the consumer's has two keys, and
# belongs to a run that goes.
_LOCKS = """
SELECT objsubid, granted FROM pg_locks
WHERE locktype = 'advisory' AND objid <> (hashtext('counting')::bigint & x'ffffffff'::bigint)::oid
"""


class Remains:
    """Looks at uploads, lines, the ledger, locks, sessions and queues."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._looked_at: set[str] = set()  # sessions that are gone

    async def nothing_left(self) -> None:
        left: list[str] = []
        try:
            async with asyncio.timeout(SETTLES):
                while left := await self._left():  # noqa: ASYNC110  it is in other processes
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"still there: {left}") from None

    async def _left(self) -> list[str]:
        return [
            *self._files(),
            *self._connections(),
            *await self._in_the_database(),
            *await self._sessions(),
        ]

    def _files(self) -> list[str]:
        folder = self._world.uploads
        return [path.name for path in (*folder.glob("*.part"), *folder.glob("*.whole"))]

    def _connections(self) -> list[str]:
        """A run has one to the broker and some to the consumer, a session has one to the broker, the bus has two."""
        names = ("server-broker", "server-consumer", "consumer-broker")
        lines = {name: self._world.lines[name].connections for name in names}
        kept = {"server-broker": 2} if self._world.has_bus else {}
        return [f"{count} connections {name}" for name, count in lines.items() if count > kept.get(name, 0)]

    async def _in_the_database(self) -> list[str]:
        fetch = self._world.database.fetch
        left = [f"run {row['id']}: {row['state']}" for row in await fetch(_RUNS, [*FINAL])]
        left += [f"connection {dict(row)}" for row in await fetch(_BUSY)]
        locks = [tuple(row) for row in await fetch(_LOCKS)]
        return left if locks == [(1, True)] else [*left, f"locks {locks}"]

    async def _sessions(self) -> list[str]:
        """Those that a run told of are gone at the consumer, and at the broker unless one of the two was killed.

        Those that no run told of had their /create/ answered to nobody: the consumer forgets them. They hold nothing,
        and nobody reads them.
        """
        known = {row["uuid"] for row in await self._world.database.fetch(_SESSIONS)}
        queues = await self._world.broker.queues()
        queues.pop(QUEUE, None)
        left = [f"queue {name}, read by {count}" for name, count in queues.items() if count]
        excused = self._world.widowed | self._world.undone
        left += [f"queue {name}" for name in queues.keys() & known - excused]
        for uuid in known - self._looked_at:
            if await self._world.consumer_knows(uuid):
                left.append(f"session {uuid}")
            else:
                self._looked_at.add(uuid)
        return left
