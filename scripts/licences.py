"""Writes the tables of docs/licences.md: what is installed to run promise-pub, by the packages' own metadata.

`make lock` runs it, in an environment that has every package of these sections.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
PAGE = ROOT / "docs" / "licences.md"
FIRST, LAST = "<!-- made of requirements.lock by make lock -->\n", "<!-- up to here -->\n"
SECTIONS = {
    "runtime": "The server, the command line and the bundled consumer",
    "local": "Besides these, for `make run` and `serve --local`",
}
MAX_NAME = 60  # characters of a licence's name; some packages have the whole text in its place


def versions(section: str) -> dict[str, list[str]]:
    """Returns the locked versions of each package of a section."""
    text = LOCK.read_text(encoding="utf-8")
    entries = re.search(rf"^# \[{section}\]\n(.*?)^$", text, re.MULTILINE | re.DOTALL)
    assert entries, section
    found = defaultdict[str, list[str]](list)
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", entries[1], re.MULTILINE):
        found[name].append(version)
    return found


def licence(package: str) -> str:
    """Returns the licence that a package names: as an expression, in words, or by its classifiers."""
    told = metadata.metadata(package)
    classified = [one.rpartition(" :: ")[2] for one in told.get_all("Classifier", ()) if one.startswith("License ::")]
    words = told.get("License") or ""
    return told.get("License-Expression") or (words if 0 < len(words) <= MAX_NAME else ", ".join(classified))


def tables() -> Iterator[str]:
    named = set[str]()
    for section, title in SECTIONS.items():
        yield f"\n## {title}\n\n| package | version | licence |\n|---|---|---|\n"
        for package, locked in versions(section).items():
            if package not in named:
                address = f"https://pypi.org/project/{package}/"
                yield f"| [{package}]({address}) | {', '.join(locked)} | {licence(package)} |\n"
        named |= {*versions(section)}
    yield "\n"


def page(before: str) -> str:
    """Returns the page with its tables made anew; the text around them stays."""
    start, end = before.index(FIRST) + len(FIRST), before.index(LAST)
    return before[:start] + "".join(tables()) + before[end:]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
