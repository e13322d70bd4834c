"""The pages for readers, as tests see them: their links, headings and blocks, and the commands in these."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"", "sh", "console", "ini", "toml", "yaml", "python", "sql"}  # "": what a file holds, or a command prints

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]\n]*(?:\n[^\]\n]+)?\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_COMMENT = re.compile(r"\s{2,}#.*$")


class Block(NamedTuple):
    """A fenced block: the language it is marked with, and its text."""

    language: str
    text: str


class Command(NamedTuple):
    """A command of a page, without the comment behind it; what it prints, where the page shows that."""

    text: str
    output: str | None


def shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in _FENCE.findall(page.read_text(encoding="utf-8"))]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in _HEADING.findall(prose(page))]
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[Command]:
    """The commands of a page, in its order: lines of `sh` blocks, and those after a `$` in `console` blocks."""
    found: list[Command] = []
    for block in blocks(page):
        if block.language == "sh":
            found += [Command(_COMMENT.sub("", line), None) for line in _lines(block.text)]
        elif block.language == "console":
            found += _transcript(block.text)
    return found


def _lines(text: str) -> Iterator[str]:
    """Lines with what continues them; neither blank ones nor comments."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def _transcript(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Command(command, output)


def as_pattern(output: str) -> str:
    """A regular expression for what a page shows of an output: `…` stands for anything, line ends included."""
    return "(?s:" + ".*?".join(map(re.escape, output.strip().split("…"))) + ")"
