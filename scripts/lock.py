"""Writes requirements.lock: every package that a word installs, with its version and the hashes of all its files.

`make lock` runs it. Versions that still fit stay; `make lock ARGS=--upgrade` takes the newest that requirements.txt and
pyproject.toml allow. uv finds versions that agree for everything at once, on every supported Python and processor. Each
section then names what its own requirements need; all but the runtime's leave out what the runtime has.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
RUNTIME = "runtime"
BUILD = "build"
HEADER = """\
# Every package with the hashes of its files, made by `make lock`. scripts/venv installs the sections that it is asked for.
# All of them: pip install --require-hashes -r requirements.lock
"""


def required() -> dict[str, list[str]]:
    """Returns what each section is made of: requirements.txt, every extra, and what builds the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {
        RUNTIME: [line for line in lines if line and not line.startswith("#")],
        **project["project"]["optional-dependencies"],
        # hatchling asks for editables when something is installed to be edited.
        BUILD: [*project["build-system"]["requires"], "editables"],
    }


def read_sections(text: str) -> dict[str, list[str]]:
    """Returns the entries of each section of a lock."""
    parts = re.split(r"^# \[(\w+)\]$", text, flags=re.MULTILINE)
    return {name: read_entries(entries) for name, entries in zip(parts[1::2], parts[2::2], strict=True)}


def read_entries(text: str) -> list[str]:
    """Returns each package's version with its hashes. One package may have two, each for some Pythons."""
    return re.findall(r"^[a-z0-9-]+==(?:.*\\\n)*.*$", text, re.MULTILINE)


def resolve(requirements: Sequence[str], pinned: str = "", options: Sequence[str] = ()) -> list[str]:
    """Returns an entry for each package that the requirements need, at the versions of `pinned` where it names them."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.txt"
        found.write_text(pinned, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--python-version",
            "3.11",
            "--generate-hashes",
        ]
        command += ["--no-header", "--no-annotate", "--output-file", str(found), *options, "-"]
        subprocess.run(command, cwd=ROOT, input="\n".join(requirements), text=True, check=True)
        return read_entries(found.read_text(encoding="utf-8"))


def make_lock(before: str, options: Sequence[str]) -> str:
    sections = required()
    pinned = "\n".join(resolve([line for lines in sections.values() for line in lines], before, options))
    text, runtime = HEADER, list[str]()
    for section, lines in sections.items():
        entries = [entry for entry in resolve(lines, pinned) if entry not in runtime]
        text += "\n".join(["", f"# [{section}]", *entries, ""])
        if section == RUNTIME:
            runtime = entries
    return text


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Writes requirements.lock, keeping the versions that still fit.")
    arguments.add_argument("--upgrade", action="store_true", help="take the newest versions that are allowed")
    options = ["--upgrade"] if arguments.parse_args().upgrade else []
    LOCK.write_text(make_lock(LOCK.read_text(encoding="utf-8"), options), encoding="utf-8")
