"""The command `jobs`, and its commands: runs, run, show, cancel, pause, resume, next."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from promise_pub import db
from promise_pub.errors import BadParameter
from promise_pub.features.jobs.arguments import read_arguments
from promise_pub.features.jobs.asking import (
    LIMIT,
    MAX_LIMIT,
    ask_run,
    find_job,
    find_successor,
    is_id,
    list_jobs,
)
from promise_pub.features.jobs.errors import JobNotFound
from promise_pub.features.jobs.following import follow_run
from promise_pub.features.jobs.given import collect_given, parse_pair
from promise_pub.features.jobs.records import JobRun, State
from promise_pub.features.jobs.report import (
    JOB_COLUMNS,
    RUN_COLUMNS,
    encode_run,
    has_server,
    list_due,
    list_run_cells,
    schedule_of,
    zone_of,
)
from promise_pub.features.jobs.runner import run_here
from promise_pub.features.jobs.store import StoredJobs
from promise_pub.features.jobs.text import draw_jobs, draw_run, draw_runs, moment, progress_line
from promise_pub.jobs import Job
from promise_pub.settings.model import Settings
from promise_pub.terminal import OK, PROMISE_BROKEN, CommandParsers, add_format, out, print_csv, print_json
from promise_pub.text import printable
from promise_pub.times import rfc3339

JobsOf = Callable[[asyncpg.Pool, Settings], Sequence[Job]]
"""Returns the jobs that are declared here."""

ASKED_BY = "command line"
NOT_COMPLETED = PROMISE_BROKEN  # the exit code of a run that ended otherwise
DUE, MAX_DUE = 5, 1000  # due times that are listed

_CODES = """\
exit codes of run --follow and run --here:
  0  the run is completed
  1  any other error: it waits already, the database is away, you stopped it
  2  a wrong argument, or a wrong configuration
  3  the run ended, and is not completed
"""


@dataclass(frozen=True, slots=True)
class JobsCommands:
    """The commands, and what they need of the feature."""

    jobs_of: JobsOf

    def add(self, commands: CommandParsers) -> None:
        listing = commands.add(
            "jobs",
            self.list,
            "list what is done by the clock; run, cancel or pause it",
            "promise-pub jobs",
            "promise-pub jobs runs usage --limit 10",
            "promise-pub jobs run usage --start 2026-01-01 --follow",
        )
        add_format(listing)
        below = commands.add_below(listing)
        runs = below.add(
            "runs", self.list_runs, "list runs, the newest first", "promise-pub jobs runs usage --limit 10"
        )
        runs.add_argument("name", nargs="?", metavar="NAME", help="a job; without it, runs of all")
        runs.add_argument("--limit", type=int, metavar="N", help=f"the newest N runs (default: {LIMIT})")
        add_format(runs)
        self._add_run(below)
        show = below.add("show", self.show, "show a run", "promise-pub jobs show 17")
        show.add_argument("run", metavar="RUN", help="the number of a run")
        add_format(show)
        cancel = below.add("cancel", self.cancel, "cancel a run that waits or goes on", "promise-pub jobs cancel 17")
        cancel.add_argument("run", metavar="RUN", help="the number of a run")
        pause = below.add("pause", self.pause, "pass over the due times of a job", "promise-pub jobs pause usage")
        pause.add_argument("name", metavar="NAME", help="a job")
        resume = below.add(
            "resume", self.resume, "see to the due times of a job again, from now on", "promise-pub jobs resume usage"
        )
        resume.add_argument("name", metavar="NAME", help="a job")
        due = below.add("next", self.list_next, "list the next due times of a job", "promise-pub jobs next usage -n 10")
        due.add_argument("name", metavar="NAME", help="a job")
        due.add_argument("-n", dest="count", type=int, default=DUE, metavar="N", help=f"so many (default: {DUE})")
        add_format(due)

    def _add_run(self, below: CommandParsers) -> None:
        run = below.add(
            "run",
            self.run,
            "run a job now, or as soon as its present run has ended",
            "promise-pub jobs run usage --start 2026-01-01 --end 2026-01-31 --follow",
            "promise-pub jobs run usage --reset --here",
        )
        run.epilog = f"{run.epilog}\n\n{_CODES}"
        run.add_argument("name", metavar="NAME", help="a job")
        run.add_argument("--start", metavar="DAY", help="the job's argument start: the first day, as in 2026-01-31")
        run.add_argument("--end", metavar="DAY", help="the job's argument end: the last day, which is included")
        run.add_argument("--reset", action="store_true", help="the job's argument reset: do again what was done")
        run.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="any argument of the job; repeatable"
        )
        run.add_argument("--follow", action="store_true", help="wait for its end, and tell how far it is meanwhile")
        run.add_argument("--here", action="store_true", help="run it in this process, and not in a server")

    async def list(self, options: argparse.Namespace) -> int:
        """Prints a line for each job."""
        async with _opened(options) as (desk, _):
            jobs = await list_jobs(desk)
        if options.format == "json":
            print_json([one.encode() for one in jobs])
        elif options.format == "csv":
            print_csv(JOB_COLUMNS, *(one.list_cells() for one in jobs))
        elif jobs:
            out.print(draw_jobs(jobs))
        else:
            print("No jobs yet. A server declares them.")
        return OK

    async def list_runs(self, options: argparse.Namespace) -> int:
        """Prints a line for each run, the newest first."""
        limit = LIMIT if options.limit is None else options.limit
        if not 1 <= limit <= MAX_LIMIT:
            raise BadParameter(f"--limit must be from 1 to {MAX_LIMIT}, not {limit}")
        async with _opened(options) as (desk, _):
            if options.name is not None:
                await find_job(desk, options.name)
            runs, now = await desk.runs(options.name, limit), await desk.now()
        if options.format == "json":
            print_json([encode_run(run, now) for run in runs])
        elif options.format == "csv":
            print_csv(RUN_COLUMNS, *(list_run_cells(run, now) for run in runs))
        else:
            out.print(draw_runs(runs, now) if runs else "No runs.")
        return OK

    async def show(self, options: argparse.Namespace) -> int:
        """Prints a run."""
        id = _parse_id(options.run)
        async with _opened(options) as (desk, _):
            run, now = await desk.run(id), await desk.now()
        if options.format == "json":
            print_json(encode_run(run, now))
        elif options.format == "csv":
            print_csv(RUN_COLUMNS, list_run_cells(run, now))
        else:
            out.print(draw_run(run, now))
        return OK

    async def run(self, options: argparse.Namespace) -> int:
        """Asks for a run, or runs it in this process. Returns NOT_COMPLETED for one that was seen to end otherwise."""
        given = collect_given(_given(options))
        if options.follow and options.here:
            raise BadParameter("--follow and --here cannot be given together: with --here the end is waited for anyway")
        if options.here:
            return await self._run_here(options, given)
        async with _opened(options) as (desk, pool):
            run = await ask_run(desk, self._declared(options, pool), options.name, given, ASKED_BY)
            if not options.quiet:
                print(f"Run {run.id} of {run.job} waits for its turn.", flush=True)
            if not has_server(await find_job(desk, run.job), await desk.now()):
                _complain(f"No server has {run.job} now: the run waits until one with it is there.")
            if not options.follow:
                return OK
            run = await follow_run(desk, run, Teller(options.quiet).tell, _complain)
            if (successor := await find_successor(desk, run)) and not options.quiet:
                print(f"It is tried again as run {successor.id}, from {moment(successor.not_before)} on.")
            return _code_of(run)

    async def _run_here(self, options: argparse.Namespace, given: Mapping[str, str]) -> int:
        async with _opened(options) as (desk, pool):
            job = self._declared(options, pool).get(options.name)
            if job is None:
                raise JobNotFound(f"The job {options.name[:50]!r} is not installed here.")
            run = await run_here(job, pool, read_arguments(job, given), ASKED_BY)
            Teller(options.quiet).tell(run, await desk.now())
        return _code_of(run)

    def _declared(self, options: argparse.Namespace, pool: asyncpg.Pool) -> Mapping[str, Job]:
        return {one.name: one for one in self.jobs_of(pool, options.load_settings())}

    async def cancel(self, options: argparse.Namespace) -> int:
        """Cancels a run."""
        id = _parse_id(options.run)
        async with _opened(options) as (desk, _):
            run = await desk.cancel(id)
        if not options.quiet:
            print(f"Run {run.id} of {run.job} {'is cancelled' if run.state.has_ended else 'ends at its next step'}.")
        return OK

    async def pause(self, options: argparse.Namespace) -> int:
        """Lets due times of a job be passed over."""
        return await self._pause(options, paused=True, told="is paused: its due times are passed over.")

    async def resume(self, options: argparse.Namespace) -> int:
        """Lets due times of a job be seen to again."""
        return await self._pause(options, paused=False, told="is run by its schedule again.")

    async def _pause(self, options: argparse.Namespace, *, paused: bool, told: str) -> int:
        name = options.name
        async with _opened(options) as (desk, _):
            await desk.pause(name, paused)
        if not options.quiet:
            print(f"{name} {told}")
        return OK

    async def list_next(self, options: argparse.Namespace) -> int:
        """Prints the next due times of a job, in UTC and in its zone."""
        if not 1 <= options.count <= MAX_DUE:
            raise BadParameter(f"-n must be from 1 to {MAX_DUE}, not {options.count}")
        async with _opened(options) as (desk, _):
            known, now = await find_job(desk, options.name), await desk.now()
        if schedule_of(known) is None:
            raise BadParameter(f"{known.name} has no schedule: it is only run when asked")
        due = [(at, at.astimezone(zone_of(known))) for at in list_due(known, now, options.count)]
        if options.format == "json":
            print_json([{"due": rfc3339(at), "local": local.isoformat()} for at, local in due])
        elif options.format == "csv":
            print_csv(("due", "local"), *((rfc3339(at), local.isoformat()) for at, local in due))
        else:
            for at, local in due:
                print(f"{moment(at)}  {local:%a %Y-%m-%d %H:%M %z} {printable(known.zone)}")
        return OK


@dataclass(slots=True)
class Teller:
    """Prints a line for each change of a run that is followed."""

    quiet: bool
    told: str = ""

    def tell(self, run: JobRun, now: datetime) -> None:
        line = progress_line(run, now)
        if line != self.told and not self.quiet:
            print(line, flush=True)
        self.told = line


def _code_of(run: JobRun) -> int:
    return OK if run.state is State.COMPLETED else NOT_COMPLETED


def _given(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    for name in ("start", "end"):
        if (text := getattr(options, name)) is not None:
            yield name, text
    if options.reset:
        yield "reset", "yes"
    yield from map(parse_pair, options.set)


def _parse_id(text: str) -> int:
    if not is_id(text):
        raise BadParameter(f"RUN must be the number of a run, not {text[:50]!r}")
    return int(text)


def _complain(message: str) -> None:
    print(f"promise-pub: {printable(message)}", file=sys.stderr, flush=True)


@asynccontextmanager
async def _opened(options: argparse.Namespace) -> AsyncIterator[tuple[StoredJobs, asyncpg.Pool]]:
    settings: Any = options.load_settings()
    async with db.open_pool(settings.database, max_size=3) as pool:
        yield StoredJobs(pool), pool
