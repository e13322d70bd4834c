"""Charts as SVG: bars, and a line over a logarithmic axis. Readable alone, on any background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

_WIDTH, _LINE_HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 46, 46
_BAR, _GAP, _LABELS = 24, 12, 250
_COLOUR = "#1f6feb"


def bars(title: str, values: Sequence[tuple[str, float]]) -> str:
    """One horizontal bar a value, from the top."""
    room = _WIDTH - _LABELS - 90
    longest = max(value for _, value in values)
    parts = []
    for place, (label, value) in enumerate(values):
        y = _TOP + place * (_BAR + _GAP)
        length = room * value / longest
        parts += [
            _text(_LABELS - 10, y + 17, label, "end"),
            f'<rect x="{_LABELS}" y="{y}" width="{length:.1f}" height="{_BAR}" fill="{_COLOUR}"/>',
            _text(_LABELS + length + 8, y + 17, f"{value:,.0f}"),
        ]
    return _svg(title, _TOP + len(values) * (_BAR + _GAP) + 8, parts)


def line(title: str, x_name: str, points: Sequence[tuple[int, float]]) -> str:
    """One line with a mark for each point; x is logarithmic and ascending, y begins at 0."""
    top = _round_up(max(y for _, y in points))
    places = [(_x(x, points[0][0], points[-1][0]), _y(y / top)) for x, y in points]
    parts = [*_grid(top)]
    for (x, y), (number, value) in zip(places, points, strict=True):
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_COLOUR}"/>',
            _text(x, y - 10, _short(value), "middle"),
            _text(x, _LINE_HEIGHT - _BOTTOM + 18, f"{number:,}", "middle"),
        ]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts += [
        f'<polyline points="{joined}" fill="none" stroke="{_COLOUR}" stroke-width="2"/>',
        _text(_WIDTH / 2, _LINE_HEIGHT - 8, x_name, "middle"),
    ]
    return _svg(title, _LINE_HEIGHT, parts)


def _x(value: int, first: int, last: int) -> float:
    share = math.log(value / first) / math.log(last / first) if last > first else 0.5
    return _LEFT + 20 + (_WIDTH - _LEFT - _RIGHT - 40) * share


def _y(share: float) -> float:
    return _LINE_HEIGHT - _BOTTOM - (_LINE_HEIGHT - _TOP - _BOTTOM - 14) * share


def _grid(top: float) -> list[str]:
    parts = []
    for quarter in range(5):
        y = _y(quarter / 4)
        parts += [
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#ddd"/>',
            _text(_LEFT - 8, y + 4, _short(top * quarter / 4), "end"),
        ]
    return parts


def _round_up(value: float) -> float:
    """The next number of two digits and noughts, so that the axis has plain labels."""
    step = 10.0 ** (len(str(int(value))) - 1)
    return max(step * (value // step + 1), 1.0)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="16" y="26" font-size="15" font-weight="bold">{escape(title)}</text>',
            *parts,
            "</svg>\n",
        )
    )
