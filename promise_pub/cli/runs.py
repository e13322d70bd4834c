"""`runs`: prints the history, one run or its rows, watches, resumes and cancels."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from promise_pub import db
from promise_pub.cli.output import exit_code, print_history, print_run
from promise_pub.cli.remote_run import RemoteRun, parse_run_id
from promise_pub.cli.rows import print_in_need, print_rows
from promise_pub.cli.watch import watch
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.rows.reading import RowReader
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.errors import BadParameter, NotCancellable
from promise_pub.presentation.fate_words import rows_in_need
from promise_pub.presentation.row_json import encode_row
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import RunReport
from promise_pub.remote.rows import MAX_FIRST
from promise_pub.terminal import OK

DEFAULT_LIMIT = 50  # runs
MAX_LIMIT = 10_000  # runs
PAGE = 500  # runs read at once where some are filtered out


async def runs(options: argparse.Namespace) -> int:
    """Prints, watches, resumes or cancels."""
    _check(options)
    if options.rows:
        return await print_rows(options)
    if options.resume or options.cancel:
        return await _act(options)
    async with _ledger(options) as ledger:
        if options.id and not options.watch:
            await _print_one(options, ledger)
        elif options.watch:
            await watch(lambda: _found(options, ledger), options)
        else:
            print_history(await _found(options, ledger), options.format)
    return OK


async def _print_one(options: argparse.Namespace, ledger: Ledger) -> None:
    """Prints one report. Its rows are read from the uploads folder, where that is on this machine."""
    report = await ledger.get_run(parse_run_id(options.id))
    run = encode_run(report)
    print_run(run, options.format)
    if options.format == "text" and rows_in_need(report):
        server = options.load_settings().server
        uploads = Uploads(server.uploads, server.max_upload, server.keep_uploads)
        first = await RowReader(uploads, ledger).find_first_in_need(report, MAX_FIRST)
        print_in_need(run, [encode_row(report, row) for row in first])


def _check(options: argparse.Namespace) -> None:
    acts = [name for name in ("resume", "cancel", "watch", "rows") if getattr(options, name)]
    if len(acts) > 1:
        raise BadParameter(f"--{acts[0]} and --{acts[1]} cannot be combined")
    if (options.resume or options.cancel or options.rows) and not options.id:
        raise BadParameter(f"--{acts[0]} takes the ID of a run")
    if (options.fate or options.text) and not options.rows:
        raise BadParameter("--fate and --text choose among the rows of a run: add --rows")
    if options.id and (options.state or options.verdict or options.limit is not None):
        raise BadParameter("--state, --verdict and --limit are for the history, not for one run")
    if options.limit is not None and not 1 <= options.limit <= MAX_LIMIT:
        raise BadParameter(f"--limit must be from 1 to {MAX_LIMIT}, not {options.limit}")
    if options.id:
        parse_run_id(options.id)


async def _act(options: argparse.Namespace) -> int:
    remote = RemoteRun(options.server)
    async with remote.connected(quiet=options.quiet):
        await (remote.resume if options.resume else remote.cancel)(parse_run_id(options.id))
        run = await remote.follow_to_end()
    print_run(run, options.format)
    if options.format == "text":
        print_in_need(run, remote.in_need)
    if not options.cancel:
        return exit_code(run)
    if run["state"] != "cancelled":
        raise NotCancellable(f"It was {run['state']} before it could be cancelled.")
    return OK


@asynccontextmanager
async def _ledger(options: argparse.Namespace) -> AsyncIterator[Ledger]:
    settings = options.load_settings()
    async with db.open_pool(settings.database, max_size=1) as pool:
        ledger = Ledger(pool)
        await ledger.check()
        yield ledger


async def _found(options: argparse.Namespace, ledger: Ledger) -> list[RunReport]:
    """Returns the selected runs, newest first."""
    if options.id:
        return [await ledger.get_run(parse_run_id(options.id))]
    found: dict[str, RunReport] = {}  # a new run may push one onto the next page
    limit, skip, more = options.limit or DEFAULT_LIMIT, 0, True
    size = PAGE if options.state or options.verdict else limit
    while more and len(found) < limit:
        page, total = await ledger.list_runs(size, skip)
        found |= {report.id: report for report in page if _wanted(options, report)}
        skip += size
        more = skip < total
    return list(found.values())[:limit]


def _wanted(options: argparse.Namespace, report: RunReport) -> bool:
    return (not options.state or report.state in options.state) and (
        not options.verdict or report.verdict in options.verdict
    )
