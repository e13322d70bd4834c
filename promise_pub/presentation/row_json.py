"""The API's view of a record of a run's file: its cells, and its JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promise_pub.delivery.rows.reading import RowFate
from promise_pub.records import RunReport

COLUMNS = ("line", "row", "fate", "reason", "repeats_line", "content")
"""The headings of a table of records."""


def list_cells(row: RowFate) -> Sequence[object]:
    """Returns a record's line in a table with these headings. None is an empty cell."""
    return (row.line, row.number, row.fate.value, row.reason, row.repeats, row.content)


def encode_row(report: RunReport, row: RowFate) -> dict[str, Any]:
    """Returns a record in JSON types: its cells by their headings, and its fields by their columns."""
    values = None if row.values is None else dict(zip(report.parameters.columns, row.values, strict=True))
    return dict(zip(COLUMNS, list_cells(row), strict=True)) | {"values": values}
