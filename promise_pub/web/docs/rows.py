"""The description of the request for the rows of a run."""

from __future__ import annotations

from promise_pub import errors
from promise_pub.fates import ATTENTION, Fate
from promise_pub.http.negotiation import CSV, HTML, JSON
from promise_pub.http.openapi.answers import DATABASE, HEADERS, Operation, answer, formats, headers, problems
from promise_pub.http.openapi.parameters import format_parameter, query
from promise_pub.http.pagination import MAX_PER_PAGE, PER_PAGE
from promise_pub.http.problem_catalog import Kind
from promise_pub.json_schema import COUNT, ORDINAL, TEXT, Schema, ref
from promise_pub.web.docs.parameters import RUN_ID
from promise_pub.web.runs.row_query import MAX_TEXT

_MAX_LINE = 10**12 - 1
_WORDS = f"""\
Every record of the file with its line, its fate and the reason. CSV and JSON are all rows that are asked for, sent while \
they are found, unless `per_page` asks for some; HTML is a page of {PER_PAGE}. `Link` names the `next` rows. JSON has a \
line for each. Cells of CSV that a spreadsheet would execute are neutralised. Once the file is no longer kept, lines and \
fates remain, and text is not looked for any more (`rows_lost`).
"""


def fate_parameter(description: str, *without: Fate) -> Schema:
    """Describes a parameter of fates, which may be given several times, or once with commas."""
    known = [fate.value for fate in Fate if fate not in without]
    one = {"type": "string", "enum": [*known, ATTENTION]}
    # More would only repeat some, and there is a limit to the parameters of a request.
    return query("fate", {"type": "array", "items": one, "maxItems": len(known) + 1}, description)


def list_rows() -> Operation:
    """Describes `GET /runs/{id}/rows`."""
    content = formats({"type": "array", "items": ref("Row")}, csv=True)
    named = headers("Vary", "Link", "Content-Disposition")
    # Without a text alone: how many rows hold one is not known before all were looked at.
    rows = answer("The rows.", content) | {"headers": {**named, "X-Total-Count": HEADERS["X-Total-Count"]}}
    kinds: tuple[Kind, ...] = (errors.BadParameter, errors.RunNotFound, errors.RowsNotReady, errors.RowsLost, *DATABASE)
    return {
        "operationId": "listRows",
        "tags": ["runs"],
        "summary": "The rows of a run by what became of them",
        "description": _WORDS,
        "parameters": [
            RUN_ID,
            fate_parameter(f"Only rows of these fates; `{ATTENTION}`: of all that need somebody."),
            query("text", {**TEXT, "maxLength": MAX_TEXT}, "Only rows whose content holds this, in capitals or not."),
            query("line", {**ORDINAL, "maximum": _MAX_LINE}, "Only rows from this line on."),
            query("after", {**COUNT, "maximum": _MAX_LINE}, "Only rows after this line: where the rows before ended."),
            query("per_page", {**ORDINAL, "maximum": MAX_PER_PAGE}, "At most so many; fewer where rows are long."),
            format_parameter(HTML, JSON, CSV),
        ],
        "responses": {"200": rows, **problems(kinds)},
    }
