"""Jobs looked up, and their runs asked for, as pages, API and commands do alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promise_pub.errors import BadParameter
from promise_pub.features.jobs.arguments import read_arguments
from promise_pub.features.jobs.errors import JobNotFound, JobRunNotFound
from promise_pub.features.jobs.ports import JobsDesk
from promise_pub.features.jobs.records import JobRun, KnownJob, State
from promise_pub.features.jobs.report import JobStatus, judge_jobs
from promise_pub.features.jobs.store import MAX_ID
from promise_pub.jobs import Job

LIMIT, MAX_LIMIT = 50, 500  # runs of a page


async def list_jobs(desk: JobsDesk) -> Sequence[JobStatus]:
    """Returns the state of every job, by name."""
    return judge_jobs(await desk.known(), await desk.newest_runs(), await desk.now())


async def find_status(desk: JobsDesk, name: str) -> JobStatus:
    """Raises JobNotFound."""
    found = next((one for one in await list_jobs(desk) if one.known.name == name), None)
    if found is None:
        raise _no_job(name)
    return found


async def find_job(desk: JobsDesk, name: str) -> KnownJob:
    """Raises JobNotFound."""
    found = next((one for one in await desk.known() if one.name == name), None)
    if found is None:
        raise _no_job(name)
    return found


def _no_job(name: str) -> JobNotFound:
    return JobNotFound(f"There is no job {name[:50]!r}.")


def parse_id(text: str) -> int:
    """Raises JobRunNotFound for what is no number of a run."""
    if not is_id(text):
        raise JobRunNotFound(f"There is no run {text[:50]!r}.")
    return int(text)


def is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= MAX_ID


async def find_run(desk: JobsDesk, job: str, id: int) -> JobRun:
    """Returns a run of this job. Raises JobRunNotFound, also for a run of another."""
    run = await desk.run(id)
    if run.job != job:
        raise JobRunNotFound(f"There is no run {id} of {job[:50]}.")
    return run


async def find_successor(desk: JobsDesk, run: JobRun) -> JobRun | None:
    """Returns the next try of a run that failed or was cut off, where it is among the job's newest runs."""
    if run.state not in (State.FAILED, State.INTERRUPTED):
        return None
    return next((one for one in await desk.runs(run.job, LIMIT) if one.after == run.id), None)


async def ask_run(
    desk: JobsDesk, declared: Mapping[str, Job], name: str, given: Mapping[str, str], asked_by: str | None
) -> JobRun:
    """Queues a run with these arguments. Raises what `JobsDesk.ask` does, and BadParameter for one that the job does not take.

    Those of a job that is only declared elsewhere cannot be read here, so it is asked for without any.
    """
    if job := declared.get(name):
        return await desk.ask(name, read_arguments(job, given), asked_by)
    if given:
        await find_job(desk, name)
        raise BadParameter(f"The job {name} is not installed here, so only a run without arguments can be asked for.")
    return await desk.ask(name, {}, asked_by)
