"""Errors of jobs."""

from __future__ import annotations

from promise_pub.errors import RequestError
from promise_pub.http.problem_catalog import Entry, Kind


class JobNotFound(RequestError):
    """No server on this database has a job of this name."""

    code = "job_not_found"


class JobRunNotFound(RequestError):
    """The run of a job does not exist."""

    code = "job_run_not_found"


class JobWaiting(RequestError):
    """The same run of this job is waiting already."""

    code = "job_waiting"


class JobEnded(RequestError):
    """The run has ended already."""

    code = "job_ended"


ENTRIES: dict[Kind, Entry] = {
    JobNotFound: Entry(404, "Find it in the list of jobs."),
    JobRunNotFound: Entry(404, "Find it in the list of runs of its job."),
    JobWaiting: Entry(409, "Wait for it, or cancel it."),
    JobEnded: Entry(409, "Start another run."),
}
