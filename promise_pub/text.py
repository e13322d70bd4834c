"""Text that every room reads and writes alike: counted things, ids."""

from __future__ import annotations

from uuid import UUID


def counted(count: int, noun: str) -> str:
    """Returns as in "1 row" and "1,000 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def parse_uuid(text: str, error: Exception) -> UUID:
    """Reads an id. Raises `error` for what is none."""
    try:
        return UUID(text)
    except ValueError:
        raise error from None
