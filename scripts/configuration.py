"""Writes docs/configuration.md: its own text, with tables made of production.ini. `make doc` runs it.

production.ini is held against the options that the package knows by tests/unit/settings/test_model.py, so the page has
every option, its default, and the comment above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "production.ini"
PAGE = ROOT / "docs" / "configuration.md"
FIRST, LAST = "<!-- made of production.ini by make doc -->\n", "<!-- up to here -->\n"


@dataclass
class Group:
    """Options that share a comment, each with its default; None where it is mandatory."""

    comment: str = ""
    options: list[tuple[str, str | None]] = field(default_factory=list)


def groups(text: str) -> dict[str, list[Group]]:
    """The options of each section, in the order of the file."""
    sections: dict[str, list[Group]] = {}
    group = Group()
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            sections[heading[1]] = []
            group = Group()
        elif option := re.fullmatch(r"(;?)(\w+) =(?: (.*))?", line):
            if not group.options:
                sections[[*sections][-1]].append(group)
            group.options.append((option[2], (option[3] or "") if option[1] else None))
        elif line.startswith("; "):
            if group.options:
                group = Group()
            group.comment = f"{group.comment} {line[2:]}".strip()
    return sections


def tables(sections: dict[str, list[Group]]) -> Iterator[str]:
    for section, rows in sections.items():
        yield f"\n## [{section}]\n\n| option | default | meaning |\n|---|---|---|\n"
        for group in rows:
            names = "<br>".join(f"`{name}`" for name, _ in group.options)
            defaults = "<br>".join(shown(default) for _, default in group.options)
            yield f"| {names} | {defaults} | {group.comment.replace('|', chr(92) + '|')} |\n"
    yield "\n"


def shown(default: str | None) -> str:
    if default is None:
        return "**mandatory**"
    return f"`{default}`" if default else "none"


def page(before: str) -> str:
    """The page with its tables made anew; the text around them stays."""
    start, end = before.index(FIRST) + len(FIRST), before.index(LAST)
    return before[:start] + "".join(tables(groups(SOURCE.read_text(encoding="utf-8")))) + before[end:]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
