"""The output of commands on stdout: reports and tables for people, JSON and CSV for scripts."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from promise_pub.cli.picture import TONE_STYLES
from promise_pub.delivery.verification.comparison import Verification
from promise_pub.errors import PromisePubError
from promise_pub.http.problems import advice_on_run
from promise_pub.presentation.outcome_words import list_clauses, list_notes, shorten_verdict, verdict_tone
from promise_pub.presentation.run_json import SUMMARY, decode_run, encode_run, summarize_run
from promise_pub.records import RunReport
from promise_pub.remote.answers import Json
from promise_pub.terminal import GATE_FAILED, OK, PROMISE_BROKEN, out, print_csv, print_json
from promise_pub.text import printable


class _Column(NamedTuple):
    """A column's limits: the terminal's width that it needs, and its own least width."""

    wide_enough: int
    narrowest: int


# In the order of SUMMARY. An id is useless unless it is whole; the file's name shrinks first.
_COLUMNS = {
    "id": _Column(0, 36),
    "created_at": _Column(128, 24),
    "file": _Column(80, 8),
    "mode": _Column(146, 5),
    "state": _Column(0, 11),
    "verdict": _Column(70, 7),
    "sent": _Column(91, 9),
    "received": _Column(139, 9),
    "saved": _Column(102, 9),
}
_NUMBERS = ("sent", "received", "saved")
_GAP = 2  # columns between two of them
_NAMES = 16  # columns for the names of a report
_CHECKED = {"sha256": "SHA-256", "read": "rows read"}


def exit_code(run: Json) -> int:
    """Returns the exit code for the verdict and the gate. Raises PromisePubError for a run that did not complete."""
    if run["state"] != "completed":
        error = run["error"]
        if not error:
            raise PromisePubError(f"The run is {run['state']}.")
        raise PromisePubError(f"{error['message']} ({error['code']})", _advice(error))
    if run["verdict"] != "kept":
        return PROMISE_BROKEN
    return OK if run.get("passed", True) else GATE_FAILED  # an older server knows no gates


def print_run(run: Json, form: str) -> None:
    """Prints a report; as text, what is worth a look and what failed stand before everything else."""
    session = run["session"] or {}
    totals = run.get("totals") or session  # an older server's answer has no sums
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
        "session": session.get("uuid"),
        "received": totals.get("received"),
        "saved": totals.get("saved"),
        "database count": run["db_count"],
        "seconds": run["seconds"]["total"],
    }
    if form == "csv":
        lines |= {"passed": run.get("passed"), "attention": " ".join(run.get("attention", ())) or None}
    report = decode_run(run)
    clauses = [(name, one.sentence) for name, one in list_clauses(report)]
    if form == "text":
        for note in list_notes(report):
            _print_line("attention", f"{note.sentence} {note.advice}")
        for name, sentence in clauses:
            _print_line(name, sentence)
    _print_lines(run, lines, form)
    if form == "text":
        for sentence in run["explanation"]:
            _print_line("because", sentence)
        if error := run["error"]:
            _print_line("error", f"{error['message']} ({error['code']})")
            for sentence in _advice(error):
                _print_line("what to do", sentence)


def _advice(error: Json) -> list[str]:
    return [advice] if (advice := advice_on_run(error["code"])) else []


def print_dry_run(answer: Json, form: str) -> None:
    """Prints the counts of a file's rows, and the first that would be rejected."""
    rows, first = answer["rows"], answer["rejected"]
    lines = {
        "file": answer["file"]["name"],
        "columns": ",".join(answer["columns"]),
        "rows read": rows["read"],
        "rejected": rows["rejected"],
        "rows to send": rows["accepted"],
        "repeats": rows["duplicates"],
    }
    _print_lines(answer, lines, form)
    if form == "text":
        for row in first:
            _print_line(f"line {row['line']:,}", f"{row['reason']}: {row['excerpt']}")
        if rows["rejected"] > len(first):
            _print_line("", f"and {rows['rejected'] - len(first):,} more")


def print_verification(run_id: str, file: str, outcome: Verification, form: str) -> None:
    """Prints each value of a report beside the file's, and what they prove."""
    checks = [(one.name, one.report, one.file, one.equal) for one in outcome.checks]
    names = ("name", "report", "file", "equal")
    if form == "json":
        told = [dict(zip(names, check, strict=True)) for check in checks]
        whole = {"run": run_id, "file": file, "equal": outcome.equal, "checks": told}
        print_json({**whole, "explanation": [*outcome.sentences]})
    elif form == "csv":
        print_csv(names, *checks)
    else:
        _print_line("run", run_id)
        _print_line("file", file)
        for name, report, found, equal in checks:
            shown = "none" if found is None else _text(found)
            said = "as in the report" if equal else f"in the report {_text(report)}"
            _print_line(_CHECKED.get(name, name), f"{shown}, {said}")
        for sentence in outcome.sentences:
            _print_line("equal" if outcome.equal else "different", sentence)


def _print_lines(whole: Json, lines: dict[str, Any], form: str) -> None:
    if form == "json":
        print_json(whole)
    elif form == "csv":
        print_csv(list(lines), list(lines.values()))
    else:
        for name, value in lines.items():
            _print_line(name, "–" if value is None else _text(value))


def _print_line(name: str, text: str) -> None:
    """Prints a name and its text, which wraps within its column on a terminal."""
    width = out.width - _NAMES if sys.stdout.isatty() else 0
    parts = textwrap.wrap(printable(text), width) if width > _NAMES else [printable(text)]
    print(f"{printable(name):<{_NAMES}}" + f"\n{'':<{_NAMES}}".join(parts))


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def print_history(reports: Sequence[RunReport], form: str) -> None:
    if form == "json":
        print_json([encode_run(report) for report in reports])
    elif form == "csv":
        print_csv(SUMMARY, *(summarize_run(report) for report in reports))
    else:
        out.print(history_table(reports))


def history_table(reports: Sequence[RunReport]) -> Table:
    """Returns a table of the runs that fits the terminal."""
    names = [name for name, column in _COLUMNS.items() if out.width >= column.wide_enough]
    rows = [_cells(report) for report in reports]
    table = Table(box=None, pad_edge=False)
    for name, width in _widths(names, rows).items():
        justify: JustifyMethod = "right" if name in _NUMBERS else "left"
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=width, justify=justify)
    for row in rows:
        table.add_row(*(row[name] for name in names))
    return table


def _widths(names: Sequence[str], rows: Sequence[Mapping[str, Text]]) -> dict[str, int]:
    """Returns the width of each column; the names of files get what the others leave."""
    widths = {name: max([_COLUMNS[name].narrowest, *(row[name].cell_len for row in rows)]) for name in names}
    if "file" in widths:
        others = sum(widths.values()) - widths["file"] + _GAP * (len(names) - 1)
        widths["file"] = max(_COLUMNS["file"].narrowest, min(widths["file"], out.width - others))
    return widths


def _cells(report: RunReport) -> dict[str, Text]:
    values = zip(SUMMARY, summarize_run(report), strict=True)
    return {name: _cell(report, name, value) for name, value in values}


def _cell(report: RunReport, name: str, value: object) -> Text:
    """Returns text, not markup: a file may be called [bold]."""
    if value is None:
        return Text("")
    if name in _NUMBERS:
        return Text(_text(value))
    if name == "verdict":
        return Text(shorten_verdict(report), TONE_STYLES[verdict_tone(report)])
    return Text(printable(str(value)))
