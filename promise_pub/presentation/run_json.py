"""The API's view of a run: its JSON, the schema of that, the way back to a report, and its line in a table. Pure.

JSON has the fields of RUN in their order. A new one takes a line here besides the record's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from promise_pub import json_schema
from promise_pub.consumer_totals import ConsumerTotals
from promise_pub.delivery.evidence.outcome import Attention, find_attention, judge_gate, judge_passed
from promise_pub.delivery.evidence.ranges import RANGES_SHOWN, shorten_ranges
from promise_pub.errors import BadParameter, ServerAnswerError
from promise_pub.fates import Fate
from promise_pub.parameters import PARAMETERS_SHAPE
from promise_pub.parameters.gate import JudgedClause, Outcome
from promise_pub.records import (
    ConfirmLatency,
    Counts,
    EarlierSession,
    Fault,
    Finding,
    FindingKind,
    Resent,
    RunReport,
    Seconds,
    SessionView,
    State,
    StoredFile,
    Verdict,
)
from promise_pub.shapes import COUNT, FLAG, MOMENT, TEXT, Field, Shape, array, named, nullable, one_of, record, rounded
from promise_pub.times import rfc3339

Json = dict[str, Any]

_ID = Shape(json_schema.UUID)
_RANGES = Shape({**json_schema.TEXT, "pattern": "^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$"})
_SOME_RANGES = Shape(
    {
        **json_schema.TEXT,
        "pattern": "^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*( and [0-9,]+ more ranges?)?)?$",
    },
    shorten_ranges,
)
_DIGEST = Shape({**json_schema.TEXT, "pattern": "^[0-9a-f]{32}$"})
_SHA256 = Shape({**json_schema.TEXT, "pattern": "^[0-9a-f]{64}$"})
_SECONDS, _MILLISECONDS = rounded(3), rounded(1)
_NOT_TOLD = "null: the consumer did not tell, which is never zero."

FILE = record(
    StoredFile, Field("name", TEXT, "As the client called it."), Field("bytes", COUNT), Field("sha256", _SHA256)
)
ROWS = record(
    Counts,
    Field("read", COUNT, "Records in the file, as far as it was read."),
    Field("rejected", COUNT, "Records that cannot be published."),
    Field("published", COUNT, "Rows that were sent."),
    Field("confirmed", COUNT, "Rows that the broker has taken."),
    Field("returned", COUNT, "Rows that no queue took."),
    Field("nacked", COUNT, "Rows that the broker refused."),
    Field("resent", COUNT, "Messages that were rows published before."),
    Field("in_flight", COUNT, "Rows published and not settled.", computed=True),
    Field("unpublished", COUNT, "Accepted rows that were not sent yet.", computed=True),
    description="Rows by what became of them.",
)
SESSION = record(
    SessionView,
    Field("uuid", TEXT, "As the consumer named it; its queue's name."),
    Field("received", nullable(COUNT), f"Messages received; {_NOT_TOLD}", newer=True),
    Field("saved", nullable(COUNT), f"Rows saved; {_NOT_TOLD}", newer=True),
    Field("duplicates", COUNT, "Received and not saved: it had the row or its mail.", optional=True),
    Field("invalid", COUNT, "Received, and no usable row.", optional=True),
    Field("digest", _DIGEST, "Of the distinct messages received.", optional=True),
    Field("rows", _RANGES, "Their row numbers.", optional=True),
    description="The consumer's session, as last reported.",
)
_SESSION = named("Session", SESSION)
TOTALS = record(
    ConsumerTotals,
    Field("received", nullable(COUNT)),
    Field("saved", nullable(COUNT)),
    Field("repeats", nullable(COUNT), "Not saved: the consumer had the row or its mail."),
    Field("unusable", nullable(COUNT), "Of no use to the consumer."),
    description="Rows as the consumer reports them, over all sessions of the run. Of a session that ended before the run, "
    f"only those that it accounts for. {_NOT_TOLD}",
)
# Kinds that only a newer version knows are not read.
_FINDINGS = Shape(
    json_schema.array(
        json_schema.object_of(
            {
                "kind": json_schema.TEXT,
                "verdict": json_schema.one_of(Verdict),
                "rows": json_schema.nullable(json_schema.COUNT),
            }
        )
    ),
    lambda findings: [one.as_json() for one in findings],
    Finding.parse_all,
)
_FATES = Shape(json_schema.nullable(json_schema.object_of(dict.fromkeys(Fate, json_schema.COUNT), *Fate)))
RUN = record(
    RunReport,
    Field("id", _ID),
    Field("state", one_of(State), f"Final: {', '.join(f'`{state}`' for state in State if state.final)}."),
    Field("", PARAMETERS_SHAPE, attribute="parameters"),
    Field("file", FILE),
    Field("created_at", MOMENT),
    Field(
        "started_by", nullable(TEXT), "The user or token that asked for the run; null where nobody logs in.", newer=True
    ),
    Field("started_at", nullable(MOMENT), newer=True),
    Field("finished_at", nullable(MOMENT), "null while the run waits or works.", newer=True),
    Field(
        "seconds",
        record(Seconds, *(Field(name, _SECONDS) for name in Seconds.__slots__), description="How long each part took."),
    ),
    Field("blocked", FLAG, "The broker refuses to read because of an alarm.", newer=True),
    Field("rows", ROWS, attribute="counts"),
    Field("read_bytes", COUNT, "How far the file was read.", newer=True),
    Field("digest", nullable(_DIGEST), "Of the rows that were accepted.", newer=True),
    Field("returned_rows", _SOME_RANGES, f"At most {RANGES_SHOWN:,} ranges.", newer=True),
    Field("nacked_rows", _SOME_RANGES, f"At most {RANGES_SHOWN:,} ranges.", newer=True),
    Field(
        "unconfirmed_rows",
        _SOME_RANGES,
        f"Published and never confirmed: at most {RANGES_SHOWN:,} ranges, once the run has ended.",
        newer=True,
    ),
    Field(
        "fates", _FATES, "All records of the file by what became of them; null until that is worked out.", computed=True
    ),
    Field(
        "resends",
        array(record(Resent, Field("rows", COUNT), Field("reason", TEXT))),
        "Rows published again, and why.",
        newer=True,
    ),
    Field("session", nullable(_SESSION)),
    Field(
        "earlier_sessions",
        array(
            record(
                EarlierSession,
                Field("session", _SESSION),
                Field("first_row", COUNT, attribute="first"),
                Field("last_row", COUNT, attribute="last"),
            )
        ),
        attribute="earlier",
        newer=True,
    ),
    Field("totals", TOTALS, computed=True),
    Field("resumable", FLAG, "The run's state allows to resume it.", computed=True),
    Field("db_count", nullable(COUNT), "Rows in `employees` after the run."),
    Field("verdict", nullable(one_of(Verdict)), "null unless the run is completed."),
    Field(
        "passed",
        nullable(FLAG),
        "The promise is kept, and no gate failed or could not be judged. null unless the run is completed.",
        compute=judge_passed,
    ),
    Field(
        "attention",
        array(one_of(Attention)),
        "What is worth a look although the promise is kept, the weightiest first; a new code may come.",
        compute=find_attention,
    ),
    Field(
        "gate",
        array(
            record(
                JudgedClause,
                Field("clause", TEXT),
                Field("outcome", one_of(Outcome)),
                Field("seen", TEXT, "The values it saw, as in 11,201 < 11,273."),
                Field("untold", array(TEXT), "Names that nobody told."),
            )
        ),
        "The clauses of `fail_if`, once the run is completed.",
        compute=judge_gate,
    ),
    Field("explanation", array(TEXT), "The reasons for the verdict."),
    Field(
        "findings",
        _FINDINGS,
        "The reasons as codes, one for each sentence of `explanation` in its order; none for a run that an older version "
        f"judged. Stable; a new kind may come. Kinds: {', '.join(f'`{kind}`' for kind in FindingKind)}.",
        newer=True,
    ),
    Field(
        "confirm_ms",
        nullable(record(ConfirmLatency, *(Field(name, _MILLISECONDS) for name in ConfirmLatency.__slots__))),
        "Latency of the publisher confirms.",
        newer=True,
    ),
    Field("position", nullable(Shape(json_schema.ORDINAL, decode=int)), "In the queue of waiting runs."),
    Field("error", nullable(record(Fault, Field("code", Shape(json_schema.ref("Code"))), Field("message", TEXT)))),
    description="A run, as it is now.",
)


def encode_run(report: RunReport) -> Json:
    """Returns a run in JSON types: times in RFC 3339, seconds and milliseconds rounded."""
    return RUN.encode(report)  # type: ignore[no-any-return]


def decode_run(told: Json) -> RunReport:
    """Decodes a run from JSON. Raises ServerAnswerError for anything else."""
    try:
        return RUN.decode(told)  # type: ignore[no-any-return]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, BadParameter) as error:
        raise ServerAnswerError(f"The server's answer is no run: {error!r:.200}") from error


_CELLS: Mapping[str, Callable[[RunReport], str | int | float | None]] = {
    "id": lambda run: run.id,
    "created_at": lambda run: rfc3339(run.created_at),
    "file": lambda run: run.file.name,
    "mode": lambda run: run.parameters.mode.value,
    "state": lambda run: run.state.value,
    "verdict": lambda run: run.verdict and run.verdict.value,
    "passed": judge_passed,
    "attention": lambda run: " ".join(find_attention(run)) or None,
    "read": lambda run: run.counts.read,
    "rejected": lambda run: run.counts.rejected,
    "sent": lambda run: run.counts.confirmed,
    "received": lambda run: run.totals.received,
    "saved": lambda run: run.totals.saved,
    "seconds": lambda run: round(run.seconds.total, 3),
    "error": lambda run: run.error.code if run.error else None,
}
SUMMARY = tuple(_CELLS)
"""The headings of a table of runs."""


def summarize_run(report: RunReport) -> tuple[str | int | float | None, ...]:
    """Returns a run's line in a table with the headings of SUMMARY. None is an empty cell."""
    return tuple(cell(report) for cell in _CELLS.values())
