"""The stack's processes: started so that they cannot outlive us, and found again if they did.

Three nets, because each has a hole. A part is stopped by the server that started it; the kernel signals it when that
server is killed (`setpriv --pdeathsig`, where util-linux has it); and what escapes both is recognised and stopped at the
next start, by its record in the state folder and because it works in that folder.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from promise_pub.errors import PartFailed

log = logging.getLogger(__name__)

STOP_GRACE = 10.0  # seconds between asking a part to stop and killing it
KILL_GRACE = 5.0  # seconds the kernel is given to carry out a kill
_POLL = 0.05  # seconds between two looks at a process that is not our child
_LAST_LINES = 8  # of a part's log, in the error that says why it did not start

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Account:
    """The system user a part runs as, when that is not ours."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Record:
    """A process that was started. Its start, in kernel ticks, and the boot tell it from a later one with the same id."""

    name: str
    pid: int
    started: int
    boot: str
    stop_signal: int

    def running(self) -> bool:
        return self.boot == _boot() and started_at(self.pid) == self.started


def _boot() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def started_at(pid: int) -> int | None:
    """When the process started, in kernel ticks since boot. None when there is none, or only its corpse."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(rest[18])


def works_in(pid: int, *folders: Path) -> bool:
    """Whether one of these very folders, wherever they were moved, is the process's working directory."""
    with suppress(OSError):  # it has ended meanwhile, or is somebody else's
        working = Path(f"/proc/{pid}/cwd").stat()
        return any(folder.exists() and os.path.samestat(working, folder.stat()) for folder in folders)
    return False


class Records:
    """The processes running now, kept in a file so that the next start knows them.

    The file may be a copy of another folder's, which names processes that are not ours. So a process is only taken for
    one of ours if it works in the folder of this very file, or directly below it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: list[Record] = []

    def add(self, name: str, pid: int, stop_signal: int) -> None:
        started = started_at(pid)
        if started is not None:
            self._records.append(Record(name, pid, started, _boot(), stop_signal))
            self._write()

    def remove(self, pid: int) -> None:
        """Forgets a process that has ended. Where that cannot be written, its record names a process that is gone."""
        self._records = [record for record in self._records if record.pid != pid]
        try:
            self._write()
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)

    def _write(self) -> None:
        write_private(self._path, json.dumps([asdict(record) for record in self._records]))

    async def stop_leftovers(self) -> list[str]:
        """Stops what an earlier server left running; the names of those. A process that is not ours is never touched."""
        ours = [self._path.parent, *(path for path in self._path.parent.iterdir() if path.is_dir())]
        left = [record for record in _read(self._path) if record.running() and works_in(record.pid, *ours)]
        await asyncio.gather(*(_stop(record) for record in left))
        self._write()
        return [record.name for record in left]


async def stop_process(name: str, pid: int, stop_signal: int) -> None:
    """Stops a process that is not our child. Raises PartFailed when it does not go."""
    started = started_at(pid)
    if started is not None:
        await _stop(Record(name, pid, started, _boot(), stop_signal))


def _read(path: Path) -> list[Record]:
    try:
        return [Record(**record) for record in json.loads(path.read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return []  # never written, or cut off by the kill that we are here to recover from


async def _stop(record: Record) -> None:
    _signal(record.pid, record.stop_signal)
    if not await _gone(record, STOP_GRACE):
        _signal_group(record.pid, signal.SIGKILL)
        if not await _gone(record, KILL_GRACE):
            raise PartFailed(f"A {record.name} left by an earlier start does not stop: process {record.pid}.")


async def _gone(record: Record, grace: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(grace):
            while True:
                if not record.running():
                    return True
                await asyncio.sleep(_POLL)
    return False


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _signal_group(pid: int, number: int) -> None:
    """Every part leads a process group of its own, so its workers are reached too."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


class Part:
    """One process of the stack. `stop` may be called at any time and any number of times."""

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        log: Path,
        records: Records,
        stop_signal: int,
    ) -> None:
        self.name = name
        self.process = process
        self._log = log
        self._records = records
        self._stop_signal = stop_signal

    @property
    def ended(self) -> bool:
        return self.process.returncode is not None

    def last_words(self) -> str:
        """The end of its log, one line."""
        lines = last_lines(self._log, _LAST_LINES)
        return f"{' | '.join(lines)} (more in {self._log})" if lines else f"It said nothing in {self._log}."

    @property
    def log_of_before(self) -> Path:
        """Where its log is once it is started again."""
        return _before(self._log)

    def end(self) -> str:
        """How it ended, in a few words."""
        code = self.process.returncode
        if code is not None and code < 0:
            return f"{self.name} was killed by signal {-code}"
        return f"{self.name} {'is not ready in time' if code is None else f'ended with exit code {code}'}"

    def failure(self) -> PartFailed:
        return PartFailed(f"{self.end()}: {self.last_words()}")

    async def finish(self, within: float) -> None:
        """Waits for a part that ends by itself. Raises PartFailed unless it ends well, in so many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), within)
        if self.process.returncode != 0:
            raise self.failure()
        self._records.remove(self.process.pid)

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Asks it to stop, and kills it when it has not in `grace` seconds."""
        if not self.ended:
            _signal(self.process.pid, self._stop_signal)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), grace)
        if not self.ended:
            _signal_group(self.process.pid, signal.SIGKILL)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), KILL_GRACE)
        if not self.ended:
            raise PartFailed(f"{self.name} does not stop: process {self.process.pid}.")
        self._records.remove(self.process.pid)


def last_lines(log: Path, count: int) -> list[str]:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-count:]


async def spawn(
    name: str,
    arguments: Sequence[str | Path],
    *,
    log: Path,
    records: Records,
    environment: Mapping[str, str],
    cwd: Path,
    account: Account | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    piped: bool = False,
) -> Part:
    """Starts a part in a session of its own, so that a Ctrl-C at the terminal reaches only us, who then stop it in order.

    Its output goes to `log`; with `piped`, standard output is the caller's to read.
    """
    with open_log(log) as output:
        process = await asyncio.create_subprocess_exec(
            *dying_with_us(arguments, stop_signal),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if piped else output,
            stderr=output,
            env=environment,
            cwd=cwd,
            start_new_session=True,
            **as_account(account),
        )
    part = Part(name, process, log, records, stop_signal)
    try:
        records.add(name, process.pid, stop_signal)
    except BaseException:  # a full disk; nobody would stop what nobody knows
        await part.stop()
        raise
    return part


def dying_with_us(arguments: Sequence[str | Path], stop_signal: signal.Signals) -> list[str]:
    """The kernel forgets the parent-death signal at a change of user, so it is set after that, by a program of its own:
    code between fork and exec (`preexec_fn`) is not safe in a process with threads."""
    setpriv = shutil.which("setpriv", path="/usr/bin:/bin")
    prefix = [setpriv, "--pdeathsig", stop_signal.name.removeprefix("SIG"), "--"] if setpriv else []
    return [*prefix, *map(str, arguments)]


def as_account(account: Account | None) -> dict[str, Any]:
    """The options of a subprocess that runs as this account, and in no group but its own."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def open_log(path: Path) -> IO[bytes]:
    """A log for people: of this start, with the one before beside it, so that neither grows for ever."""
    if path.exists():
        path.replace(_before(path))
    return open(path, "wb", opener=_private)


def _before(log: Path) -> Path:
    return log.with_suffix(f"{log.suffix}.1")


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes a file for our eyes only, whole or not at all: a kill or a full disk leaves the one that was there.

    It is on the disk when this returns. A link in its place is replaced, not followed.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        with open(new, "x", encoding="utf-8", opener=_private) as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # its name as well
    finally:
        os.close(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
