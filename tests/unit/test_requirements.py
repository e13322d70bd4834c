"""What is imported is installed: by requirements.txt for every command, by the extras that a word asks for for its own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = """
import sys
before = {*sys.modules}  # what the environment loads by itself
import promise_pub.cli, promise_pub.__main__
print(*{name.partition(".")[0] for name in {*sys.modules} - before})
"""
# Scripts, and what their words run. benchmarks starts the tests' consumer as a program.
RUN_BY = {
    "scripts/run": ["promise_pub/**/*.py"],
    "scripts/bench": ["benchmarks/**/*.py", "tests/field_consumer.py"],
    "scripts/doc": ["scripts/pictures.py"],
    "scripts/test": ["tests/**/*.py", "scripts/*.py"],
}

OPTIONAL = {"bokeh"}
"""Imported by promise_pub/features/usage/bokeh_item.py alone, which is not started where it is missing."""


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


@pytest.mark.parametrize("script", RUN_BY)
def test_what_a_word_imports_is_in_the_extras_that_its_script_asks_for(script: str) -> None:
    asked = re.search(r"scripts/venv (.+)", (ROOT / script).read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    promised = [requirement(line) for line in lines if line and not line.startswith("#")]
    assert asked
    for extra in asked[1].split():
        promised += [requirement(line) for line in project["optional-dependencies"][extra]]
    distributions = metadata.packages_distributions()
    needed = {
        normal(distribution)
        for module in imported(*RUN_BY[script])
        for distribution in distributions.get(module, [module])
    }
    assert "aiohttp" in needed, "what is imported is seen at all"
    assert needed <= closure(promised)


def imported(*patterns: str) -> set[str]:
    """The modules of others that these files import, and all of ours that they import."""
    seen: set[Path] = set()
    found: set[str] = set()
    files = [file for pattern in patterns for file in ROOT.glob(pattern)]
    while files:
        file = files.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in names_imported(file):
            place = ROOT / name.replace(".", "/")
            ours = [one for one in (place.with_suffix(".py"), place / "__init__.py") if one.exists()]
            files += ours
            if not ours:
                found.add(name.partition(".")[0])
    return found - {*sys.stdlib_module_names, *OPTIONAL, "promise_pub", "tests", "benchmarks"}


def names_imported(file: Path) -> Iterator[str]:
    """Whole names; `from a import b` is a, and a.b, which may be a module."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
