"""Keys of events: when two of them are one. Pure."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID, uuid4


def key_of(source: str, app_id: str | None, message_id: str | None) -> UUID:
    """Returns the key of an event; without a message id one that no other event has."""
    if not message_id:
        return uuid4()
    text = "\0".join((source, app_id or "", message_id))
    return UUID(bytes=blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
