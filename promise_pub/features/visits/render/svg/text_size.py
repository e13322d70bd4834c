"""How much room words take in a drawing that is not seen here. Pure. A unit is the drawing's, mostly a pixel.

No text is measured: fonts differ from one machine to another. What is taken instead are the widths of DejaVu Sans
Bold, the widest font that common systems put in the place of system-ui, so that what fits here fits everywhere.
"""

from __future__ import annotations

import math
from typing import NamedTuple
from unicodedata import normalize

NAME, SMALL, NUMBER = 13, 11, 12  # sizes of a font: pages' names, their hits, percentages at lines
LINE = 1.2  # heights of a font from one line to the next

_WIDTHS = {  # of characters, in sizes of the font, rounded up
    0.5: " !'(),-./:;IJ[\\]_`fijlrt|",
    0.74: '"$*0123456789?EFLPSTYZabcdeghknopqsuvxyz{}',
    0.88: "#&+<=>ABCDGHKNOQRUVX^~",
    1.12: "%@MWmw…→",
}
_WIDTH = {character: width for width, characters in _WIDTHS.items() for character in characters}
_ANY = 1.25  # of other alphabets: Ж, 字
_NARROW = min(_WIDTHS)


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether they have anything but an edge in common."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def distance(self, point: complex) -> float:
        """From a point to the nearest of its own; 0 within."""
        aside = max(self.left - point.real, 0.0, point.real - self.right)
        return math.hypot(aside, max(self.top - point.imag, 0.0, point.imag - self.bottom))


def around(centre: complex, width: float, height: float) -> Box:
    return Box(
        centre.real - width / 2,
        centre.imag - height / 2,
        centre.real + width / 2,
        centre.imag + height / 2,
    )


def width_of(text: str, size: float) -> float:
    """In units, and rather too much than too little."""
    return size * sum(_WIDTH.get(normalize("NFD", character)[0], _ANY) for character in text)


def fitted(text: str, size: float, room: float) -> str:
    """Text that takes at most so much room, with dots for its middle: pages differ in how they end."""
    if width_of(text, size) <= room:
        return text
    kept = min(len(text) - 1, int(room / size / _NARROW))
    while kept > 1 and width_of(_dotted(text, kept), size) > room:
        kept -= 1
    return _dotted(text, kept)


def _dotted(text: str, kept: int) -> str:
    return text[: kept - kept // 2] + "…" + text[len(text) - kept // 2 :]
