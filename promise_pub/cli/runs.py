"""`send` and `runs`: files to a server, its runs and what became of them."""

from __future__ import annotations

import argparse
from uuid import UUID

from rich.progress import Progress, TaskID

from promise_pub import config, db
from promise_pub.cli.output import OK, PROMISE_BROKEN, bar, err, print_history, print_run
from promise_pub.delivery.ledger import Ledger
from promise_pub.errors import BadParameter, PromisePubError
from promise_pub.web.forms import parse_parameters
from promise_pub.web.remote import Json, RemoteServer, open_remote

HISTORY = 50  # runs that `runs` lists


async def send(options: argparse.Namespace) -> int:
    given = {
        "mode": options.mode,
        "timeout": options.timeout,
        "rate": options.rate,
        "clear": options.clear,
    }
    parameters = parse_parameters(
        {}, {name: value for name, value in given.items() if value is not None}
    )
    if not options.file.is_file():
        raise BadParameter(f"there is no file {options.file}")
    async with open_remote(options.server) as server:
        with bar(hidden=options.quiet or not err.is_terminal) as progress:
            task = progress.add_task("uploading", total=options.file.stat().st_size)
            run = await server.submit(
                options.file, parameters, lambda count: progress.advance(task, count)
            )
            run = await _followed(server, run, progress, task)
    return _ended(run, options.format)


async def _resume(options: argparse.Namespace) -> int:
    async with open_remote(options.server) as server:
        with bar(hidden=options.quiet or not err.is_terminal) as progress:
            task = progress.add_task("resuming", total=None)
            run = await server.resume(_uuid(options.id))
            run = await _followed(server, run, progress, task)
    return _ended(run, options.format)


async def _followed(server: RemoteServer, run: Json, progress: Progress, task: TaskID) -> Json:
    """The run as it ended; until then the bar shows how far it is."""
    async for run in server.follow(run):  # noqa: B020  the run, ever newer
        rows = run["rows"]
        draining = run["state"] == "draining"
        done = (run["session"] or {}).get("received") if draining else rows["confirmed"]
        progress.update(
            task,
            description=run["state"],
            completed=done or 0,
            total=rows["read"] - rows["rejected"],
        )
    return run


def _ended(run: Json, form: str) -> int:
    print_run(run, form)
    if run["state"] != "completed":
        raise PromisePubError(
            f"{run['error']['message']} ({run['error']['code']})" if run["error"] else run["state"]
        )
    return OK if run["verdict"] == "kept" else PROMISE_BROKEN


async def runs(options: argparse.Namespace) -> int:
    if options.resume:
        if not options.id:
            raise BadParameter("--resume takes the ID of a run")
        return await _resume(options)
    settings = config.load(options.config)
    async with db.open_pool(settings.database, max_size=1) as pool:
        ledger = Ledger(pool)
        await ledger.check()
        if options.id:
            print_run((await ledger.run(_uuid(options.id))).as_json(), options.format)
        else:
            print_history((await ledger.newest(HISTORY))[0], options.format)
    return OK


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise BadParameter(f"{text!r} is no run's id") from None
