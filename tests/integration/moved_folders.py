"""What happens to state folders, step by step, with a real PostgreSQL, each server in a process of its own.

    python -m tests.integration.moved_folders FOLDER [--as UID] STEP ...

Steps, where `one` and `two` are state folders below FOLDER:

    one gets a row      it is started, a row is inserted, it is stopped
    one has 1           it is started, holds so many rows, and is stopped
    one runs            it is started, and stays so; as `one runs with 1`, holding so many rows
    one stops           in an orderly way
    one is killed       kill -9
    one still works     the server that runs answers, and was not started again
    one is refused: …   it does not start, and says so in these words
    told: …             the last start told this
    one moves to two    by renaming
    one is copied to two, one is deleted, one belongs to UID
    one loses …         a file in it is deleted
    one is of an older version    what older versions did not write is taken away
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures.thread  # noqa: F401  as the next: loaded when first used, which _become forbids
import encodings.ascii  # noqa: F401
import json
import os
import re
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from promise_pub.errors import LocalStackError
from promise_pub.local import LocalStack, postgres_data
from promise_pub.local.postgres import Postgres
from tests.integration import stacks

INSERT = "INSERT INTO employees (name, mail) VALUES ('a', gen_random_uuid()::text) RETURNING id"


class Server:
    """A local stack in another process."""

    def __init__(self, state: Path, *, row: bool = False) -> None:
        told, tell = os.pipe()
        wait, self._go_on = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go_on)
            os._exit(_serve(state, row, tell, wait))
        os.close(tell)
        os.close(wait)
        with os.fdopen(told) as answer:
            text = answer.readline()
        assert text, f"{state} said nothing"
        self.told: dict[str, Any] = json.loads(text)

    def stop(self) -> None:
        os.close(self._go_on)
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, f"it ended with {status}"

    def kill(self) -> None:
        """Returns once its PostgreSQL, which the kernel tells of it, has gone as well."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self.told["postmaster"]).wait(60)


def _serve(state: Path, row: bool, tell: int, wait: int) -> int:
    warned: list[str] = []

    def say(**what: Any) -> None:
        os.write(tell, f"{json.dumps({'warned': warned, **what})}\n".encode())

    async def serve() -> None:
        stack = LocalStack(state, stacks.all_but("database"), report=stacks.quiet, warn=warned.append)
        async with stack as settings:
            if row:
                await stacks.fetch(settings.database, INSERT)
            count = await stacks.fetch(settings.database, "SELECT count(*) FROM employees")
            (server,) = (each for each in stack._services if isinstance(each, Postgres))
            say(count=count, postmaster=server.part.process.pid, host=settings.database.host)
            await asyncio.to_thread(os.read, wait, 1)
            assert not server.part.ended, "its PostgreSQL was stopped by somebody else"

    try:
        asyncio.run(serve())
    except LocalStackError as error:
        say(refused=error.message)
    return 0


class Story:
    """Carries out steps, and fails at the first that is not as it says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Server] = {}
        self._told: list[str] = []

    def tell(self, steps: list[str]) -> None:
        try:
            for step in steps:
                for pattern, do in _STEPS.items():
                    if match := re.fullmatch(pattern, step):
                        do(self, *match.groups())
                        break
                else:
                    raise ValueError(f"no step: {step}")
                sys.stdout.write(f"ok: {step}\n")
                sys.stdout.flush()
        finally:
            for server in self._running.values():
                server.kill()

    def _state(self, name: str) -> Path:
        return self._folder / name / ".local"

    def _start(self, name: str, *, row: bool = False) -> Server:
        self._state(name).parent.mkdir(exist_ok=True)
        server = Server(self._state(name), row=row)
        self._told = server.told["warned"]
        return server

    def get_row(self, name: str) -> None:
        server = self._start(name, row=True)
        assert "count" in server.told, server.told
        server.stop()

    def have(self, name: str, count: str) -> None:
        server = self._start(name)
        server.stop()
        assert server.told.get("count") == int(count), server.told

    def run(self, name: str, count: str | None) -> None:
        self._running[name] = server = self._start(name)
        assert "count" in server.told, server.told
        assert count is None or server.told["count"] == int(count), server.told

    def stop(self, name: str) -> None:
        self._running.pop(name).stop()

    def kill(self, name: str) -> None:
        self._running.pop(name).kill()

    def still_work(self, name: str) -> None:
        told = self._running[name].told
        os.kill(told["postmaster"], 0)

    def refuse(self, name: str, words: str) -> None:
        server = self._start(name)
        server.stop()
        assert words in server.told.get("refused", ""), server.told

    def was_told(self, words: str) -> None:
        assert any(words in line for line in self._told), self._told

    def was_told_nothing(self) -> None:
        assert self._told == []

    def move(self, name: str, to: str) -> None:
        (self._folder / name).rename(self._folder / to)

    def copy(self, name: str, to: str) -> None:
        # As `cp -a` does, in time with a server that works: a file that goes meanwhile is no fault.
        status = os.system(f"cp -a '{self._folder / name}' '{self._folder / to}' 2>/dev/null")
        assert (self._folder / to / ".local").is_dir(), status

    def delete(self, name: str) -> None:
        shutil.rmtree(self._folder / name)

    def belong(self, name: str, uid: str) -> None:
        os.chown(self._state(name), int(uid), -1)

    def lose(self, name: str, file: str) -> None:
        (self._state(name) / file).unlink()

    def place_goes(self, name: str) -> None:
        place = self._place(name)
        place.rename(place.with_name("away"))

    def place_comes_back(self, name: str) -> None:
        place = self._place(name)
        place.with_name("away").rename(place)

    def _place(self, name: str) -> Path:
        pointer = self._state(name) / postgres_data.POINTER
        return Path(os.environ["PROMISE_PUB_LOCAL_PLACES"]) / pointer.read_text()

    def age(self, name: str) -> None:
        """As a version left it that knew no identities: a device's number and a path."""
        state = self._state(name)
        (state / "identity.json").unlink()
        (state / "rabbitmq" / "owner").unlink(missing_ok=True)
        (state / "postgresql" / "owner").unlink(missing_ok=True)
        if (state / postgres_data.POINTER).exists():
            owner = self._place(name) / "owner"
            owner.write_text(f"{state.stat().st_dev}\n{state / postgres_data.POINTER}")


_STEPS: dict[str, Any] = {
    r"(\w+) gets a row": Story.get_row,
    r"(\w+) has (\d+)": Story.have,
    r"(\w+) runs(?: with (\d+))?": Story.run,
    r"(\w+) stops": Story.stop,
    r"(\w+) is killed": Story.kill,
    r"(\w+) still works": Story.still_work,
    r"(\w+) is refused: (.+)": Story.refuse,
    r"told: (.+)": Story.was_told,
    r"told nothing": Story.was_told_nothing,
    r"(\w+) moves to (\w+)": Story.move,
    r"(\w+) is copied to (\w+)": Story.copy,
    r"(\w+) is deleted": Story.delete,
    r"(\w+) belongs to (\d+)": Story.belong,
    r"(\w+) loses (\S+)": Story.lose,
    r"(\w+)'s place goes": Story.place_goes,
    r"(\w+)'s place comes back": Story.place_comes_back,
    r"(\w+) is of an older version": Story.age,
}


def _become(uid: int) -> None:
    """Becomes an ordinary user, who may not enter the interpreter's folders any more: the programs are a copy for all."""
    places = postgres_data.places_folder()
    programs = postgres_data.copy_programs(postgres_data.find_package(), places)
    postgres_data.find_package = lambda: programs.parent.parent  # type: ignore[assignment]
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as", dest="uid", type=int)
    parser.add_argument("steps", nargs="+")
    options = parser.parse_args()
    if options.uid is not None:
        os.chown(options.folder, options.uid, options.uid)
        _become(options.uid)
    os.chdir("/")
    Story(options.folder).tell(options.steps)


if __name__ == "__main__":
    main()
    sys.exit(0)
