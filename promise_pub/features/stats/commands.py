"""The command `stats`: lists statistics, shows rows of one, counts them anew, forgets them, counts in a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import asyncpg
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from promise_pub import db
from promise_pub.errors import BadParameter, DatabaseError
from promise_pub.features.stats.asked import Asked, Given, parse_asked
from promise_pub.features.stats.chart import draw_chart_file
from promise_pub.features.stats.charting import chart_style, read_chart, require_chart
from promise_pub.features.stats.errors import StatisticNotFound
from promise_pub.features.stats.overview import list_statistics
from promise_pub.features.stats.ports import Journal
from promise_pub.features.stats.questions import MOST_ROWS, Details
from promise_pub.features.stats.registry import StatsRegistry
from promise_pub.features.stats.report import LIST_COLUMNS, Table, read_table, state_sentences
from promise_pub.features.stats.row_queries import StoredStatistics
from promise_pub.features.stats.text import draw_list, draw_rows
from promise_pub.http.pagination import PER_PAGE, Paging
from promise_pub.settings.model import Settings
from promise_pub.terminal import OK, CommandParsers, add_format, out, print_csv, print_json
from promise_pub.text import printable

REDRAW_EVERY = 1.0  # seconds
KEEP, FORGET = "keep", "forget"
OPTIONS = ("interval", "since", "until", "top")

MakeJournal = Callable[[asyncpg.Pool], Journal]
Keep = Callable[[Settings], Awaitable[None]]
"""Counts until it is cancelled."""


@dataclass(frozen=True, slots=True)
class StatsCommands:
    """The commands, and what they need of the feature."""

    make_journal: MakeJournal
    keep: Keep

    def add(self, commands: CommandParsers) -> None:
        parser = commands.add(
            "stats",
            self.run,
            "list the statistics, or show rows of one; count in a process of its own, or forget one",
            "promise-pub stats",
            "promise-pub stats runs --interval 1d --since 30d",
            "promise-pub stats rows --interval 1m --since 1h --watch",
            "promise-pub stats keep",
            "promise-pub stats forget by-branch",
        )
        parser.add_argument(
            "words",
            nargs="*",
            metavar="NAME",
            help="a statistic; or keep: count until it is stopped, as a server does; or forget NAME: delete its rows",
        )
        parser.add_argument("--interval", metavar="WIDTH", help="1m, 1h, 1d or all, as the statistic has it")
        parser.add_argument("--since", metavar="WHEN", help="only since then: 24h, 7d, 2026-11-24, 2026-11-24T12:00Z")
        parser.add_argument("--until", metavar="WHEN", help="only before then")
        parser.add_argument(
            "--key", action="append", default=[], metavar="COLUMN:VALUE", help="only this value of a column; repeatable"
        )
        parser.add_argument("--top", metavar="N", help="only the N keys with most, and the others as one")
        parser.add_argument("--limit", type=int, metavar="N", help=f"the newest N rows (default: {PER_PAGE})")
        add_format(parser, "svg")
        parser.add_argument("--watch", action="store_true", help="show them again each second, until Ctrl-C")
        parser.add_argument("--rebuild", action="store_true", help="count the statistic anew, beside its present rows")

    def run(self, options: argparse.Namespace) -> Awaitable[int]:
        """Chooses what to do. It is no coroutine, so that it is known before the loop starts that keeping never ends."""
        match options.words:
            case []:
                return self.list(options)
            case [word] if word == KEEP:
                options.endless = True
                return self.count(options)
            case [word, name] if word == FORGET:
                return self.forget(options, name)
            case [word] if word == FORGET:
                raise BadParameter("forget needs the NAME of a statistic")
            case [name]:
                return self.rebuild(options, name) if options.rebuild else self.show(options, name)
        raise BadParameter(f"one NAME at a time: {' '.join(options.words)[:100]}")

    async def list(self, options: argparse.Namespace) -> int:
        """Prints a line for each statistic."""
        if options.format == "svg" or options.watch or options.rebuild:
            raise BadParameter("--watch, --rebuild and --format svg need the NAME of a statistic")
        async with self._opened(options) as (reader, journal):
            overview = await list_statistics(reader, journal)
        if options.format == "json":
            print_json(overview.as_json())
        elif options.format == "csv":
            print_csv(LIST_COLUMNS, *overview.cells())
        elif overview.known:
            out.print(draw_list(overview))
        else:
            print("No statistics yet. A server counts them, or promise-pub stats keep.")
        return OK

    async def show(self, options: argparse.Namespace, name: str) -> int:
        """Prints rows of a statistic, the newest last."""
        if options.watch and options.format != "text":
            raise BadParameter(f"--watch and --format {options.format} cannot be given together")
        limit = PER_PAGE if options.limit is None else options.limit
        if not 1 <= limit <= MOST_ROWS:
            raise BadParameter(f"--limit must be from 1 to {MOST_ROWS}, not {limit}")
        async with self._opened(options) as (reader, journal):
            if options.watch:
                await self._watch(options, name, limit, reader, journal)
            details, asked, now = await self._ask(options, name, limit, reader)
            if options.format == "svg":
                require_chart(asked)
                print(draw_chart_file(await read_chart(reader, journal, asked, now), chart_style()))
                return OK
            table = await _read(reader, journal, details, asked, now)
        if options.format == "json":
            told = table.as_json()
            print_json({**told, "rows": [*told["rows"]]})
        elif options.format == "csv":
            print_csv(table.columns, *table.cells())
        else:
            out.print(_drawn(table))
        return OK

    async def _ask(
        self, options: argparse.Namespace, name: str, limit: int, reader: StoredStatistics
    ) -> tuple[Details, Asked, datetime]:
        details, now = await reader.find(name), datetime.now(UTC)
        given: Given = {
            **{option: [value] for option in OPTIONS if (value := getattr(options, option))},
            **({"key": options.key} if options.key else {}),
        }
        asked = parse_asked(details, given, now, lambda option: f"--{option}")
        return details, replace(asked, paging=Paging(1, limit)), now

    async def _watch(
        self, options: argparse.Namespace, name: str, limit: int, reader: StoredStatistics, journal: Journal
    ) -> None:
        """Shows the newest rows until it is cancelled. A database that is away is waited for.

        Where nobody looks at a terminal, they are printed one after the other.
        """
        with Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
            show = partial(live.update, refresh=True) if out.is_terminal else out.print
            shown: RenderableType = Text()
            while True:
                try:
                    details, asked, now = await self._ask(options, name, limit, reader)
                    shown = _drawn(await _read(reader, journal, details, asked, now), out.height)
                    show(shown)
                except DatabaseError as error:
                    show(Group(shown, Text(f"{printable(error.message)}: trying again", style="red")))
                sys.stdout.flush()
                await asyncio.sleep(REDRAW_EVERY)

    async def rebuild(self, options: argparse.Namespace, name: str) -> int:
        """Lets a statistic be counted anew. Its present rows are shown until that is done."""
        told = f"{name} is counted anew. Until then its present rows are shown."
        return await self._change(options, name, StatsRegistry.rebuild, told)

    async def forget(self, options: argparse.Namespace, name: str) -> int:
        """Deletes a statistic with its rows."""
        told = f"{name} is forgotten. If it is installed, it is counted anew."
        return await self._change(options, name, StatsRegistry.forget, told)

    async def _change(
        self, options: argparse.Namespace, name: str, change: Callable[[StatsRegistry, str], Awaitable[bool]], told: str
    ) -> int:
        """Changes a statistic and tells that it is done. Raises StatisticNotFound."""
        async with self._registry(options) as registry:
            if not await change(registry, name):
                raise StatisticNotFound(f"There is no statistic {name[:60]!r}.")
        if not options.quiet:
            print(told)
        return OK

    async def count(self, options: argparse.Namespace) -> int:
        """Counts until it is stopped."""
        settings = options.load_settings()
        if not options.quiet:
            print("Counting statistics, unless a server does. Ctrl-C ends it.", flush=True)
        await self.keep(settings)
        return OK

    @asynccontextmanager
    async def _opened(self, options: argparse.Namespace) -> AsyncIterator[tuple[StoredStatistics, Journal]]:
        settings: Any = options.load_settings()
        async with db.open_pool(settings.database, max_size=1) as pool:
            yield StoredStatistics(pool), self.make_journal(pool)

    @asynccontextmanager
    async def _registry(self, options: argparse.Namespace) -> AsyncIterator[StatsRegistry]:
        settings: Any = options.load_settings()
        async with db.open_pool(settings.database, max_size=1) as pool:
            yield StatsRegistry(pool)


async def _read(reader: StoredStatistics, journal: Journal, details: Details, asked: Asked, now: datetime) -> Table:
    """Returns the newest rows that are asked for, the newest last."""
    table = await read_table(reader, details, asked, (await journal.bounds()).newest, now)
    return replace(table, rows=[*reversed(table.rows)])


def _drawn(table: Table, height: int | None = None) -> RenderableType:
    """Returns the rows with what a reader has to know of them; the last ones, where they do not fit a height."""
    told = [Text(printable(sentence), style="yellow") for sentence in state_sentences(table.details, table.newest)]
    title = Text(printable(f"{table.layout.name}: {table.layout.summary}"), style="bold")
    if not table.rows:
        return Group(title, *told, Text("Nothing counted yet." if not table.asked.filtered else "Nothing was counted."))
    if height is not None:
        fitting = max(1, height - len(told) - 3)
        table = replace(table, rows=table.rows[-fitting:])
    return Group(title, *told, draw_rows(table, out.width, ascii_only=not _knows_blocks()))


def _knows_blocks() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
