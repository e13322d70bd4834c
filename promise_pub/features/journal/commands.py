"""The command `journal`, and its commands `add` and `import`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from promise_pub import db
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.errors import BadParameter
from promise_pub.features.journal.errors import EventsRefused
from promise_pub.features.journal.importing import import_events
from promise_pub.features.journal.listing import MAX_LISTED, follow_events, list_newest
from promise_pub.features.journal.members import check_moment, check_text, check_topic, read_member, read_optional
from promise_pub.features.journal.posting import append_events, make_event
from promise_pub.features.journal.printing import FORMATS, open_printer
from promise_pub.features.journal.selecting import LIMIT, SOURCES, parse_filters
from promise_pub.features.journal.settings import BusSettings
from promise_pub.features.journal.store import StoredJournal
from promise_pub.json_text import parse_json
from promise_pub.outbox import Outbox
from promise_pub.spans import parse_since
from promise_pub.terminal import OK, CommandParsers
from promise_pub.text import counted, printable

FILTERS: Mapping[str, tuple[str, str]] = {
    "topic": (
        "PATTERN",
        "only topics like this: * stands for a word, # for any number of them, as in 'promise-pub.run.*'",
    ),
    "sender": ("NAME", "only events of this sender"),
    "subject": ("TEXT", "only events about this, a run's id for example"),
    "source": ("SOURCE", f"only events that came this way: {', '.join(SOURCES)}"),
    "since": ("WHEN", "only since then: 24h, 7d, 2026-11-24, 2026-11-24T12:00Z"),
    "until": ("WHEN", "only before then"),
}
SENDER = "cli"
RUNS_AT_ONCE = 200


def add_commands(commands: CommandParsers) -> None:
    listing = commands.add(
        "journal",
        list_events,
        "list the events of the journal, the newest last; add and import some",
        "promise-pub journal --topic 'promise-pub.run.#' --since 24h",
        "promise-pub journal --topic deploy --follow",
        "promise-pub journal --limit 1000000 --format jsonl > journal.jsonl",
    )
    for name, (metavar, text) in FILTERS.items():
        listing.add_argument(f"--{name}", metavar=metavar, help=text)
    listing.add_argument("--limit", type=int, metavar="N", help=f"the newest N events (default: {LIMIT})")
    listing.add_argument("--format", choices=FORMATS, default="text", help="the format of the output")
    # Being stopped is its success.
    listing.add_argument("--follow", dest="endless", action="store_true", help="show events as they come, until Ctrl-C")
    more = commands.add_below(listing)
    adding = more.add(
        "add",
        add_event,
        "add an event",
        """promise-pub journal add deploy --data '{"version": "1.4"}'""",
    )
    adding.add_argument("event_topic", metavar="TOPIC", help="words with dots between them")
    adding.add_argument("--data", default="{}", metavar="JSON", help="any JSON (default: {})")
    adding.add_argument("--subject", dest="event_subject", metavar="TEXT", help="what the event is about")
    adding.add_argument("--id", metavar="TEXT", help="added again with the same id it is the same event")
    adding.add_argument("--at", metavar="WHEN", help="when it happened, as --since (default: now)")
    importing = more.add(
        "import",
        import_file,
        "import events from JSON lines, as --format jsonl prints them",
        "promise-pub journal import journal.jsonl",
    )
    importing.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    more.add(
        "import-runs",
        import_runs,
        "add the ends of runs that were never told, as those of older versions",
        "promise-pub journal import-runs",
    )


async def list_events(options: argparse.Namespace) -> int:
    """Prints the newest events in their order, and with --follow those that come."""
    given = {name: getattr(options, name) or "" for name in FILTERS}
    filters = parse_filters(given, datetime.now(UTC), lambda name: f"--{name}")
    limit = LIMIT if options.limit is None else options.limit
    if not 1 <= limit <= MAX_LISTED:
        raise BadParameter(f"--limit must be from 1 to {MAX_LISTED}, not {limit}")
    if options.endless and filters.until:
        raise BadParameter("--until and --follow cannot be given together")
    async with _journal(options) as journal:
        with open_printer(options.format, endless=options.endless) as show:
            after = await list_newest(journal, filters, limit, show)
            if options.endless:
                await follow_events(journal, filters, after, show, _complain)
    return OK


def _complain(message: str) -> None:
    print(f"promise-pub: {printable(message)}: trying again", file=sys.stderr, flush=True)


async def add_event(options: argparse.Namespace) -> int:
    """Adds one event."""
    now = datetime.now(UTC)
    event = make_event(
        read_member("TOPIC", check_topic, options.event_topic),
        read_member("--data", parse_json, options.data),
        sender=SENDER,
        at=read_optional("--at", partial(check_moment, now=now), parse_since(options.at or "", now, "--at")),
        subject=read_optional("--subject", check_text, options.event_subject),
        message_id=read_optional("--id", check_text, options.id),
    )
    async with _journal(options) as journal:
        (told,) = await append_events(journal, [event])
    if not options.quiet:
        print(f"Event {told.seq} was {'added' if told.added else 'there before'}: {told.id}")
    return OK


def import_file(options: argparse.Namespace) -> Awaitable[int]:
    """Imports the events of a file. Standard input is read before the event loop starts: reading it cannot be cancelled."""
    name, file = ("standard input", _read_stdin()) if options.file == "-" else (options.file, _open(options.file))
    return _import(options, name, file)


def _read_stdin() -> BinaryIO:
    file = tempfile.TemporaryFile()
    shutil.copyfileobj(sys.stdin.buffer, file)
    file.seek(0)
    return file


def _open(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise EventsRefused(f"{name}: cannot be read: {error.strerror or error}") from error


async def _import(options: argparse.Namespace, name: str, file: BinaryIO) -> int:
    with file:
        async with _journal(options) as journal:
            told = await import_events(journal, file, name)
    if not options.quiet:
        print(f"{told}.")
    return OK


async def import_runs(options: argparse.Namespace) -> int:
    """Adds an event for each run that has ended and of which nothing was told. Repeated, it adds nothing."""
    settings = options.load_settings()
    prefix = settings.of("bus", BusSettings).prefix
    runs = 0
    async with db.open_pool(settings.database, max_size=1) as pool:
        ledger, journal = Ledger(pool, outbox=Outbox(pool, read_by_somebody=True)), StoredJournal(pool)
        while told := await ledger.tell_untold(RUNS_AT_ONCE):
            runs += told
            while await journal.drain_outbox(prefix):
                pass
    if not options.quiet:
        print(f"{counted(runs, 'run')} added." if runs else "There is no run that was never told.")
    return OK


@asynccontextmanager
async def _journal(options: argparse.Namespace) -> AsyncIterator[StoredJournal]:
    settings: Any = options.load_settings()
    async with db.open_pool(settings.database, max_size=1) as pool:
        yield StoredJournal(pool)
