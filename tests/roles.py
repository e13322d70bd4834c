"""Roles of a database that may do so much and no more."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg

from promise_pub.app import FEATURES
from promise_pub.db_checks import Need
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings, ServerSettings, Settings

DEFAULTS = Settings(
    server=ServerSettings(),
    rabbit=RabbitSettings(host="localhost"),
    consumer=ConsumerSettings(host="localhost", port=1),
    database=DatabaseSettings(dbname="", user="", password=""),
)
FEATURE_NEEDS = tuple(need for one in FEATURES for need in one.needs(DEFAULTS))
"""The rights that a server with every feature needs besides the heart's."""


@asynccontextmanager
async def role_with(
    pool: asyncpg.Pool, database: DatabaseSettings, needs: tuple[Need, ...] = ()
) -> AsyncIterator[DatabaseSettings]:
    """What reaches the database as a new role that may do this, as long as the block lasts. `pool` is its owner's."""
    role = f"role_{uuid.uuid4().hex}"
    await pool.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    for need in needs:
        await pool.execute(f"GRANT {', '.join(need.rights.split())} ON {need.table} TO {role}")
        if need.table == "employees" and "INSERT" in need.rights:
            await pool.execute(f"GRANT USAGE ON SEQUENCE employees_id_seq TO {role}")
    try:
        yield replace(database, user=role, password="secret")
    finally:
        await pool.execute(f"DROP OWNED BY {role}")
        await pool.execute(f"DROP ROLE {role}")
