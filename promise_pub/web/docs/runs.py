"""The descriptions of requests about runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from promise_pub import errors
from promise_pub.delivery.input.uploads import NAME_LIMIT
from promise_pub.delivery.store.query import NEWEST_FIRST, Sort
from promise_pub.fates import Fate
from promise_pub.http.negotiation import CSV, HTML, JSON
from promise_pub.http.openapi.answers import DATABASE, Operation, answer, formats, not_modified, problems
from promise_pub.http.openapi.parameters import (
    IF_NONE_MATCH,
    PAGE_HEADERS,
    PREFER,
    format_parameter,
    header,
    page_parameters,
    query,
)
from promise_pub.http.problem_catalog import CATALOG, Kind
from promise_pub.json_schema import COUNT, FLAG, ORDINAL, TEXT, UUID, Schema, described, object_of, one_of, ref
from promise_pub.parameters import FILE_PARAMETERS, Mode
from promise_pub.records import MAX_REJECTS, State, Verdict
from promise_pub.web.docs.parameters import RUN_ID, file_body, in_query
from promise_pub.web.docs.reports import show_report, tell_report
from promise_pub.web.docs.rows import fate_parameter, list_rows
from promise_pub.web.runs.compare import MAX_RUNS, MIN_RUNS
from promise_pub.web.runs.forms import WHOLE
from promise_pub.web.runs.history import ORDERS
from promise_pub.web.runs.preview import LIMIT, SHOWN

BUSY: tuple[Kind, ...] = (errors.TooManyWaiting, errors.ServerStopping)


def _links() -> dict[str, Schema]:
    """Returns links from a run to the requests that continue from it."""
    targets = {
        "run": "showRun",
        "stream": "streamRun",
        "rejects": "listRejects",
        "rows": "listRows",
        "report": "tellReport",
        "cancel": "cancelRun",
        "resume": "resumeRun",
        "again": "repeatRun",
    }
    return {
        name: {"operationId": operation, "parameters": {"id": "$response.body#/id"}}
        for name, operation in targets.items()
    }


def _a_run(description: str, *named: str) -> Schema:
    response = answer(description, formats(ref("Run")), "Vary", *named)
    return {**response, "links": _links()}


def _ended_or_dry() -> Schema:
    response = _a_run("The run ended by itself; its verdict is in it. Or the report of a dry run.")
    return response | {"content": formats({"anyOf": [ref("Run"), ref("DryRun")]})}


def _accepted() -> Schema:
    return _a_run("The run, as it is now.", "Location", "Preference-Applied")


def _simulate() -> Operation:
    sent: tuple[Kind, ...] = (
        errors.BadParameter,
        errors.FileMissing,
        errors.UploadIncomplete,
        errors.UploadTooSlow,
        errors.FileTooLarge,
        errors.EncodingNotSupported,
        errors.DiskFull,
        errors.NoUsableRow,
        errors.BadHeader,
        errors.NotCsv,
        *(kind for kind in CATALOG if CATALOG[kind].ends_run),
        *BUSY,
    )
    name = query("filename", TEXT, "The file's name, where it is the body.", example="data.csv")
    return {
        "operationId": "simulate",
        "tags": ["runs"],
        "summary": "Run one file",
        "description": "Answers when the run has ended, or at once with `Prefer: respond-async`. A client that hangs up does not stop its run.",
        "parameters": [*in_query(), name, format_parameter(HTML, JSON), PREFER],
        "requestBody": file_body(),
        "responses": {
            "200": _ended_or_dry(),
            "202": _accepted(),
            **problems(sent),
            "409": problems([errors.NotClearable])["409"]
            | {
                "description": "The employees table cannot be emptied: `not_clearable`. "
                "The run was cancelled while you waited: `cancelled`."
            },
        },
    }


def _filters() -> list[Schema]:
    sort = {**one_of(Sort), "default": NEWEST_FIRST.sort.value}
    return [
        query("state", one_of(State), "Only runs in this state."),
        query("verdict", one_of(Verdict), "Only runs with this verdict."),
        query("mode", one_of(Mode), "Only runs in this mode."),
        query(
            "file",
            {**TEXT, "maxLength": NAME_LIMIT},
            "Only runs whose file's name has this in it, upper and lower case alike.",
        ),
        query("sort", sort, "What they are sorted by."),
        query("order", {"type": "string", "enum": [*ORDERS]}, "`desc` where nothing is said, `asc` for names."),
    ]


def _history() -> Operation:
    runs = {"type": "array", "items": ref("Run")}
    listed = answer("A page of runs.", formats(runs, csv=True), "ETag", "Vary", *PAGE_HEADERS)
    return {
        "operationId": "listRuns",
        "tags": ["runs"],
        "summary": "The history, newest first where no other order is asked for",
        "parameters": [*_filters(), *page_parameters("Runs"), format_parameter(HTML, JSON, CSV), IF_NONE_MATCH],
        "responses": {
            "200": listed,
            "304": not_modified("ETag", "Vary", *PAGE_HEADERS),
            **problems((errors.BadParameter, *DATABASE)),
        },
    }


def _run() -> Operation:
    found = answer("The run, as it is now.", formats(ref("Run")), "ETag", "Vary")
    return {
        "operationId": "showRun",
        "tags": ["runs"],
        "summary": "One run",
        "description": "Live while it goes, as it was recorded later. Its failure is in it, not in the status.",
        "parameters": [RUN_ID, format_parameter(HTML, JSON), IF_NONE_MATCH],
        "responses": {
            "200": found | {"links": _links()},
            "304": not_modified("ETag", "Vary"),
            **problems((errors.BadParameter, errors.RunNotFound, *DATABASE)),
        },
    }


def _stream() -> Operation:
    last = header("Last-Event-ID", "The id of the last event you got.", "end")
    events = {"text/event-stream": {"schema": ref("Event")}}
    words = "`progress` whenever the run has changed, at most 5 a second, and `end`; both carry the run in JSON."
    return {
        "operationId": "streamRun",
        "tags": ["runs"],
        "summary": "A run as it goes, by server-sent events",
        "description": words,
        "parameters": [RUN_ID, format_parameter(HTML, JSON), last],
        "responses": {
            "200": answer("The events, until the run has ended.", events),
            "204": answer("There is nothing more: you had the end."),
            **problems((errors.BadParameter, errors.RunNotFound, *DATABASE)),
        },
    }


def _rejects() -> Operation:
    rows = {"type": "array", "items": ref("RejectedRow"), "maxItems": MAX_REJECTS}
    content = formats(rows, csv=True, html=False)
    named = ("X-Total-Count", "ETag", "Vary")
    return {
        "operationId": "listRejects",
        "tags": ["runs"],
        "summary": "The rejected rows of a run",
        "description": f"CSV unless JSON is asked for; the first {MAX_REJECTS:,}. Cells that a spreadsheet would execute are neutralised.",
        "parameters": [RUN_ID, format_parameter(HTML, JSON, CSV), IF_NONE_MATCH],
        "responses": {
            "200": answer("The rows.", content, "Content-Disposition", *named),
            "304": not_modified(*named),
            **problems((errors.BadParameter, errors.RunNotFound, *DATABASE)),
        },
    }


def _act(
    name: str, summary: str, words: str, *kinds: Kind, parameters: Sequence[Schema] = ()
) -> Callable[[], Operation]:
    def operation() -> Operation:
        return {
            "operationId": name,
            "tags": ["runs"],
            "summary": summary,
            "description": words,
            "parameters": [RUN_ID, *parameters, format_parameter(HTML, JSON), PREFER],
            "responses": {"202": _accepted(), **problems((errors.BadParameter, errors.RunNotFound, *kinds, *DATABASE))},
        }

    return operation


def _compare() -> Operation:
    ids = {"type": "array", "items": UUID, "minItems": MIN_RUNS, "maxItems": MAX_RUNS, "uniqueItems": True}
    compared = object_of({"runs": {"type": "array", "items": ref("Run")}, "facts": FACTS})
    return {
        "operationId": "compareRuns",
        "tags": ["runs"],
        "summary": "Runs side by side",
        "description": "As HTML without any run: some to choose from.",
        "parameters": [
            query("run", ids, f"{MIN_RUNS} to {MAX_RUNS} runs."),
            format_parameter(HTML, JSON, CSV),
            IF_NONE_MATCH,
        ],
        "responses": {
            "200": answer("The runs, and what differs.", formats(compared, csv=True), "ETag", "Vary"),
            "304": not_modified("ETag", "Vary"),
            **problems((errors.BadParameter, errors.RunNotFound, *DATABASE)),
        },
    }


FACTS: Schema = {
    "type": "array",
    "items": object_of(
        {
            "group": TEXT,
            "name": TEXT,
            "unit": TEXT,
            "values": {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}},
            "differs": FLAG,
        }
    ),
}


def _preview() -> Operation:
    body = {"type": "object", "additionalProperties": TEXT}
    row = object_of({"number": ORDINAL, "body": body})
    sent = (
        errors.BadParameter,
        errors.UploadIncomplete,
        errors.UploadTooSlow,
        errors.FileTooLarge,
        errors.EncodingNotSupported,
        errors.BadHeader,
        errors.NotCsv,
        errors.TooManyWaiting,
    )
    shown = object_of(
        {
            "columns": {"type": "array", "items": TEXT},
            "rows": {"type": "array", "items": row, "maxItems": SHOWN},
            "rejected": {"type": "array", "items": ref("RejectedRow"), "maxItems": SHOWN},
            "counts": object_of({"accepted": COUNT, "rejected": COUNT}),
            "more": described(FLAG, "Whether there is more than was looked at."),
        }
    )
    return {
        "operationId": "preview",
        "tags": ["runs"],
        "summary": "What the beginning of a file would become",
        "description": f"The first rows as they would be published, and what would be rejected. The body is the first {LIMIT:,} bytes of the file, or less. Nothing is kept.",
        "parameters": [*in_query((*FILE_PARAMETERS, WHOLE))],
        "requestBody": {"required": True, "content": {"text/csv": {"schema": {**TEXT, "minLength": 1}}}},
        "responses": {"200": answer("What it would become.", formats(shown, html=False)), **problems(sent)},
    }


OPERATIONS: Mapping[tuple[str, str], Callable[[], Operation]] = {
    ("POST", "/simulate/"): _simulate,
    ("POST", "/preview/"): _preview,
    ("GET", "/runs"): _history,
    ("GET", "/runs/{id}"): _run,
    ("GET", "/runs/{id}/stream"): _stream,
    ("GET", "/runs/{id}/rejects"): _rejects,
    ("GET", "/runs/{id}/rows"): list_rows,
    ("GET", "/runs/{id}/report.html"): show_report,
    ("GET", "/runs/{id}/report.json"): tell_report,
    ("POST", "/runs/{id}/cancel"): _act(
        "cancelRun", "End a run", "202 while it still ends, within two seconds.", errors.NotCancellable
    ),
    ("POST", "/runs/{id}/resume"): _act(
        "resumeRun",
        "Go on with a run that did not complete",
        "From its checkpoint, in the old session if the consumer still has it.",
        errors.NotResumable,
        *BUSY,
    ),
    ("POST", "/runs/{id}/again"): _act(
        "repeatRun",
        "Make a run again",
        "A new run of the same file with the same settings; or of exactly those rows that have the fates which are given, "
        "and then it never empties employees.",
        errors.NotRepeatable,
        errors.RowsNotReady,
        errors.RowsLost,
        errors.NotClearable,
        errors.DiskFull,
        *BUSY,
        parameters=[fate_parameter("Only the rows of these fates.", Fate.REJECTED)],
    ),
    ("GET", "/compare"): _compare,
}
