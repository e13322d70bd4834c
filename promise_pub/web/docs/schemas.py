"""What the API's answers hold, as JSON Schemas: a run, a rejected row, an event. Made from the code's own constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promise_pub.delivery.input.dry_run import REJECTS_TOLD
from promise_pub.http.openapi.schema import (
    AMOUNT,
    COUNT,
    FLAG,
    MOMENT,
    TEXT,
    UUID,
    Schema,
    described,
    nullable,
    object_of,
    ref,
)
from promise_pub.records import FindingKind, Mode, State, Verdict

_RANGES = "^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$"
_VERDICT: Schema = {"type": "string", "enum": [verdict.value for verdict in Verdict]}
_DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}


def _run_parameters() -> dict[str, Schema]:
    return {
        "mode": {"type": "string", "enum": [mode.value for mode in Mode]},
        "timeout": described(COUNT, "Seconds that the queue must have been empty."),
        "rate": described(COUNT, "Rows a second at most; 0: as fast as it goes."),
        "clear": described(FLAG, "Whether `employees` was emptied first."),
        "columns": {"type": "array", "items": TEXT, "description": "The keys of the messages."},
        "header": described(FLAG, "Whether the file's first line has the keys."),
        "delimiter": described(TEXT, "What stands between fields."),
        "encoding": described(TEXT, "How the file's characters are written."),
        "profile": described(nullable(TEXT), "Rows a second : seconds, repeated to the end."),
    }


def _session() -> Schema:
    told = "null: the consumer did not tell, which is never zero."
    return object_of(
        {
            "uuid": described(TEXT, "As the consumer named it; its queue's name."),
            "received": described(nullable(COUNT), f"Messages received; {told}"),
            "saved": described(nullable(COUNT), f"Rows saved; {told}"),
            "duplicates": described(COUNT, "Received and not saved: it had the row or its mail."),
            "invalid": described(COUNT, "Received, and no usable row."),
            "digest": described(_DIGEST, "Of the distinct messages received."),
            "rows": {"type": "string", "pattern": _RANGES, "description": "Their row numbers."},
        },
        "duplicates",
        "invalid",
        "digest",
        "rows",
        description="The consumer's session, as it told it last.",
    )


def _rows() -> Schema:
    names = {
        "read": "Records in the file, as far as it was read.",
        "rejected": "Records that cannot be published.",
        "published": "Rows that were sent.",
        "confirmed": "Rows that the broker has taken.",
        "returned": "Rows that no queue took.",
        "nacked": "Rows that the broker refused.",
        "resent": "Messages that were rows published before.",
        "in_flight": "Rows published and not settled.",
        "unpublished": "Accepted rows that were not sent yet.",
    }
    return object_of(
        {name: described(COUNT, meaning) for name, meaning in names.items()},
        description="Rows by what became of them.",
    )


def _seconds() -> Schema:
    parts = ("queued", "negotiating", "publishing", "draining", "total")
    return object_of({part: AMOUNT for part in parts}, description="How long each part took.")


def _run() -> Schema:
    final = ", ".join(f"`{state.value}`" for state in State if state.final)
    latency = object_of({name: AMOUNT for name in ("p50", "p95", "p99", "max")})
    earlier = object_of({"session": ref("Session"), "first_row": COUNT, "last_row": COUNT})
    return {
        "id": UUID,
        "state": {
            "type": "string",
            "enum": [state.value for state in State],
            "description": f"Where the run is. Final: {final}.",
        },
        **_run_parameters(),
        "file": _file(),
        "created_at": MOMENT,
        "started_at": nullable(MOMENT),
        "finished_at": described(nullable(MOMENT), "null: the run is waiting or going."),
        "seconds": _seconds(),
        "blocked": described(FLAG, "Whether the broker refuses to read because of an alarm."),
        "rows": _rows(),
        "read_bytes": described(COUNT, "How far the file was read."),
        "digest": described(nullable(_DIGEST), "Of the rows that were accepted."),
        "returned_rows": {"type": "string", "pattern": _RANGES},
        "nacked_rows": {"type": "string", "pattern": _RANGES},
        "resends": {
            "type": "array",
            "items": object_of({"rows": COUNT, "reason": TEXT}),
            "description": "Rows published again, and why.",
        },
        "session": nullable(ref("Session")),
        "earlier_sessions": {"type": "array", "items": earlier},
        "resumable": described(FLAG, "Whether its state allows to go on with it."),
        "db_count": described(nullable(COUNT), "Rows in `employees` after the run."),
        "verdict": described(
            nullable(_VERDICT),
            "Whether the promise is kept; null unless the run is completed.",
        ),
        "explanation": {"type": "array", "items": TEXT},
        "findings": {
            "type": "array",
            "items": object_of({"kind": TEXT, "verdict": _VERDICT, "rows": nullable(COUNT)}),
            "description": "The reasons as codes, one for each sentence of `explanation` in its order; none for a run that "
            "an older version judged. Stable; a new kind may come. Kinds: "
            + ", ".join(f"`{kind}`" for kind in FindingKind)
            + ".",
        },
        "confirm_ms": described(nullable(latency), "Latency of the publisher confirms."),
        "position": described(nullable({"type": "integer", "minimum": 1}), "In the queue of waiting runs."),
        "error": nullable(object_of({"code": ref("Code"), "message": TEXT})),
    }


def run_schema(told: Mapping[str, Any]) -> Schema:
    """Of a run; `told` is one. What a run does not tell is not claimed."""
    properties = {name: schema for name, schema in _run().items() if name in told}
    return object_of(properties, description="A run, as it is now.")


def _dry_run() -> Schema:
    """Of the parameters it tells those of the file."""
    asked = _run_parameters()
    file = {name: asked[name] for name in ("columns", "header", "delimiter", "encoding")}
    counts = ("read", "accepted", "rejected", "duplicates")
    return object_of(
        {
            "dry_run": {"const": True},
            "file": _file(),
            **file,
            "rows": object_of({name: COUNT for name in counts}),
            "duplicates_by": {
                "enum": ["mail", "row"],
                "description": "What a row that repeats an earlier one has in common with it.",
            },
            "rejected": {"type": "array", "items": ref("RejectedRow"), "maxItems": REJECTS_TOLD},
        },
        description="What a run of the file would publish and reject.",
    )


def _file() -> Schema:
    return object_of(
        {
            "name": described(TEXT, "As the client called it."),
            "bytes": COUNT,
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        }
    )


def _event() -> Schema:
    return object_of(
        {
            "event": {"enum": ["progress", "end"]},
            "data": described(TEXT, "The run, as it is then: in JSON, or as parts of its page."),
            "id": {"const": "end", "description": "With the last one alone."},
        },
        "id",
        description="An event, by its fields.",
    )


def run_schemas(told: Mapping[str, Any]) -> dict[str, Schema]:
    """Returns the schemas of runs and what belongs to them; `told` is a run as JSON."""
    return {
        "Run": run_schema(told),
        "Session": _session(),
        "RejectedRow": object_of(
            {
                "line": described({"type": "integer", "minimum": 1}, "Where it starts."),
                "reason": TEXT,
                "excerpt": described({"type": "string", "maxLength": 200}, "Its first characters."),
            }
        ),
        "DryRun": _dry_run(),
        "Event": _event(),
    }
