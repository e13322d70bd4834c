"""Text of others on terminals. Pure."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Returns a text that cannot drive a terminal: unprintable characters become escapes, such as \x1b or \n."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
