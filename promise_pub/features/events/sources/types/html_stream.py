"""HTML as a stream of tags and texts, in memory and time that do not grow with what stands in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import unescape
from html.parser import HTMLParser
from typing import Generic, TypeVar

from promise_pub.sources import Damaged

R = TypeVar("R")

MAX_MARKUP = 1024**2
"""Characters of one tag or comment. One that goes on for longer never ends."""

_PIECE = 64 * 1024  # characters that are read at once

Attributes = list[tuple[str, str | None]]


class HtmlStream(HTMLParser, Generic[R]):
    """A parser that hands on records as soon as they are whole: a subclass adds them to `found`, and what is left at the end in
    `finish`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[R] = []

    def finish(self) -> None:
        """Adds what the end of the text ends."""

    def read(self, text: str) -> Iterator[R]:
        """Yields the records of a text. Raises Damaged, after those before it, for a tag without an end, and as a subclass does."""
        for start in range(0, len(text), _PIECE):
            yield from self._records_of(text[start : start + _PIECE])
            # It is gone through once more with each piece, and its beginnings would be tried one by one at the end.
            if len(self.rawdata) > MAX_MARKUP:
                raise Damaged(f"A tag in it is longer than {MAX_MARKUP:,} characters.")
        is_cut = self.rawdata.startswith("<")
        if not is_cut:
            # Text that might have gone on as a character reference.
            self.handle_data(unescape(self.rawdata))
        self.finish()
        yield from self._take()
        if is_cut:
            raise Damaged("It ends within a tag.")

    def _records_of(self, piece: str) -> Iterator[R]:
        try:
            self.feed(piece)
        except Damaged:
            yield from self._take()
            raise
        except AssertionError as error:
            # The parser has no other exception for a declaration that it does not know.
            yield from self._take()
            raise Damaged(f"A declaration in it cannot be read: {str(error)[:100]}.") from None
        yield from self._take()

    def _take(self) -> list[R]:
        taken, self.found = self.found, []
        return taken


def first_values(attributes: Attributes) -> Mapping[str, str]:
    """Returns attributes by their names, each in lower case. Of one that is there twice the first counts, as in browsers."""
    return {name: value or "" for name, value in reversed(attributes)}


def line_of(parts: list[str]) -> str:
    """Returns text as browsers show it: blanks and line ends in a row are one blank."""
    return " ".join("".join(parts).split())
