"""The commands `sessions`, `transitions` and `visits`."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from rich.table import Table
from rich.text import Text

from promise_pub import db
from promise_pub.errors import BadParameter
from promise_pub.features.visits.disk_quota import DiskQuota
from promise_pub.features.visits.hits import Hit
from promise_pub.features.visits.importing import read_hits
from promise_pub.features.visits.render.dot import draw_dot
from promise_pub.features.visits.render.labels import label_of
from promise_pub.features.visits.render.svg import draw_svg_file
from promise_pub.features.visits.render.text import draw_text
from promise_pub.features.visits.report import (
    SESSION_COLUMNS,
    TRANSITION_COLUMNS,
    SessionSummary,
    Transitions,
)
from promise_pub.features.visits.settings import VisitsSettings
from promise_pub.features.visits.store import StoredVisits
from promise_pub.spans import parse_since
from promise_pub.terminal import OK, CommandParsers, add_format, out, print_csv, print_json
from promise_pub.text import counted, parse_uuid
from promise_pub.times import rfc3339

DEFAULT_SESSIONS, MAX_SESSIONS = 50, 10_000  # that are listed
GRAPH_RULES = Path(__file__).parent / "static" / "graph.css"


def add_commands(commands: CommandParsers) -> None:
    listing = commands.add(
        "sessions",
        list_sessions,
        "list the sessions of visitors, newest first",
        "promise-pub sessions --since 24h",
    )
    _add_since(listing)
    listing.add_argument(
        "--limit", type=int, metavar="N", help=f"at most this many sessions (default: {DEFAULT_SESSIONS})"
    )
    add_format(listing)
    drawing = commands.add(
        "transitions",
        show_transitions,
        "show page-to-page statistics",
        "promise-pub transitions --since 7d",
        "promise-pub transitions --format svg > transitions.svg",
    )
    drawing.add_argument("--session-id", metavar="UUID", help="only this session")
    _add_since(drawing)
    add_format(drawing, "dot", "svg")
    more = commands.add_group("visits", "manage the record of page hits")
    forgetting = more.add(
        "forget",
        forget_session,
        "delete everything recorded of a session; this cannot be undone",
        "promise-pub visits forget 5f0c9a11-8f0c-4f6e-9d3c-2f1f4f0c9a11",
    )
    forgetting.add_argument("session", metavar="SESSION", help="session ID")
    importing = more.add(
        "import",
        import_file,
        "import hits from CSV or JSON lines, with at, session_id and page at least",
        "promise-pub visits import hits.csv",
    )
    importing.add_argument("file", type=Path, metavar="FILE")


def _add_since(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help="only since then: 24h, 7d, 2026-11-24, 2026-11-24T12:00Z",
    )


async def list_sessions(options: argparse.Namespace) -> int:
    """Prints the sessions, the newest hit first."""
    limit = DEFAULT_SESSIONS if options.limit is None else options.limit
    if not 1 <= limit <= MAX_SESSIONS:
        raise BadParameter(f"--limit must be from 1 to {MAX_SESSIONS}, not {limit}")
    since = _since(options)
    async with _visits(options) as (visits, _):
        found, _ = await visits.list_sessions(limit, since=since)
    if options.format == "json":
        print_json([one.as_json() for one in found])
    elif options.format == "csv":
        print_csv(SESSION_COLUMNS, *(one.row() for one in found))
    elif found:
        out.print(_table_of(found))
    else:
        print("No sessions yet." if since is None else "No sessions since then.")
    return OK


def _table_of(found: Sequence[SessionSummary]) -> Table:
    # A part of an ID is of no use, so the client is cut first.
    table = Table(box=None, pad_edge=False)
    table.add_column("session", no_wrap=True, min_width=36)
    for name in ("first hit", "last hit"):
        table.add_column(name, no_wrap=True)
    for name in ("hits", "pages"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("client", no_wrap=True, overflow="ellipsis")
    for one in found:
        client = " ".join(str(part) for part in (one.ip, one.user_agent) if part)
        cells = (
            one.session_id,
            rfc3339(one.first, "seconds"),
            rfc3339(one.last, "seconds"),
            f"{one.hits:,}",
            f"{one.pages:,}",
        )
        table.add_row(*(str(cell) for cell in cells), Text(label_of(client)))
    return table


async def show_transitions(options: argparse.Namespace) -> int:
    """Prints the transitions of a session or of all."""
    since = _since(options)
    session = None if options.session_id is None else _session(options.session_id)
    async with _visits(options) as (visits, _):
        found = await visits.get_transitions(session, since)
    if options.format == "json":
        print_json(found.as_json())
    elif options.format == "csv":
        print_csv(TRANSITION_COLUMNS, *found.rows())
    elif options.format == "dot":
        print(draw_dot(found.chains), end="")
    elif options.format == "svg":
        print(draw_svg_file(found.chains, GRAPH_RULES.read_text(encoding="utf-8")))
    else:
        _print(found)
    return OK


def _print(found: Transitions) -> None:
    """Prints the transitions as text, and those of all sessions with their figures."""
    # The console's width is 80 in a terminal that calls itself dumb, however wide it is.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(draw_text(found.chains, found.title, width), end="")
    if found.session is None and found.chains.hits:
        print(f"\n{_summary(found)}\n")
        out.print(_figures(found))


def _summary(found: Transitions) -> str:
    chains = found.chains
    left = ""
    if chains.bounce_rate is not None:
        left = f"; {100 * chains.bounce_rate:.0f} % of those left after one page"
    hits, sessions = counted(chains.hits, "hit"), counted(chains.sessions, "session")
    return f"{hits} in {sessions}, {chains.ended:,} of them ended{left}."


def _figures(found: Transitions) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("page", overflow="ellipsis", no_wrap=True)
    for name in ("hits", "entries", "share of time", "pages until exit"):
        table.add_column(name, justify="right", no_wrap=True)
    for page in found.pages():
        until = "–" if page.until_exit is None else f"{page.until_exit:.1f}"
        table.add_row(
            Text(label_of(page.page)),
            f"{page.hits:,}",
            f"{page.entries:,}",
            f"{100 * page.share:.1f} %",
            until,
        )
    return table


async def forget_session(options: argparse.Namespace) -> int:
    """Deletes all hits of a session."""
    session = _session(options.session)
    async with _visits(options) as (visits, _):
        hits = await visits.forget_session(session)
    if not options.quiet:
        print(f"Session {session} was deleted with {counted(hits, 'hit')}.")
    return OK


async def import_file(options: argparse.Namespace) -> int:
    """Imports all hits of a file or none."""
    async with _visits(options) as (visits, settings):
        imported = await visits.import_hits(_batches(options.file, settings.anonymise), DiskQuota(settings.quota))
    if not options.quiet:
        left_out = imported.forgotten and f", {imported.forgotten:,} of deleted sessions left out"
        print(f"{counted(imported.given, 'hit')} read, {imported.added:,} of them new{left_out or ''}.")
    return OK


async def _batches(path: Path, anonymise: bool) -> AsyncIterator[Sequence[Hit]]:
    """Reads the file in a thread."""
    batches = read_hits(path, anonymise=anonymise)
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        yield batch


def _since(options: argparse.Namespace) -> datetime | None:
    return parse_since(options.since or "", datetime.now(UTC), "--since")


def _session(text: str) -> UUID:
    return parse_uuid(text, BadParameter(f"{text!r} is not a session ID"))


@asynccontextmanager
async def _visits(
    options: argparse.Namespace,
) -> AsyncIterator[tuple[StoredVisits, VisitsSettings]]:
    settings = options.load_settings()
    visits_settings = settings.of("visits", VisitsSettings)
    async with db.open_pool(settings.database, max_size=1) as pool:
        visits = StoredVisits(pool, timedelta(minutes=visits_settings.idle))
        await visits.check_schema()
        yield visits, visits_settings
