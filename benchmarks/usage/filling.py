"""A journal with logins of three years."""

from __future__ import annotations

from datetime import timedelta

from promise_pub import db
from promise_pub.settings.model import DatabaseSettings

PREFIX = "bench"
_FILL_TIMEOUT = 3600  # seconds

# Evenly over the days up to now, each login of somebody by chance.
_FILL = """
    WITH added AS (
        INSERT INTO journal_events (seq, key, source, at, received_at, topic, sender, actor, message_id, content_type, body)
        SELECT n, gen_random_uuid(), 'own', now() - $2::interval * (1 - n / $1::float8), now() - $2::interval * (1 - n / $1::float8),
               $3::text || '.account.login', 'promise-pub', 'user' || floor(random() * $4::integer), 'bench-' || n,
               'application/json', '{"user": "somebody", "role": "operator"}'
        FROM generate_series(1, $1::bigint) AS n
        RETURNING 1
    )
    UPDATE journal_head SET seq = (SELECT count(*) FROM added), received_at = now()
"""


async def fill_with_logins(database: DatabaseSettings, logins: int, users: int, days: int) -> None:
    """Inserts so many logins of so many users. Indexes are made at the end: that is sooner."""
    async with db.open_pool(database, max_size=1) as pool:
        await pool.execute("UPDATE pg_index SET indisready = false WHERE indrelid = 'journal_events'::regclass")
        await pool.execute(_FILL, logins, timedelta(days=days), PREFIX, users, timeout=_FILL_TIMEOUT)
        # Which makes them ready again.
        await pool.execute("REINDEX TABLE journal_events", timeout=_FILL_TIMEOUT)
        await pool.execute("VACUUM (ANALYZE) journal_events", timeout=_FILL_TIMEOUT)
