"""Statements that a server sends while nothing happens, counted in the log of its database."""

from __future__ import annotations

import asyncio
import re

import asyncpg

from benchmarks.measure import Bench
from promise_pub import db
from promise_pub.features.journal.settings import BusSettings

SETTLES, SECONDS, QUICK_SECONDS = 5.0, 30.0, 5.0
# Of a statement without arguments, and of one with.
_STATEMENT = re.compile(rb"LOG:  (?:statement|execute [^:]+): ")


async def count_statements(bench: Bench) -> float:
    """Returns the statements a second of a server with journal and bus, those that begin and end transactions included."""
    services = bench.services
    seconds = QUICK_SECONDS if bench.quick else SECONDS
    async with services.database() as database:
        connection = await asyncpg.connect(**await db.connection_arguments(database))
        try:
            # Holds for the connections of this database that come after.
            await connection.execute(f"ALTER DATABASE {database.dbname} SET log_statement = 'all'")
        finally:
            await connection.close(timeout=5)
        async with (
            services.counting_consumer() as consumer,
            services.server(consumer, database, features={"bus": BusSettings(enabled=True)}),
        ):
            await asyncio.sleep(SETTLES)
            before = services.database_log.stat().st_size
            await asyncio.sleep(seconds)
            with services.database_log.open("rb") as log:
                log.seek(before)
                return len(_STATEMENT.findall(log.read())) / seconds
