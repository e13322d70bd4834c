"""The descriptions of requests about the records of a run."""

from __future__ import annotations

from promise_pub import errors
from promise_pub.fates import Fate
from promise_pub.http.negotiation import CSV, HTML, JSON
from promise_pub.http.openapi.answers import DATABASE, Operation, answer, formats, not_modified, problems
from promise_pub.http.openapi.parameters import IF_NONE_MATCH, format_parameter, query
from promise_pub.http.pagination import MAX_PER_PAGE
from promise_pub.json_schema import COUNT, ORDINAL, TEXT, Schema, array, described, nullable, object_of, one_of, ref
from promise_pub.web.docs.parameters import RUN_ID
from promise_pub.web.runs.row_query import ATTENTION, MAX_TEXT

ROW_FATE: Schema = object_of(
    {
        "line": described(ORDINAL, "Where it starts in the file."),
        "row": described(nullable(ORDINAL), "Its number among the rows; null for a record that is no row."),
        "fate": one_of(Fate),
        "reason": described(TEXT, "Empty for a row that was saved."),
        "repeats_line": described(nullable(ORDINAL), "The line of the row whose mail it repeats."),
        "content": described(
            nullable(TEXT),
            "The record as CSV, or the first 200 characters of one that is no row; null: the file is gone.",
        ),
        "values": described(
            nullable({"type": "object", "additionalProperties": TEXT}), "The row's fields by their columns."
        ),
    },
    description="A record of a file, and what became of it.",
)


def fate_parameter(description: str) -> Schema:
    """Describes the parameter that chooses fates."""
    choice = {"type": "array", "items": {"type": "string", "enum": [*Fate, ATTENTION]}}
    return query("fate", choice, f"{description} `{ATTENTION}`: all that need somebody's attention.")


def list_rows() -> Operation:
    shown = answer(
        "The records, in the order of the file.",
        formats(array(ref("RowFate")), csv=True),
        *("Content-Disposition", "X-Total-Count", "Link", "ETag", "Vary"),
    )
    return {
        "operationId": "listRows",
        "tags": ["runs"],
        "summary": "The records of a run's file, and what became of each",
        "description": "Once the run has ended. HTML a page at a time; CSV and JSON whole, as a stream, or `per_page` of them with a "
        "`Link` to the next. Cells that a spreadsheet would execute are neutralised. `X-Total-Count` counts the records "
        "with these fates, where no text is looked for.",
        "parameters": [
            RUN_ID,
            fate_parameter("Only records with one of these fates; may be given several times, or with commas."),
            query("text", {**TEXT, "maxLength": MAX_TEXT}, "Only records with this text, in upper or lower case."),
            query("after", {**COUNT, "maximum": 10**12 - 1}, "Only records on later lines than this."),
            query("per_page", {**ORDINAL, "maximum": MAX_PER_PAGE}, "So many at most."),
            format_parameter(HTML, JSON, CSV),
            IF_NONE_MATCH,
        ],
        "responses": {
            "200": shown,
            "304": not_modified("X-Total-Count", "Link", "ETag", "Vary"),
            **problems(
                (
                    errors.BadParameter,
                    errors.RunNotFound,
                    errors.RowsNotReady,
                    errors.RowsLost,
                    errors.StoredFileError,
                    *DATABASE,
                )
            ),
        },
    }
