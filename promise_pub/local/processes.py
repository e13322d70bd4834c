"""Processes that an earlier start left behind: found again by a record, and stopped.

A part of the stack cannot outlive it, for three reasons, because each has a hole. The server that started it stops it. The
kernel signals it when that server is killed (`parts.die_with_parent`). The next start finds it by its record in the state
folder, and because it works in that folder.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from promise_pub.errors import PartFailed
from promise_pub.files import write_private

log = logging.getLogger(__name__)

STOP_GRACE = 10.0  # seconds between asking a process to stop and killing it
KILL_GRACE = 5.0  # seconds the kernel is given to carry out a kill
POLL = 0.05  # seconds between two looks at what nothing announces

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that was started. Its start, in kernel ticks, and the boot tell it from a later one with the same id."""

    name: str
    pid: int
    started: int
    boot: str
    stop_signal: int

    @classmethod
    def of(cls, name: str, pid: int, stop_signal: int) -> ProcessRecord | None:
        """Returns the record of a running process, None when it has ended."""
        started = started_at(pid)
        return None if started is None else cls(name, pid, started, _read_boot_id(), stop_signal)

    def is_running(self) -> bool:
        return self.boot == _read_boot_id() and started_at(self.pid) == self.started

    async def stop(self) -> None:
        """Stops a process that is not our child. Raises PartFailed when it does not end."""

        async def ended() -> None:
            while self.is_running():  # noqa: ASYNC110  not our child
                await asyncio.sleep(POLL)

        await end_process(f"A {self.name} left by an earlier start", self.pid, self.stop_signal, ended)


def _read_boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def started_at(pid: int) -> int | None:
    """Returns the start of a process in kernel ticks since boot, None when there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(rest[18])


def works_in(pid: int, *folders: Path) -> bool:
    """Returns True if one of these very folders, wherever it was moved, is the process's working directory."""
    with suppress(OSError):  # it has ended meanwhile, or is another user's
        working = Path(f"/proc/{pid}/cwd").stat()
        return any(folder.exists() and os.path.samestat(working, folder.stat()) for folder in folders)
    return False


def find_working_in(folder: Path) -> list[int]:
    """Returns the ids of all processes that have this folder as their working directory."""
    pids = (int(process.name) for process in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if works_in(pid, folder)]


async def end_process(
    name: str, pid: int, stop_signal: int, ended: Callable[[], Awaitable[object]], grace: float = STOP_GRACE
) -> None:
    """Asks a process to stop, and kills its group unless it has `ended` in `grace` seconds. Raises PartFailed.

    Every part leads a process group of its own, so that its children are killed as well.
    """
    for send, number, patience in ((os.kill, stop_signal, grace), (os.killpg, signal.SIGKILL, KILL_GRACE)):
        with suppress(ProcessLookupError):
            send(pid, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(ended(), patience)
            return
    raise PartFailed(f"{name} does not stop: process {pid}.")


class ProcessRecords:
    """The processes running now, in a file for the next start.

    The file may be a copy of another folder's, and name processes of that one. So a process is only taken for ours if
    it works in the folder of this very file, or directly below it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: list[ProcessRecord] = []

    def add(self, name: str, pid: int, stop_signal: int) -> None:
        if record := ProcessRecord.of(name, pid, stop_signal):
            self._records.append(record)
            self._write()

    def remove(self, pid: int) -> None:
        """Removes a process that has ended. If the file cannot be written, it names a process that no longer runs."""
        self._records = [record for record in self._records if record.pid != pid]
        try:
            self._write()
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)

    def _write(self) -> None:
        write_private(self._path, json.dumps([asdict(record) for record in self._records]))

    async def stop_leftovers(self) -> list[str]:
        """Stops the processes that an earlier server left running, and returns their names."""
        try:
            known = [ProcessRecord(**record) for record in json.loads(self._path.read_text(encoding="utf-8"))]
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            known = []  # never written, or damaged
        ours = [self._path.parent, *(path for path in self._path.parent.iterdir() if path.is_dir())]
        left = [record for record in known if record.is_running() and works_in(record.pid, *ours)]
        await asyncio.gather(*(record.stop() for record in left))
        self._write()
        return [record.name for record in left]
