"""The command `usage`, which counts different users by period, and its command `forget`."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from promise_pub import db
from promise_pub.features.usage import report
from promise_pub.features.usage.asked import MAX_ROLLING, MIN_ROLLING, QUESTION, collect, parse_question
from promise_pub.features.usage.chart import draw_chart_file
from promise_pub.features.usage.document import draw_document
from promise_pub.features.usage.records import Action, Aggregate
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.features.usage.store import StoredUsage
from promise_pub.features.usage.text import draw_usage
from promise_pub.terminal import OK, CommandParsers, add_format, print_csv, print_json
from promise_pub.text import counted, printable

OPTIONS = {name: f"--{name}" for name in QUESTION} | {"aggregate": "--by"}


def add_commands(commands: CommandParsers) -> None:
    counting = commands.add(
        "usage",
        count_usage,
        "count different users by day, week, month, quarter or year",
        "promise-pub usage",
        "promise-pub usage --by month --start 365d",
        "promise-pub usage --rolling 7 --action run --format csv",
        "promise-pub usage --format svg > usage.svg",
    )
    counting.add_argument("--by", dest="aggregate", metavar="PERIOD", help=f"{', '.join(Aggregate)} (default: week)")
    counting.add_argument(
        "--start", metavar="WHEN", help="the first day: 2026-01-31, a time, or a span before now, 90d"
    )
    counting.add_argument("--end", metavar="WHEN", help="the first day that is not included (default: tomorrow)")
    counting.add_argument("--action", metavar="ACTION", help=f"{', '.join(Action)} (default: login)")
    counting.add_argument(
        "--rolling", metavar="N", help=f"users of the N days up to each day, {MIN_ROLLING} to {MAX_ROLLING}"
    )
    add_format(counting, "html", "svg")
    forgetting = commands.add_below(counting).add(
        "forget",
        forget_user,
        "put a random name in place of a user's, for good; the numbers stay",
        "promise-pub usage forget ann",
    )
    forgetting.add_argument("user", metavar="NAME")


async def count_usage(options: argparse.Namespace) -> int:
    """Prints different users by period."""
    whole, settings = _settings(options)
    now = datetime.now(UTC)
    given = collect((name, getattr(options, name) or "") for name in QUESTION)
    question = parse_question(given, now, settings.timezone, OPTIONS.__getitem__)
    async with _opened(options) as stored:
        usage = await stored.count(question)
    told = report.tell_all(usage, settings, now, names=whole.server.auth == "users")
    if options.format == "json":
        whole_report = report.as_json(usage)
        print_json({**whole_report, "periods": [*whole_report["periods"]]})
    elif options.format == "csv":
        print_csv(report.COLUMNS, *report.cells(usage))
    elif options.format == "svg":
        print(draw_chart_file(usage))
    elif options.format == "html":
        print(draw_document(usage, told))
    else:
        print(draw_usage(usage, told), end="")
    return OK


async def forget_user(options: argparse.Namespace) -> int:
    """Puts a random name in place of one in all days."""
    async with _opened(options) as stored:
        days = await stored.forget(options.user)
    if not options.quiet:
        where = f"on {counted(days, 'day')}" if days else "but was on no day: nobody of this name was condensed"
        print(f"{printable(options.user)} is forgotten, {where}.")
    return OK


def _settings(options: argparse.Namespace) -> tuple[Any, UsageSettings]:
    whole: Any = options.load_settings()
    return whole, whole.of("usage", UsageSettings)


@asynccontextmanager
async def _opened(options: argparse.Namespace) -> AsyncIterator[StoredUsage]:
    whole, settings = _settings(options)
    async with db.open_pool(whole.database, max_size=1) as pool:
        yield StoredUsage(pool, settings)
