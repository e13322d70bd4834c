"""A run's progress on stderr: gauges on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import Progress

from promise_pub.cli.picture import draw_upload, line, picture
from promise_pub.presentation import wording
from promise_pub.records import RunReport
from promise_pub.terminal import err
from promise_pub.text import printable

LINE_EVERY = 10.0  # seconds; a log of an hour is then some hundred lines
PER_SECOND = 8  # pictures


class Display(Protocol):
    """Shows a run from the upload of its file to its end."""

    def uploading(self, name: str, size: int) -> None:
        """Begins the upload of a file of `size` bytes."""

    def uploaded(self, count: int) -> None:
        """Adds bytes that were sent."""

    def show(self, report: RunReport) -> None:
        """Shows the run as it is now."""

    def trouble(self, text: str) -> None:
        """Says why no updates come; "" when they do again."""


@contextmanager
def open_display(*, quiet: bool) -> Iterator[Display]:
    """Opens the display that suits stderr; it is removed or complete after the block."""
    if quiet:
        yield LineDisplay(lambda text: None)
    elif sys.stderr.isatty() and not err.is_dumb_terminal:
        with LiveDisplay(err, keep=not sys.stdout.isatty()) as shown_here:
            yield shown_here
    else:
        yield LineDisplay(lambda text: print(text, file=sys.stderr, flush=True))


class LineDisplay:
    """A line at each change of state, and every LINE_EVERY seconds in between."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now = now
        self._told_at = now()
        self._told: object = None
        self._size = self._sent = 0
        self._trouble = ""

    def uploading(self, name: str, size: int) -> None:
        self._size = size
        self._say(f"Uploading {printable(name)}: {wording.size(size)}")

    def uploaded(self, count: int) -> None:
        self._sent += count
        if self._due():
            self._say(f"Uploaded {wording.size(self._sent)} of {wording.size(self._size)}")

    def show(self, report: RunReport) -> None:
        about = (report.state, report.blocked, report.position)
        if about != self._told or self._due():
            self._told = about
            self._say(line(report))

    def trouble(self, text: str) -> None:
        if bool(text) != bool(self._trouble):
            self._say(printable(text) or "The server answers again")
        self._trouble = text

    def _due(self) -> bool:
        return self._now() - self._told_at >= LINE_EVERY

    def _say(self, text: str) -> None:
        self._told_at = self._now()
        self._write(text)


class LiveDisplay:
    """Gauges, redrawn in place: first the upload's bar, then the run's. With `keep` they stay after the end."""

    def __init__(self, console: Console, *, keep: bool) -> None:
        self._upload = Progress(console=console, auto_refresh=False)  # it estimates the rate
        self._report: RunReport | None = None
        self._trouble = ""
        self._live = Live(
            console=console, get_renderable=self.rendered, refresh_per_second=PER_SECOND, transient=not keep
        )

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def rendered(self) -> RenderableType:
        if self._report:
            return picture(self._report, self._trouble)
        return draw_upload(self._upload.tasks[0]) if self._upload.tasks else ""

    def uploading(self, name: str, size: int) -> None:
        self._upload.add_task(name, total=size)

    def uploaded(self, count: int) -> None:
        for task in self._upload.task_ids:
            self._upload.advance(task, count)

    def show(self, report: RunReport) -> None:
        self._report = report

    def trouble(self, text: str) -> None:
        self._trouble = printable(text)
