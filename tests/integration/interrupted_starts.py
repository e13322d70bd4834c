"""The search for a state folder's data, interrupted at its first step, its second, and so on, until it is not any more.

    python -m tests.integration.interrupted_starts FOLDER kill|full CASE

Steps are what Python tells its audit hooks of: files opened to be written, folders made, renamed, and so on. `kill`: kill -9
there; `full`: the disk is full there. After each, a start that nothing interrupts must find what belongs to it.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from promise_pub.errors import LocalStackError
from promise_pub.local import postgres_data
from promise_pub.local.postgres_home import PLACES_VARIABLE, PostgresHome, places_folder
from promise_pub.local.state_folder import recognise

_STEPS = {
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "os.chown",
    "subprocess.Popen",
}


_FAILED, _WENT_ON = 1, 3
_ENDS = {"kill": (-signal.SIGKILL,), "full": (_FAILED, _WENT_ON)}


class Case(NamedTuple):
    """What there is before the start of `state`, and which data each folder must have in the end."""

    prepare: Callable[[Path], None]
    state: str
    expected: dict[str, str | None]


def find_home(state: Path) -> PostgresHome:
    state.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        return postgres_data.prepare(recognise(state), lambda _: None, held)


def store_data(folder: Path) -> None:
    home = find_home(folder / "one" / ".local")
    (home.make("data") / "rows").write_text("of one")
    (home.folder / "password").write_text("secret of one")


def _moved(folder: Path) -> None:
    store_data(folder)
    (folder / "one").rename(folder / "two")


def _copied(folder: Path) -> None:
    store_data(folder)
    shutil.copytree(folder / "one", folder / "two", symlinks=True)


def _restored(folder: Path) -> None:
    _copied(folder)
    shutil.rmtree(folder / "one")


def _of_an_older_version(folder: Path) -> None:
    store_data(folder)
    state = folder / "one" / ".local"
    (state / "identity.json").unlink()
    place = places_folder() / (state / postgres_data.POINTER).read_text()
    (place / "owner").write_text(f"{state.stat().st_dev}\n{state / postgres_data.POINTER}")
    (folder / "one").rename(folder / "two")


CASES = {
    "new": Case(lambda _: None, "one", {"one": None}),
    "again": Case(store_data, "one", {"one": "of one"}),
    "moved": Case(_moved, "two", {"two": "of one"}),
    "copied": Case(_copied, "two", {"two": "of one", "one": "of one"}),
    "restored": Case(_restored, "two", {"two": "of one"}),
    "older": Case(_of_an_older_version, "two", {"two": "of one"}),
}


def _interrupt_at(step: int, how: str) -> Callable[[], bool]:
    """Interrupts this process at that step. Whether it came to it."""
    seen = 0

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = event == "open" and bool(int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR))
        if not writes and event not in _STEPS:
            return
        seen += 1
        if seen == step:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sys.addaudithook(look)
    return lambda: seen >= step


def _in_child(work: Callable[[], None]) -> int:
    """How a process of its own ends: 0, 1 with a LocalStackError or OSError, killed by a signal, as -9, or as it says."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            work()
        except (LocalStackError, OSError):
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _interrupted(state: Path, step: int, how: str) -> int:
    def work() -> None:
        interrupted = _interrupt_at(step, how)
        find_home(state)
        if interrupted():
            os._exit(_WENT_ON)

    return _in_child(work)


def _check(state: Path, expected: str | None) -> None:
    def work() -> None:
        home = find_home(state)
        rows, password = home.data / "rows", home.folder / "password"
        found = rows.read_text() if rows.exists() else None
        kept = expected is None or password.read_text() == "secret of one"
        if found != expected or not kept:
            sys.stdout.write(f"{state} holds {found!r}, and not {expected!r}\n")
            sys.stdout.flush()
            os._exit(2)

    assert _in_child(work) == 0, state


def _use_own_places(places: Path) -> None:
    """Each try has its own: a start looks at all that are there, and would come to more steps with each of them."""
    programs = next(Path(os.environ[PLACES_VARIABLE]).glob("postgresql-*"), None)
    places.mkdir()
    places.chmod(0o711)
    if programs:
        (places / programs.name).symlink_to(programs)
    os.environ[PLACES_VARIABLE] = str(places)


def main(folder: Path, how: str, case: Case) -> None:
    step, code = 0, _FAILED
    while code != 0:
        step += 1
        here = folder / str(step)
        here.mkdir()
        _use_own_places(here / "places")
        case.prepare(here)
        code = _interrupted(here / case.state / ".local", step, how)
        for name, data in case.expected.items():
            _check(here / name / ".local", data)
        assert code in (0, *_ENDS[how]), code
    sys.stdout.write(f"interrupted at {step - 1} steps\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], CASES[sys.argv[3]])
