"""Keys of events: two with the same key are one. Pure."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID, uuid4

from promise_pub.event_records import Source


def key_of(source: Source, app_id: str | None, message_id: str | None) -> UUID:
    """Returns the key of an event: the BLAKE2b-128 of its source, its sender and its message id, with a NUL between.

    The source is part of it, so that nobody on the bus can take the place of an event of promise-pub itself. Without a
    message id nothing tells whether an event came before: its key is random.
    """
    if not message_id:
        return uuid4()
    parts = (source, app_id or "", message_id)
    return UUID(bytes=blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).digest())
