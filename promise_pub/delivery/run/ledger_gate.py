"""The pause of a run while its progress cannot be recorded."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from promise_pub.errors import DatabaseError, DatabaseUnavailable

LEDGER_PATIENCE = 60.0  # seconds without a ledger for which a run waits before it stops publishing


class LedgerGate:
    """Closed while the ledger cannot be written. A run publishes only while it is open."""

    def __init__(self) -> None:
        self.trouble: DatabaseError | None = None
        self._news = asyncio.Event()  # set once the ledger is back, or refuses
        self._away_since = 0.0

    def report(self, trouble: DatabaseError | None) -> None:
        """Notes how the last write went: None when it succeeded."""
        if trouble and not self.trouble:
            self._away_since = asyncio.get_running_loop().time()
        self.trouble = trouble
        if trouble and trouble.passes:
            self._news.clear()
        else:
            self._news.set()

    async def wait_open(self) -> None:
        """Waits while the ledger is away. Raises DatabaseError when it refuses, or stays away for LEDGER_PATIENCE."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._away_since + LEDGER_PATIENCE):
                while self.trouble and self.trouble.passes:
                    await self._news.wait()
        if self.trouble and self.trouble.passes:
            raise DatabaseUnavailable(
                f"The database was away for {LEDGER_PATIENCE:g} s: the run stopped publishing. {self.trouble.message}"
            )
        if self.trouble:
            raise self.trouble.with_traceback(None)
