"""Text that every room reads and writes alike: counted things, ids, what strangers wrote."""

from __future__ import annotations

import re
from uuid import UUID

# Control characters but for tabs and line ends, characters that turn the direction of writing, and lone surrogates.
_HIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)")

# A backslash that is escaped is passed over as a whole, so that no NUL is seen in what comes after it.
_ESCAPED_NUL = re.compile(r"(\\\\)|\\u0000")


def counted(count: int, noun: str) -> str:
    """Returns as in "1 row" and "1,000 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def parse_uuid(text: str, error: Exception) -> UUID:
    """Reads an id. Raises `error` for what is none."""
    try:
        return UUID(text)
    except ValueError:
        raise error from None


def printable(text: str) -> str:
    r"""Returns a line that cannot drive a terminal: unprintable characters become escapes, such as \x1b or \n."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def unmasked(text: str) -> str:
    r"""Returns text of several lines, or in a script of any direction, that cannot drive a terminal or look like another.

    Only what does that becomes escapes, such as \x1b or \u202e: joiners and marks that scripts need stay, as do tabs
    and line ends, but for a CR alone.
    """
    if text.isprintable():
        return text
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def unmasked_json(document: str) -> str:
    r"""Returns the same JSON with those characters written as \uXXXX."""
    if document.isprintable():
        return document
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def storable(text: str) -> str:
    """Replaces NUL and lone surrogates, which PostgreSQL does not store: a peer's words must not keep what they are part of
    from being recorded."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def storable_json(document: str) -> str:
    """Returns the same JSON with NUL and lone surrogates replaced."""
    document = storable(document)
    if r"\u0000" not in document:
        return document
    return _ESCAPED_NUL.sub(lambda found: found[1] or "\N{REPLACEMENT CHARACTER}", document)
