"""`runs --watch`: in place on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from promise_pub.cli.output import history_table
from promise_pub.cli.picture import line, picture
from promise_pub.errors import DatabaseError
from promise_pub.presentation.run_json import SUMMARY, encode_run, summarize_run
from promise_pub.records import RunReport
from promise_pub.retries import Backoff, Retries
from promise_pub.terminal import out, print_csv, print_json_line
from promise_pub.text import printable

POLL_EVERY = 1.0  # seconds; the ledger is half a second old
AWAY = Backoff(POLL_EVERY, POLL_EVERY, within=60.0, jitter=0.0)  # the database
AROUND = 3  # lines of the terminal besides the runs

Fetch = Callable[[], Awaitable[list[RunReport]]]
Show = Callable[[Sequence[RunReport], str], None]


async def watch(fetch: Fetch, options: argparse.Namespace, backoff: Backoff = AWAY) -> None:
    """Shows what `fetch` returns until it is stopped. Raises DatabaseError when the database refuses, or fails for a minute."""
    found: list[RunReport] = []
    with _screen(options) as show:
        retries = Retries(backoff, lambda error, _: show(found, error.message))
        while True:
            try:
                found = await fetch()
            except DatabaseError as error:
                if not found:
                    raise
                await retries.wait(error)
            else:
                retries.reset()
                show(found, "")
                await asyncio.sleep(backoff.first)


@contextmanager
def _screen(options: argparse.Namespace) -> Iterator[Show]:
    if options.format == "text" and sys.stdout.isatty() and not out.is_dumb_terminal:
        with InPlace(out, one=bool(options.id)) as screen:
            yield screen
    else:
        if options.format == "csv":
            print_csv(SUMMARY)
        yield Changes(_PRINTERS[options.format])


class InPlace:
    """Runs redrawn in place; they stay on the terminal at the end."""

    def __init__(self, console: Console, *, one: bool) -> None:
        self._one = one
        self._console = console
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> InPlace:
        self._live.start()
        self._body: RenderableType = ""
        return self

    def __exit__(self, *_: object) -> None:
        self._live.update(self._body)
        self._live.stop()

    def __call__(self, found: Sequence[RunReport], trouble: str) -> None:
        room = max(1, self._console.height - AROUND)
        self._body = picture(found[0]) if self._one else history_table(found[:room])
        hint = Text(f"{printable(trouble)}: trying again", "yellow") if trouble else Text("Ctrl-C ends this", "dim")
        self._live.update(Group(self._body, hint), refresh=True)


class Changes:
    """Prints each run whenever it has changed. Passing time alone is no change."""

    def __init__(self, write: Callable[[RunReport], None]) -> None:
        self._write = write
        self._told: dict[str, object] = {}
        self._trouble = ""

    def __call__(self, found: Sequence[RunReport], trouble: str) -> None:
        if trouble and not self._trouble:
            print(f"promise-pub: {printable(trouble)}: trying again", file=sys.stderr, flush=True)
        self._trouble = trouble
        for report in reversed(found):  # oldest first, as in a log
            about = {**encode_run(report), "seconds": None}
            if self._told.get(report.id) != about:
                self._told[report.id] = about
                self._write(report)


def _print_line(report: RunReport) -> None:
    print(printable(f"{report.id}  {report.file.name}  {line(report)}"), flush=True)


_PRINTERS: dict[str, Callable[[RunReport], Any]] = {
    "text": _print_line,
    "json": lambda report: print_json_line(encode_run(report)),
    "csv": lambda report: print_csv(summarize_run(report)),
}
