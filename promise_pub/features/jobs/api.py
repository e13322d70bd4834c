"""The operations of jobs in the API's description, and the schemas of their responses."""

from __future__ import annotations

from promise_pub import errors
from promise_pub.body_fields import FORM_TYPE, JSON_TYPE
from promise_pub.features.jobs.asking import LIMIT, MAX_LIMIT
from promise_pub.features.jobs.errors import JobEnded, JobNotFound, JobRunNotFound, JobWaiting
from promise_pub.features.jobs.given import MAX_GIVEN, MAX_TEXT
from promise_pub.features.jobs.records import Reason, State
from promise_pub.features.jobs.store import MAX_ID, MAX_WAITING
from promise_pub.http.negotiation import CSV, HTML, JSON
from promise_pub.http.openapi.answers import DATABASE, Operation, answer, formats, not_modified, problems
from promise_pub.http.openapi.document import Operations
from promise_pub.http.openapi.parameters import IF_NONE_MATCH, format_parameter, query
from promise_pub.http.problem_catalog import Kind
from promise_pub.json_schema import (
    COUNT,
    FLAG,
    MOMENT,
    ORDINAL,
    TEXT,
    Schema,
    array,
    described,
    nullable,
    object_of,
    one_of,
    ref,
)

_NUMBER: Schema = {**ORDINAL, "maximum": MAX_ID}
_NAME: Schema = {
    "name": "job",
    "in": "path",
    "required": True,
    "description": "The job's name.",
    "schema": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,31}$"},
}
_ID: Schema = {
    "name": "job_run",
    "in": "path",
    "required": True,
    "description": "The run's number.",
    "schema": _NUMBER,
}
_FOR_OPERATORS = "For operators, if users log in."
_ASKED: tuple[Kind, ...] = (errors.BadParameter, errors.NotAllowed)


def _list() -> Operation:
    return {
        "operationId": "listJobs",
        "tags": ["jobs"],
        "summary": "List the jobs",
        "description": f"Each with its schedule, what goes on, and its last run. {_FOR_OPERATORS}",
        "parameters": [format_parameter(HTML, JSON, CSV), IF_NONE_MATCH],
        "responses": {
            "200": answer("The jobs, by name.", formats(ref("Jobs"), csv=True), "ETag", "Vary"),
            "304": not_modified("ETag", "Vary"),
            **problems((*_ASKED, errors.ServerBusy, *DATABASE)),
        },
    }


def _show() -> Operation:
    return {
        "operationId": "showJob",
        "tags": ["jobs"],
        "summary": "Show a job and its runs",
        "description": f"The newest runs first; `Link` has the address of older ones. CSV has only the runs. {_FOR_OPERATORS}",
        "parameters": [
            _NAME,
            query("before", _NUMBER, "Only runs before this number."),
            query("limit", {**ORDINAL, "maximum": MAX_LIMIT, "default": LIMIT}, "At most so many runs."),
            format_parameter(HTML, JSON, CSV),
            IF_NONE_MATCH,
        ],
        "responses": {
            "200": answer("The job.", formats(ref("JobWithRuns"), csv=True), "ETag", "Vary", "Link"),
            "304": not_modified("ETag", "Vary", "Link"),
            **problems((*_ASKED, JobNotFound, errors.ServerBusy, *DATABASE)),
        },
    }


def _show_run() -> Operation:
    return {
        "operationId": "showJobRun",
        "tags": ["jobs"],
        "summary": "Show a run of a job",
        "description": _FOR_OPERATORS,
        "parameters": [_NAME, _ID, format_parameter(HTML, JSON, CSV), IF_NONE_MATCH],
        "responses": {
            "200": answer("The run.", formats(ref("JobRun"), csv=True), "ETag", "Vary"),
            "304": not_modified("ETag", "Vary"),
            **problems((*_ASKED, JobRunNotFound, *DATABASE)),
        },
    }


def _start() -> Operation:
    text = {"type": "string", "maxLength": MAX_TEXT}
    given = {"type": "object", "maxProperties": MAX_GIVEN}
    return {
        "operationId": "runJob",
        "tags": ["jobs"],
        "summary": "Ask for a run of a job",
        "description": "It begins as soon as the job's present run has ended. The arguments are those that `GET /jobs/{job}` "
        "lists; a flag is given as `true`, or as `yes` in a form. 409 `job_waiting` where a run with the same arguments waits "
        "already, but for the next try of one, which begins at once. "
        f"At most {MAX_WAITING} runs of a job may wait. {_FOR_OPERATORS}",
        "parameters": [_NAME, format_parameter(HTML, JSON)],
        "requestBody": {
            "content": {
                JSON_TYPE: {
                    "schema": {**given, "additionalProperties": {"anyOf": [text, FLAG, {"type": "null"}]}},
                    "example": {"start": "2026-01-01", "reset": True},
                },
                FORM_TYPE: {"schema": {**given, "additionalProperties": text}},
            }
        },
        "responses": _accepted(
            "The run waits for its turn.", JobNotFound, JobWaiting, errors.UploadIncomplete, errors.TooManyWaiting
        ),
    }


def _cancel() -> Operation:
    return {
        "operationId": "cancelJobRun",
        "tags": ["jobs"],
        "summary": "Cancel a run of a job",
        "description": "A run that waits ends at once, one that goes on at its next step; 409 where it has ended. "
        f"{_FOR_OPERATORS}",
        "parameters": [_NAME, _ID, format_parameter(HTML, JSON)],
        "responses": _accepted("The run has ended, or ends at its next step.", JobRunNotFound, JobEnded),
    }


def _accepted(words: str, *kinds: Kind) -> dict[str, Schema]:
    parameters = {"job": "$response.body#/job", "job_run": "$response.body#/id"}
    links = {
        name: {"operationId": operation, "parameters": parameters}
        for name, operation in (("run", "showJobRun"), ("cancel", "cancelJobRun"))
    }
    return {
        "202": answer(words, formats(ref("JobRun"), html=False), "Location", "Vary") | {"links": links},
        "303": answer("A browser is sent to the run's page.", None, "Location"),
        **problems((*_ASKED, *kinds, *DATABASE)),
    }


def _pause() -> Operation:
    return {
        "operationId": "pauseJob",
        "tags": ["jobs"],
        "summary": "Pause the schedule of a job",
        "description": f"Its due times are passed over until it is resumed. {_FOR_OPERATORS}",
        **_changing_schedule(),
    }


def _resume() -> Operation:
    return {
        "operationId": "resumeJob",
        "tags": ["jobs"],
        "summary": "Resume the schedule of a job",
        "description": f"Its due times are seen to again, from now on. {_FOR_OPERATORS}",
        **_changing_schedule(),
    }


def _changing_schedule() -> Operation:
    return {
        "parameters": [_NAME, format_parameter(HTML, JSON)],
        "responses": {
            "200": answer("The job.", formats(ref("Job"), html=False), "Vary"),
            "303": answer("A browser is sent to the job's page.", None, "Location"),
            **problems((*_ASKED, JobNotFound, *DATABASE)),
        },
    }


def _job() -> dict[str, Schema]:
    return {
        "name": TEXT,
        "title": described(TEXT, "A sentence: what it does."),
        "schedule": described(nullable(TEXT), "Five fields of cron; null: it is only run when asked."),
        "schedule_words": described(TEXT, "The schedule in words, with its time zone."),
        "timezone": TEXT,
        "paused": described(FLAG, "Whether its due times are passed over."),
        "has_server": described(FLAG, "Whether a server with this job was there in the last two minutes."),
        "seen_at": described(MOMENT, "When one was there last."),
        "next_due": described(nullable(MOMENT), "The first due time that was not seen to; null where none will be."),
        "overdue": described(FLAG, "Whether that has passed."),
        "running": nullable(ref("JobRun")),
        "waiting": described(array(ref("JobRun")), "Runs that wait for their turn, or for their next try."),
        "last": described(nullable(ref("JobRun")), "The newest run that has ended."),
    }


def _run() -> Schema:
    return object_of(
        {
            "id": ORDINAL,
            "job": TEXT,
            "reason": described(one_of(Reason), "A due time, a person, a try that failed, or one that was cut off."),
            "due": described(nullable(MOMENT), "The due time that it is for."),
            "missed": described(COUNT, "Due times before it that it stands for; 1001: more than 1,000."),
            "arguments": {"type": "object", "additionalProperties": TEXT},
            "asked_by": described(nullable(TEXT), "The user or token that asked for it."),
            "state": described(
                one_of(State), "An interrupted run was cut off with its server; another goes on for it."
            ),
            "attempt": described(ORDINAL, "Which try it is."),
            "after": described(nullable(ORDINAL), "The run whose next try it is."),
            "not_before": described(MOMENT, "It waits until then at least."),
            "server": described(nullable({"type": "integer"}), "The name of the server that runs it, or ran it."),
            "created_at": MOMENT,
            "started_at": nullable(MOMENT),
            "progressed_at": described(nullable(MOMENT), "When its last step was committed."),
            "ended_at": nullable(MOMENT),
            "done": described(nullable(COUNT), "How much is done, as of its last step."),
            "total": described(nullable(COUNT), "Of how much, where that is known."),
            "message": described(nullable(TEXT), "Its progress in words."),
            "error_code": nullable(TEXT),
            "error_message": nullable(TEXT),
            "cancelling": described(FLAG, "Whether it ends at its next step."),
            "stalled": described(FLAG, "Whether it made no progress for ten minutes."),
        },
        description="A run of a job.",
    )


def schemas() -> dict[str, Schema]:
    """Returns the schemas by their names."""
    argument = object_of({"name": TEXT, "help": TEXT, "flag": described(FLAG, "Whether it is given without a value.")})
    more = {
        "arguments": described(array(argument), "What a run takes; empty where this server does not have the job."),
        "cookies": {"type": "object", "description": "What it keeps to go on from, by name."},
    }
    return {
        "Job": object_of(_job(), description="A job, as it is now."),
        "Jobs": object_of({"jobs": array(ref("Job"))}),
        "JobWithRuns": object_of({"job": object_of({**_job(), **more}), "runs": array(ref("JobRun"))}),
        "JobRun": _run(),
    }


OPERATIONS: Operations = {
    ("GET", "/jobs"): _list,
    ("GET", "/jobs/{job}"): _show,
    ("GET", "/jobs/{job}/runs/{job_run}"): _show_run,
    ("POST", "/jobs/{job}/run"): _start,
    ("POST", "/jobs/{job}/runs/{job_run}/cancel"): _cancel,
    ("POST", "/jobs/{job}/pause"): _pause,
    ("POST", "/jobs/{job}/resume"): _resume,
}
