"""JSON Schemas of answers about runs: a run, its rows, a dry run, an event."""

from __future__ import annotations

from promise_pub.delivery.input.dry_run import REJECTS_TOLD
from promise_pub.json_schema import COUNT, ORDINAL, TEXT, Schema, array, described, object_of, ref
from promise_pub.parameters import FILE_PARAMETERS, PARAMETERS_SHAPE
from promise_pub.presentation.report_json import REPORT
from promise_pub.presentation.row_json import ROW_SCHEMA
from promise_pub.presentation.run_json import FILE, RUN, SESSION


def _dry_run() -> Schema:
    parameters = PARAMETERS_SHAPE.schema["properties"]
    counts = ("read", "accepted", "rejected", "duplicates")
    return object_of(
        {
            "dry_run": {"const": True},
            "file": FILE.schema,
            **{one.name: parameters[one.name] for one in FILE_PARAMETERS},
            "rows": object_of({name: COUNT for name in counts}),
            "duplicates_by": {
                "enum": ["mail", "row"],
                "description": "What a row that repeats an earlier one has in common with it.",
            },
            "rejected": array(ref("RejectedRow"), maxItems=REJECTS_TOLD),
        },
        description="What a run of the file would publish and reject.",
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


def run_schemas() -> dict[str, Schema]:
    """Returns the schemas of runs, by their names."""
    return {
        "Run": RUN.schema,
        "Session": SESSION.schema,
        "Report": REPORT,
        "RejectedRow": object_of(
            {
                "line": described(ORDINAL, "Where it starts."),
                "reason": TEXT,
                "excerpt": described({"type": "string", "maxLength": 200}, "Its first characters."),
            }
        ),
        "Row": ROW_SCHEMA,
        "DryRun": _dry_run(),
        "Event": _event(),
    }
