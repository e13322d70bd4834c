"""Names of pages for terminals and drawings. Pure. Widths are columns of a terminal."""

from __future__ import annotations

from rich.cells import cell_len

from promise_pub.text import printable

_DOTS = "..."


def label_of(page: str) -> str:
    r"""Returns a page's name on one line, with control characters as escapes such as \x1b.

    A backslash is doubled, so that no two names have the same label.
    """
    return printable(page.replace("\\", "\\\\"))


def shorten(text: str, columns: int) -> str:
    """Shortens a text to a width of at least 3 columns, with dots for its middle: pages differ in how they end.

    Texts that differ only in the middle may become the same.
    """
    if cell_len(text) <= columns:
        return text
    room = columns - len(_DOTS)
    return clip(text, room - room // 2) + _DOTS + _ending(text, room // 2)


def clip(text: str, columns: int) -> str:
    """Returns the beginning of a text that fits; a little less of it where accents are characters of their own."""
    if cell_len(text) <= columns:
        return text
    # A character takes one column or two; an accent, none.
    text = text[: max(0, columns)]
    while text and cell_len(text) > columns:
        text = text[:-1]
    return text


def _ending(text: str, columns: int) -> str:
    text = text[max(0, len(text) - columns) :]
    # An accent at the beginning would be put on the dots.
    while text and (cell_len(text) > columns or not cell_len(text[0])):
        text = text[1:]
    return text
