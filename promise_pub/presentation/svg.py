"""Elements of SVG, and the look of drawings that are files of their own. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from markupsafe import Markup, escape

XMLNS = "http://www.w3.org/2000/svg"

# The colours of a file, light and dark. They replace the rules' variables, which not every viewer knows.
COLOURS = {
    "panel": ("#fff", "#1a2022"),
    "ink": ("#1b211f", "#e6ebe9"),
    "soft": ("#56605c", "#a3b1ac"),
    "line": ("#dde2df", "#2e3739"),
    "edge": ("#7d8884", "#77857f"),
    "accent": ("#14603d", "#6fd0a0"),
    "tint": ("#eef5f1", "#1c2b25"),
    "line-1": ("#14603d", "#6fd0a0"),
    "line-2": ("#1c5fb0", "#7db7ff"),
    "line-3": ("#a4500a", "#f2a65e"),
    "line-4": ("#7a3aa8", "#c9a0f5"),
    "line-5": ("#a81f5c", "#ff93bd"),
    "line-6": ("#4f5a5f", "#b7c3c7"),
    "line-7": ("#5d6a00", "#d3de6a"),
    "line-8": ("#00697a", "#62d2e3"),
}


def tag(name: str, content: Iterable[str] = (), **attributes: object) -> Markup:
    """Returns an element. In names of attributes a trailing underscore is dropped, and others become hyphens."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{written}>{''.join(map(escape, content))}</{name}>")


def number(value: float) -> str:
    """Returns a coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def rules_of_file(rules: str) -> Markup:
    """Returns what a <style> of a file holds: these rules with fixed colours, dark where the viewer's system is."""
    light, dark = (re.sub(r"var\(--([\w-]+)\)", partial(_colour, scheme), rules) for scheme in (0, 1))
    return Markup(f"\n{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n")


def _colour(scheme: int, variable: re.Match[str]) -> str:
    return COLOURS[variable[1]][scheme]
