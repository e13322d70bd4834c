"""Names of pages where there is little room, and whatever is in them. Pure. A column is a terminal's."""

from __future__ import annotations

from rich.cells import cell_len

_DOTS = "..."


def shown(text: str) -> str:
    r"""Text on one line, with nothing that a terminal would obey: such characters as Python writes them, \x1b.

    A backslash is doubled, so that no two texts are shown alike.
    """
    return "".join(character if _plain(character) else _written(character) for character in text)


def shorten(text: str, columns: int) -> str:
    """Text in at most so many columns, 3 at least, with dots for its middle: pages differ in how they end.

    Two that differ in the middle alone may look alike then.
    """
    if cell_len(text) <= columns:
        return text
    room = columns - len(_DOTS)
    return clip(text, room - room // 2) + _DOTS + _ending(text, room // 2)


def clip(text: str, columns: int) -> str:
    """As much of a text as takes at most so many columns; a little less where accents are characters of their own."""
    if cell_len(text) <= columns:
        return text
    text = text[: max(0, columns)]  # a character takes one column or two; an accent, none
    while text and cell_len(text) > columns:
        text = text[:-1]
    return text


def _ending(text: str, columns: int) -> str:
    text = text[max(0, len(text) - columns) :]
    while text and (cell_len(text) > columns or _accent(text[0])):  # none goes over to the dots
        text = text[1:]
    return text


def _accent(character: str) -> bool:
    return not cell_len(character)


def _plain(character: str) -> bool:
    return character.isprintable() and character != "\\"


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode()
