"""requirements.txt alone is enough to start every command: the extras are for what is only there when asked for."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOADED = """
import sys
before = {*sys.modules}  # what the environment loads by itself
import promise_pub.cli, promise_pub.__main__
print(*{name.partition(".")[0] for name in {*sys.modules} - before})
"""


def closure(names: list[str]) -> set[str]:
    """These distributions and whatever they require, their names as the metadata compares them."""
    found: set[str] = set()
    while names:
        name = normal(names.pop())
        if name in found:
            continue
        found.add(name)
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another Python or system
            continue
        names += [requirement(line) for line in needed if "extra ==" not in line]
    return found


def requirement(line: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", line)
    assert match, line
    return match[0]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_command_starts_with_what_requirements_names() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    promised = closure([requirement(line) for line in lines if line and not line.startswith("#")])
    distributions = metadata.packages_distributions()
    needed = {
        normal(distribution)
        for module in loaded
        for distribution in distributions.get(module, ())
        if normal(distribution) != "promise-pub"
    }
    assert "aiohttp" in needed, "what was loaded is seen at all"
    assert needed <= promised
