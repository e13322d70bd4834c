"""Widths of text in a drawing, in pixels. Pure.

No text is measured, because fonts differ between machines. The widths are those of DejaVu Sans Bold, the widest font
that common systems use for system-ui: a text that fits here fits everywhere.
"""

from __future__ import annotations

from unicodedata import normalize

# Widths of characters in multiples of the font size, rounded up.
_WIDTHS = {
    0.5: " !'(),-./:;IJ[\\]_`fijlrt|",
    0.74: '"$*0123456789?EFLPSTYZabcdeghknopqsuvxyz{}',
    0.88: "#&+<=>ABCDGHKNOQRUVX^~",
    1.12: "%@MWmw…→",
}
_WIDTH = {character: width for width, characters in _WIDTHS.items() for character in characters}
_OTHER_WIDTH = 1.25  # of characters of other alphabets: Ж, 字


def width_of(text: str, font_size: float) -> float:
    """Returns an upper bound of a text's width."""
    return font_size * sum(_WIDTH.get(normalize("NFD", character)[0], _OTHER_WIDTH) for character in text)


def fitted(text: str, font_size: float, room: float) -> str:
    """Shortens a text to a width with dots in its middle: pages differ in how they end."""
    # No more characters than these fit, so that long texts are not measured as a whole again and again.
    kept = int(room / font_size / min(_WIDTHS))
    if len(text) <= kept and width_of(text, font_size) <= room:
        return text
    kept = min(kept, len(text) - 1)
    while True:
        short = text[: kept - kept // 2] + "…" + text[len(text) - kept // 2 :]
        if kept <= 1 or width_of(short, font_size) <= room:
            return short
        kept -= 1
