"""A state folder finds its data wherever it goes, and never takes, deletes or fights over another's: a table of cases."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from promise_pub.errors import LocalStackError
from promise_pub.local.postgres_home import PLACES_VARIABLE, remove_socket_folder
from promise_pub.local.state_folder import recognise
from tests.integration import interrupted_starts
from tests.integration.interrupted_starts import find_home, store_data

ROOT = os.geteuid() == 0
NOBODY = 65534

only_root = pytest.mark.skipif(not ROOT, reason="only root can become another user")

# Row counts before and after. The steps are described in moved_folders.py.
EVERYBODY = {
    "started again": ["one gets a row", "one has 1", "told nothing"],
    "moved": ["one gets a row", "one moves to two", "two has 1", "told nothing"],
    "moved twice, started once": [
        "one gets a row",
        "one moves to two",
        "two moves to three",
        "three has 1",
    ],
    "moved there and back": [
        "one gets a row",
        "one moves to two",
        "two has 1",
        "two moves to one",
        "one has 1",
        "told nothing",
    ],
    "moved while it runs": [
        "one runs",
        "one moves to two",
        "two is refused: another serve --local is running there",
        "one stops",
        "two has 0",
    ],
    "another project starts in between": [
        "one gets a row",
        "one moves to two",
        "three has 0",
        "two has 1",
        "three has 0",
    ],
    "another project moves in where it was": [
        "one gets a row",
        "one moves to two",
        "one gets a row",
        "one gets a row",
        "two has 1",
        "one has 2",
    ],
    "copied after it stopped": [
        "one gets a row",
        "one is copied to two",
        "two gets a row",
        "one has 1",
        "told nothing",
        "two has 2",
        "told nothing",
    ],
    "copied, the copy deleted": [
        "one gets a row",
        "one is copied to two",
        "two gets a row",
        "two is deleted",
        "one has 1",
    ],
    "copied, the original deleted": [
        "one gets a row",
        "one is copied to two",
        "two gets a row",
        "one is deleted",
        "two has 2",
    ],
    "copied, the original deleted before the copy starts": [
        "one gets a row",
        "one is copied to two",
        "one is deleted",
        "two has 1",
        "two has 1",
    ],
    "a copy of a copy": [
        "one gets a row",
        "one is copied to two",
        "two gets a row",
        "two is copied to three",
        "three gets a row",
        "one has 1",
        "two has 2",
        "three has 3",
    ],
    "copied while it runs": [
        "one gets a row",
        "one runs",
        "one is copied to two",
        "two runs with 0",
        "told: is a copy of",
        "one still works",
        "two stops",
        "one stops",
        "one has 1",
        "two has 0",
        "told nothing",
    ],
    "copied while it runs, the copy started after it stopped": [
        "one gets a row",
        "one runs",
        "one is copied to two",
        "one stops",
        "two has 1",
        "told: is a copy of",
        "one has 1",
    ],
    "copied while it runs, the copy killed, then both started": [
        "one gets a row",
        "one runs",
        "one is copied to two",
        "two runs with 0",
        "two is killed",
        "one still works",
        "two has 0",
        "one stops",
        "one has 1",
    ],
    "copied after it was killed": [
        "one gets a row",
        "one runs",
        "one is killed",
        "one is copied to two",
        "two has 1",
        "one has 1",
    ],
    "killed, moved": [
        "one gets a row",
        "one runs",
        "one is killed",
        "one moves to two",
        "two has 1",
        "told nothing",
    ],
    "restored from a backup to where it was": [
        "one gets a row",
        "one is copied to backup",
        "one gets a row",
        "one is deleted",
        "backup is copied to one",
        "one gets a row",
    ],
    "the folder of a project that was deleted is cloned again": [
        "one gets a row",
        "one is deleted",
        "one has 0",
        "one gets a row",
        "one has 1",
    ],
    "the original was moved, and a copy left in its place": [
        "one gets a row",
        "one moves to two",
        "two is copied to one",
        "one has 1",
        "two has 1",
        "one has 1",
    ],
    "an older version's, started": [
        "one gets a row",
        "one is of an older version",
        "one has 1",
        "told nothing",
    ],
    "an older version's, moved": [
        "one gets a row",
        "one is of an older version",
        "one moves to two",
        "two has 1",
    ],
    "an older version's, copied": [
        "one gets a row",
        "one is of an older version",
        "one is copied to two",
        "two gets a row",
        "one has 1",
        "two has 2",
    ],
}

AS_ROOT = {
    "deleted and cloned again, told": [
        "one gets a row",
        "one is deleted",
        "one has 0",
        "told: one/.local, which does not point to it",
    ],
    "brought back from a backup, its data as they are now": [
        "one gets a row",
        "one is copied to backup",
        "one gets a row",
        "one is deleted",
        "backup moves to one",
        "one has 2",
    ],
    "its place is away": [
        "one gets a row",
        "one's place goes",
        "one is refused: Bring it back, or name the folder that it is in",
        "one's place comes back",
        "one has 1",
    ],
    "many deleted, told shortly": [
        *(step for number in range(7) for step in (f"f{number} gets a row", f"f{number} is deleted")),
        "one has 0",
        "told: f0/.local, which does not point to it",
        "told: 2 more such databases are in",
    ],
    "its pointer is deleted": [
        "one gets a row",
        "one loses postgresql.place",
        "one has 0",
        "told: one/.local, which does not point to it",
    ],
    "its identity is deleted": ["one gets a row", "one loses identity.json", "one has 1"],
    "another user's": [
        "one gets a row",
        f"one belongs to {NOBODY}",
        "one is refused: belongs to the user",
    ],
    "a copy is started while the original is elsewhere, and has nothing of it": [
        "one gets a row",
        "one moves to away",
        "away is copied to two",
        "two gets a row",
        "told: is a copy of",
        "away has 1",
        "told nothing",
        "two has 2",
    ],
    "a copy in the place of the original has nothing of it": [
        "one gets a row",
        "one moves to two",
        "two is copied to one",
        "one gets a row",
        "told: is a copy of",
        "two has 1",
        "told nothing",
        "one has 2",
    ],
    "a lock file that was replaced is no lock": [
        "one runs",
        "one loses lock",
        "one is refused: another serve --local is running there",
        "one still works",
    ],
}

AS_NOBODY = {
    "a lock file that was replaced is no lock": [
        "one runs",
        "one loses lock",
        "one is refused: another serve --local is running there",
        "one still works",
    ],
    "copied while it ran, the original deleted": [
        "one gets a row",
        "one runs",
        "one is copied to two",
        "one stops",
        "one is deleted",
        "two is refused: A copy of a running database may be damaged",
        "two loses postgresql/data/postmaster.pid",
        "two has 1",
    ],
}


@pytest.fixture
def folder(services_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that an ordinary user can reach as well, with places of its own for root's data."""
    path = Path(tempfile.mkdtemp(dir=services_folder.parent))
    path.chmod(0o755)
    places = path / "places"
    places.mkdir()
    places.chmod(0o711)
    for programs in Path(os.environ[PLACES_VARIABLE]).glob("postgresql-*"):
        (places / programs.name).symlink_to(programs)  # a copy of them is enough
    monkeypatch.setenv(PLACES_VARIABLE, str(places))
    yield path
    shutil.rmtree(path)


async def _run(module: str, *arguments: str) -> str:
    """Returns the output of the module, which must succeed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", f"tests.integration.{module}", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, log = await asyncio.wait_for(process.communicate(), 300)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, (output + log).decode(errors="replace")
    return output.decode()


async def _tell(folder: Path, steps: list[str], *options: str) -> None:
    output = await _run("moved_folders", str(folder), *options, *steps)
    assert output.splitlines() == [f"ok: {step}" for step in steps]


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("steps", EVERYBODY.values(), ids=EVERYBODY)
async def test_a_folder_finds_its_data_and_leaves_others_alone(folder: Path, steps: list[str]) -> None:
    await _tell(folder, steps)


@only_root
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("steps", AS_ROOT.values(), ids=AS_ROOT)
async def test_data_away_from_the_folder_are_found_or_missed_in_words(folder: Path, steps: list[str]) -> None:
    await _tell(folder, steps)


@only_root
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("steps", [*EVERYBODY.values(), *AS_NOBODY.values()], ids=[*EVERYBODY, *AS_NOBODY])
async def test_it_is_the_same_for_an_ordinary_user(folder: Path, steps: list[str]) -> None:
    await _tell(folder, steps, "--as", str(NOBODY))


@only_root
@pytest.mark.parametrize("how", ["kill", "full"])
@pytest.mark.parametrize("case", interrupted_starts.CASES)
async def test_a_start_that_is_interrupted_at_any_step_loses_no_data(folder: Path, how: str, case: str) -> None:
    output = await _run("interrupted_starts", str(folder), how, case)
    interrupted = re.fullmatch(r"interrupted at (\d+) steps\n", output)
    assert interrupted and int(interrupted[1]) > 0


GARBAGE = {
    "nothing": b"",
    "no text": b"\xff\xfe\x00",
    "no object": b"[1]",
    "no identity": b'{"id": 1, "path": null}',
    "a source that is none": b'{"id": "a", "path": "/b", "copied_from": "c"}',
    "half a source": b'{"id": "a", "path": "/b", "copied_from": {"id": "c"}}',
    "too deep": b"[" * 100_000,
}


@only_root
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("file", ["identity.json", "owner", "another's owner", "socket-folder", "postgresql.place"])
def test_garbage_in_what_a_start_reads_costs_no_data(folder: Path, file: str, garbage: bytes) -> None:
    """A pointer that cannot be read is refused in words; all else is done without."""
    state, other = folder / "one" / ".local", folder / "other"
    store_data(folder)
    store_data(other)
    place = find_home(state).folder
    files = {"owner": place / "owner", "another's owner": find_home(other / "one" / ".local").folder / "owner"}
    files.get(file, state / file).write_bytes(garbage)
    if file == "postgresql.place":
        with pytest.raises(LocalStackError, match="does not name a database"):
            find_home(state)
        (state / file).write_text(place.name)
    home = find_home(state)
    remove_socket_folder(recognise(state))
    assert (home.data / "rows").read_text() == "of one"
    assert (place / "data" / "rows").read_text() == "of one"
