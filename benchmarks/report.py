"""The page of results: what machine, what was measured, and how that compares with the goals."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil

from benchmarks.figures import Section, Table
from benchmarks.services import ROOT

PAGE = "benchmarks.md"
_HEAD = (
    "Made by `make bench`: every peer in turn on the same rows and the same machine, in rotation. Figures are medians "
    "of the rounds; the spread is how far a round was from its median at most. Ratios of one run are worth more than "
    "its figures."
)
_LIBRARIES = ("aiohttp", "aiormq", "aio-pika", "pika", "asyncpg")


def markdown(sections: Sequence[Section], facts: Mapping[str, str], skipped: Iterable[str]) -> str:
    """The whole page, its charts named beside it."""
    parts = [
        "# Benchmarks",
        _HEAD,
        *skipped,
        *(_section(section) for section in sections),
        "## The goals",
        _goals(sections).markdown(),
        "## The machine",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    charts = [f"![{section.title}]({name})" for name in section.charts]
    return "\n\n".join((f"## {section.title}", section.text, section.table.markdown(), *charts))


def _goals(sections: Iterable[Section]) -> Table:
    rows = [
        (target.figure, target.wanted, target.measured, "yes" if target.reached else "**no**")
        for section in sections
        for target in section.targets
    ]
    return Table(("figure", "target", "measured", "reached"), rows)


def write(folder: Path, page: str, sections: Iterable[Section]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(page, encoding="utf-8")
    for section in sections:
        for name, chart in section.charts.items():
            (folder / name).write_text(chart, encoding="utf-8")


def machine(versions: Mapping[str, str], rounds: int) -> dict[str, str]:
    """What the figures depend on."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "rounds": str(rounds),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "system": f"{_distribution()}, Linux {platform.release()}",
        "Python": platform.python_version(),
        **versions,
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return "unknown distribution"


def _commit() -> str:
    """The commit that was measured, and whether the package differed from it."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "promise_pub", "benchmarks", "main.py")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{commit} with changes" if changed else commit


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True
    ).stdout.strip()
