"""A command on a pseudo-terminal, as a person runs it."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

from tests.services import MARK

PATIENCE = 60  # seconds after which a terminal shows nothing more
# The terminal of a session of its own is the one that sends it Ctrl-C.
_ON_ITS_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "promise_pub", *sys.argv[1:]])
"""


class Terminal:
    """`promise-pub` with these arguments on a terminal of so many columns. `shown` is all that it wrote so far."""

    def __init__(self, *arguments: str | Path, columns: int = 80, env: dict[str, str] | None = None) -> None:
        self._ours, self.theirs = os.openpty()
        termios.tcsetwinsize(self.theirs, (24, columns))
        hidden = ("PROMISE_PUB_", "XDG_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", MARK)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_ITS_TERMINAL, *map(str, arguments)],
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            env={**inherited, "TERM": "xterm-256color", **(env or {})},
            start_new_session=True,
        )
        self.shown = ""

    def read_until(self, pattern: str) -> re.Match[str]:
        """The first match in what it wrote."""
        while not (match := re.search(pattern, self.shown)):
            assert select.select([self._ours], [], [], PATIENCE)[0], self.shown
            self._read()
        return match

    def finish(self) -> int:
        """Its exit code, once it ends; all that it wrote is read by then."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.shown
            if select.select([self._ours], [], [], 0.05)[0]:
                self._read()
        while select.select([self._ours], [], [], 0.05)[0]:
            self._read()
        return self.process.returncode

    def _read(self) -> None:
        self.shown += os.read(self._ours, 65536).decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    @property
    def shows_what_is_typed(self) -> bool:
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self.theirs)
