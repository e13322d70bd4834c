"""Layouts and versions of statistics as the database has them, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from promise_pub.features.stats.records import Layout, Registered

_LISTS = ("columns", "intervals", "topics")


def layout_json(layout: Layout) -> str:
    """Returns the text of a layout as JSON."""
    return json.dumps(asdict(layout), ensure_ascii=False)


def registered_of(row: Mapping[str, Any]) -> Registered:
    """Returns the version of a row of the table."""
    values = dict(row)
    layout = json.loads(values.pop("layout"))
    # A version that is counted anew has another number than when it was laid out.
    told = {"name": values.pop("name"), "version": values.pop("version")}
    return Registered(**values, layout=Layout(**layout | {part: tuple(layout[part]) for part in _LISTS} | told))
