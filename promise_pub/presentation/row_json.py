"""The API's view of a record of a run's file: its cells, its JSON, and the schema of that. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promise_pub.delivery.rows.reading import RowFate
from promise_pub.fates import Fate
from promise_pub.json_schema import ORDINAL, TEXT, Schema, described, nullable, object_of, one_of
from promise_pub.records import RunReport

_CELLS: Mapping[str, Schema] = {
    "line": described(ORDINAL, "Where it starts in the file."),
    "row": described(nullable(ORDINAL), "Its number among the rows that can be published; null for a rejected record."),
    "fate": described(one_of(Fate), "What became of it."),
    "reason": described(TEXT, "Why; empty where nothing is to be said."),
    "repeats_line": described(nullable(ORDINAL), "Where the row starts whose mail it repeats."),
    "content": described(
        nullable(TEXT), "As in a file; of a rejected record its first characters. null once the file is no longer kept."
    ),
}
COLUMNS = tuple(_CELLS)
"""The headings of a table of records."""
ROW_SCHEMA = object_of(
    {
        **_CELLS,
        "values": described(
            nullable({"type": "object", "additionalProperties": TEXT}), "Its fields by their columns, for a row."
        ),
    },
    description="A record of a run's file, and what became of it.",
)


def list_cells(row: RowFate) -> Sequence[object]:
    """Returns a record's line in a table with these headings. None is an empty cell."""
    return (row.line, row.number, row.fate.value, row.reason, row.repeats, row.content)


def encode_row(report: RunReport, row: RowFate) -> dict[str, Any]:
    """Returns a record in JSON types: its cells by their headings, and its fields by their columns."""
    values = None if row.values is None else dict(zip(report.parameters.columns, row.values, strict=True))
    return dict(zip(COLUMNS, list_cells(row), strict=True)) | {"values": values}
