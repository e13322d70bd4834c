"""Parts of the stack: one process each, with a log, started so that it cannot outlive this process."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from promise_pub.errors import PartFailed
from promise_pub.files import open_private
from promise_pub.local.processes import POLL, STOP_GRACE, ProcessRecords, end_process

_UMASK = 0o077  # what a part writes is its user's alone
_QUOTED_LINES = 8  # of a part's log, in the error that says why it did not start


@dataclass(frozen=True, slots=True)
class SystemUser:
    """The user that a part runs as, when that is not ours."""

    uid: int
    gid: int


class StackPart:
    """A process of the stack. `stop` may be called at any time and any number of times."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, log: Path, records: ProcessRecords, stop_signal: int
    ) -> None:
        self.name = name
        self.process = process
        self._log = log
        self._records = records
        self._stop_signal = stop_signal
        self._drain: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        return self.process.returncode is not None

    @property
    def previous_log(self) -> Path:
        """The place that its log is moved to by the next start."""
        return _previous(self._log)

    def describe_end(self) -> str:
        code = self.process.returncode
        if code is not None and code < 0:
            return f"{self.name} was killed by signal {-code}"
        return f"{self.name} {'was not ready in time' if code is None else f'ended with exit code {code}'}"

    def failure(self) -> PartFailed:
        """Returns the error for its end, or for not being ready in time, with the end of its log."""
        lines = last_lines(self._log, _QUOTED_LINES)
        quoted = f"{' | '.join(lines)} (more in {self._log})" if lines else f"its log {self._log} is empty"
        return PartFailed(f"{self.describe_end()}: {quoted}")

    async def wait_until(self, ready: Callable[[], Awaitable[bool]], within: float) -> None:
        """Polls until it is ready. Raises PartFailed when it ends before, or is not ready within so many seconds."""
        async with self._starting(within):
            while not await ready():
                if self.ended:
                    raise self.failure()
                await asyncio.sleep(POLL)

    async def wait_for_line(self, pattern: re.Pattern[bytes], within: float) -> re.Match[bytes]:
        """Returns the first match in its piped output; later output is read and dropped, so that it never blocks.

        Raises PartFailed when it ends without that line, or does not print it within so many seconds.
        """
        output = self.process.stdout
        assert output
        async with self._starting(within):
            while line := await output.readline():
                if found := pattern.search(line):
                    self._drain = asyncio.create_task(_drop(output))
                    return found
            await self.process.wait()
        raise self.failure()

    @asynccontextmanager
    async def _starting(self, within: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(within):
                yield
        except TimeoutError:
            raise self.failure() from None

    async def finish(self, within: float) -> None:
        """Waits until it ends by itself. Raises PartFailed unless it succeeds within so many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), within)
        if self.process.returncode != 0:
            raise self.failure()
        self._records.remove(self.process.pid)

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Asks it to stop, and kills it when it has not in `grace` seconds. Raises PartFailed when it does not end."""
        if not self.ended:
            await end_process(self.name, self.process.pid, self._stop_signal, self.process.wait, grace)
        self._records.remove(self.process.pid)
        if self._drain:
            await self._drain


async def _drop(output: asyncio.StreamReader) -> None:
    while await output.read(65536):
        continue


async def start_part(
    name: str,
    arguments: Sequence[str | Path],
    *,
    log: Path,
    records: ProcessRecords,
    environment: Mapping[str, str],
    cwd: Path,
    user: SystemUser | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    piped: bool = False,
) -> StackPart:
    """Starts a part in a session of its own: a Ctrl-C at the terminal reaches only us, and we stop the parts in order.

    Its output goes to `log`, in place of the previous one, which is kept beside it; with `piped`, standard output is
    the caller's to read.
    """
    with _open_log(log) as output:
        process = await asyncio.create_subprocess_exec(
            *die_with_parent(arguments, stop_signal),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if piped else output,
            stderr=output,
            env=environment,
            cwd=cwd,
            start_new_session=True,
            umask=_UMASK,
            **run_as(user),
        )
    part = StackPart(name, process, log, records, stop_signal)
    try:
        records.add(name, process.pid, stop_signal)
    except BaseException:  # a full disk; without a record, no later start would stop it
        await part.stop()
        raise
    return part


def die_with_parent(arguments: Sequence[str | Path], stop_signal: signal.Signals) -> list[str]:
    """Returns a command that the kernel signals when its parent dies, where util-linux's `setpriv` is installed.

    The kernel forgets that signal at a change of user, so a program sets it after that. Code between fork and exec
    (`preexec_fn`) is not safe in a process with threads.
    """
    setpriv = shutil.which("setpriv", path="/usr/bin:/bin")
    prefix = [setpriv, "--pdeathsig", stop_signal.name.removeprefix("SIG"), "--"] if setpriv else []
    return [*prefix, *map(str, arguments)]


def run_as(user: SystemUser | None) -> dict[str, Any]:
    """Returns the options of a subprocess that runs as this user, and in no group but their own."""
    return {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}


def last_lines(log: Path, count: int) -> list[str]:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-count:]


def _open_log(path: Path) -> IO[bytes]:
    if path.exists():
        path.replace(_previous(path))
    return open(path, "wb", opener=open_private)


def _previous(log: Path) -> Path:
    return log.with_suffix(f"{log.suffix}.1")
