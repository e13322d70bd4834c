"""Each word of the Makefile works alone: in a fresh clone of what is committed, with only what that word installs.

Words that ask for the same extras share a clone. Python's packages come from a folder of files, which is filled once by
pip and its cache with what requirements.lock names; Debian's are not installed here: a word that lacks one skips its test, with what it says.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from promise_pub.local.postgres_home import PLACES_VARIABLE
from tests.services import MARK, RunningCommand, missing

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
PATIENCE = 600.0  # seconds for a word to install what it needs and to begin; the machine may be busy
LACKING = re.compile(r"^Missing, and .*\n.*", re.MULTILINE)
NO_ROOT = "#!/bin/sh\nexit 1\n"

pytestmark = pytest.mark.timeout(0)  # each word has a patience of its own


class Clone:
    """A clone in which words are run, by a user who has nothing but it."""

    def __init__(self, folder: Path, wheels: Path, places: Path) -> None:
        self.folder = folder / "promise-pub"
        subprocess.run(["git", "clone", "--quiet", ROOT, self.folder], check=True)
        programs = folder / "programs"
        programs.mkdir()
        for name in ("apt-get", "sudo"):
            (programs / name).write_text(NO_ROOT)
            (programs / name).chmod(0o755)
        self._environment = {
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PYTHON": getattr(sys, "_base_executable", sys.executable),
            "PYTHONUNBUFFERED": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_NO_COMPILE": "1",
            PLACES_VARIABLE: str(places),
        }
        self._commands: list[RunningCommand] = []

    async def start(self, *arguments: str) -> RunningCommand:
        mark = uuid.uuid4().hex
        process = await asyncio.create_subprocess_exec(
            *("make", *arguments),
            cwd=self.folder,
            env={**self._environment, MARK: mark},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._commands.append(RunningCommand(process, mark))
        return self._commands[-1]

    async def run(self, *arguments: str) -> str:
        """What a word prints that ends by itself."""
        command = await self.start(*arguments)
        code = await command.finish(PATIENCE)
        skip_without_packages(command)
        assert code == 0, command.output
        return command.output

    async def interrupt(self, *arguments: str, once: Callable[[RunningCommand], Awaitable[object]]) -> None:
        """Starts a word, and presses Ctrl-C once something of it is seen."""
        command = await self.start(*arguments)
        try:
            await once(command)
        except AssertionError:
            skip_without_packages(command)
            raise
        os.killpg(command.pid, signal.SIGINT)
        await command.finish(PATIENCE)

    async def clean_up(self) -> None:
        for command in self._commands:
            await command.clean_up()


def skip_without_packages(command: RunningCommand) -> None:
    """Skips where a package of the system is missing; fails in CI. What is optional was left out instead."""
    lacking = LACKING.search(command.output)
    if lacking and "Then run the same again." in command.output:
        missing(lacking[0])


@pytest.fixture(scope="session")
def wheels() -> Path:
    """Everything that any word may ask pip for. Made once for what requirements.lock names, also for later tests."""
    mark = hashlib.sha256(sys.version.encode() + LOCK.read_bytes()).hexdigest()[:16]
    folder = Path(sys.prefix) / f"wheels-{mark}"
    with (Path(sys.prefix) / "pyvenv.cfg").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests in other processes wait for it
        if not folder.exists():
            for old in Path(sys.prefix).glob("wheels-*"):
                shutil.rmtree(old)
            download(folder)
    return folder


def download(folder: Path) -> None:
    filling = folder.with_name(f"{folder.name}.filling")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(filling), "--require-hashes", "--requirement", str(LOCK)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        missing(f"pip cannot get the packages that words install: {done.stderr[-2000:]}")
    filling.rename(folder)


@pytest.fixture
async def clone(tmp_path: Path, wheels: Path) -> AsyncIterator[Clone]:
    if not (ROOT / ".git").exists() or not shutil.which("make"):
        missing("git's folder or make is missing: there is nothing to clone, or nobody to run a word")
    made = Clone(tmp_path, wheels, Path(os.environ[PLACES_VARIABLE]))
    yield made
    await made.clean_up()
    shutil.rmtree(tmp_path, ignore_errors=True)  # some hundred megabytes, in memory perhaps


async def test_run_alone_serves_with_all_it_needs(clone: Clone) -> None:
    async def served(command: RunningCommand) -> None:
        await command.wait_for(r"^promise-pub \S+ on http://127\.0\.0\.1:\d+$", PATIENCE)

    await clone.interrupt("run", "PORT=0", once=served)
    assert not (clone.folder / ".local" / "local.ini").exists(), "it was stopped in an orderly way"


async def test_test_reliability_soak_and_doc_alone_find_what_they_import(clone: Clone) -> None:
    assert "passed" in await clone.run("test", "ARGS=-n 0 -q tests/unit/test_retries.py")
    assert " tests collected" in await clone.run("test", "ARGS=-n 0 -q --collect-only tests/browser tests/integration")
    for word in ("reliability", "soak"):
        assert "tests/faults/test_kills.py" in await clone.run(word, "ARGS=-q --collect-only")
    first = clone.folder / "docs" / "pictures" / "form.png"
    before = first.stat().st_mtime_ns

    async def taken(command: RunningCommand) -> None:
        async with asyncio.timeout(PATIENCE):
            while first.stat().st_mtime_ns == before:
                assert command.returncode is None, command.output
                await asyncio.sleep(0.1)

    await clone.interrupt("doc", once=taken)


async def test_check_alone_finds_nothing(clone: Clone) -> None:
    output = await clone.run("check")
    assert re.findall(r"^== (\S+)", output, re.MULTILINE) == ["ruff", "ruff", "mypy", "lint-imports"]


async def test_lock_alone_has_what_it_needs(clone: Clone) -> None:
    assert "--upgrade" in await clone.run("lock", "ARGS=--help")
    page = (clone.folder / "docs" / "licences.md").read_text()
    assert page == (ROOT / "docs" / "licences.md").read_text(), "what it makes of what is installed is the same again"


async def test_a_word_refuses_a_file_whose_hash_is_not_in_the_lock(clone: Clone) -> None:
    lock = clone.folder / LOCK.name
    lock.write_text(re.sub(r"(?<=^mdurl==0).*\n(?: +--hash.*\n)+", spoil_hashes, lock.read_text(), flags=re.MULTILINE))
    command = await clone.start("check")
    assert await command.finish(PATIENCE) != 0
    assert "DO NOT MATCH THE HASHES" in command.output and "mdurl" in command.output
    assert not (clone.folder / ".venv" / "stamp").exists()


def spoil_hashes(entry: re.Match[str]) -> str:
    return re.sub(r"[0-9a-f]{64}", "0" * 64, entry[0])


async def test_bench_and_bench_quick_alone_measure(clone: Clone) -> None:
    assert "publish, window, saved" in await clone.run("bench", "ARGS=--help")
    assert "done in " in await clone.run("bench-quick", "ARGS=--only rate --rows 1000")


def test_every_word_is_run_here() -> None:
    """Each by `run`, `interrupt` or a loop over words."""
    words = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = Path(__file__).read_text(encoding="utf-8")
    assert words and [word for word in words[1].split() if f'"{word}"' not in text] == []
