"""What commands print: reports and tables for people, JSON and CSV for scripts."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from promise_pub.records import SUMMARY, RunReport
from promise_pub.web.remote import Json

OK, FAILED, USAGE, PROMISE_BROKEN = 0, 1, 2, 3

_COLUMNS = ("id", "created_at", "file", "mode", "state", "verdict", "sent", "received", "saved")
_UNBOUND = 200  # columns of a table that goes to a file or a pipe

out = Console(highlight=False, width=None if sys.stdout.isatty() else _UNBOUND)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def bar(*, hidden: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=err, transient=True, disable=hidden)


def print_run(run: Json, form: str) -> None:
    if form == "json":
        print(json.dumps(run, ensure_ascii=False, indent=2))
        return
    lines = {
        "run": run["id"],
        "file": run["file"]["name"],
        "state": run["state"],
        "promise": run["verdict"],
        "rows read": run["rows"]["read"],
        "rejected": run["rows"]["rejected"],
        "rows sent": run["rows"]["confirmed"],
        "returned": run["rows"]["returned"],
        "refused": run["rows"]["nacked"],
        "sent again": run["rows"]["resent"],
        "session": (run["session"] or {}).get("uuid"),
        "received": (run["session"] or {}).get("received"),
        "saved": (run["session"] or {}).get("saved"),
        "database count": run["db_count"],
        "seconds": run["seconds"]["total"],
    }
    if form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerows([list(lines), list(lines.values())])
        return
    for name, value in lines.items():
        print(f"{name:<15} {'–' if value is None else value}")
    for sentence in run["explanation"]:
        print(f"{'because':<15} {sentence}")


def print_history(reports: Sequence[RunReport], form: str) -> None:
    if form == "json":
        print(json.dumps([report.as_json() for report in reports], ensure_ascii=False, indent=2))
        return
    rows = [report.summary() for report in reports]
    if form == "csv":
        csv.writer(sys.stdout).writerows([SUMMARY, *rows])
        return
    table = Table(box=None)
    for name in _COLUMNS:
        table.add_column(name, no_wrap=name == "id")
    for row in rows:
        cells = dict(zip(SUMMARY, row, strict=True))
        table.add_row(*("" if cells[name] is None else str(cells[name]) for name in _COLUMNS))
    out.print(table)
