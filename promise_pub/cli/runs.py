"""`runs`: the history, one run, and what can be done with it."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from promise_pub import db
from promise_pub.cli.errand import Errand, run_id
from promise_pub.cli.output import exit_code, print_history, print_run
from promise_pub.cli.watch import watch
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.errors import BadParameter, NotCancellable
from promise_pub.records import RunReport
from promise_pub.terminal import OK

HISTORY = 50  # runs that `runs` lists
MOST = 10_000  # runs that it lists when asked to
AT_ONCE = 500  # runs asked for at once where some are left out


async def runs(options: argparse.Namespace) -> int:
    """The history, or one run: printed, watched, gone on with, ended."""
    _check(options)
    if options.resume or options.cancel:
        return await _act(options)
    async with _ledger(options) as ledger:
        if options.watch:
            await watch(lambda: _found(options, ledger), options)
        elif options.id:
            print_run((await ledger.get_run(run_id(options.id))).as_json(), options.format)
        else:
            print_history(await _found(options, ledger), options.format)
    return OK


def _check(options: argparse.Namespace) -> None:
    acts = [name for name in ("resume", "cancel", "watch") if getattr(options, name)]
    if len(acts) > 1:
        raise BadParameter(f"--{acts[0]} and --{acts[1]} do not go together")
    if (options.resume or options.cancel) and not options.id:
        raise BadParameter(f"--{acts[0]} takes the ID of a run")
    if options.id and (options.state or options.verdict or options.limit is not None):
        raise BadParameter("--state, --verdict and --limit are for the history, not for one run")
    if options.limit is not None and not 1 <= options.limit <= MOST:
        raise BadParameter(f"--limit must be from 1 to {MOST}, not {options.limit}")
    if options.id:
        run_id(options.id)


async def _act(options: argparse.Namespace) -> int:
    errand = Errand(options.server)
    async with errand.opened(quiet=options.quiet):
        await (errand.resume if options.resume else errand.cancel)(run_id(options.id))
        run = await errand.to_the_end()
    print_run(run, options.format)
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
    """The runs that were asked for, newest first."""
    if options.id:
        return [await ledger.get_run(run_id(options.id))]
    found: dict[str, RunReport] = {}  # a run that comes meanwhile pushes one onto the next page again
    limit, skip, more = options.limit or HISTORY, 0, True
    size = AT_ONCE if options.state or options.verdict else limit
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
