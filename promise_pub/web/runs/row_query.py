"""The part of a request that chooses rows of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from promise_pub.delivery.rows.reading import RowFilter
from promise_pub.errors import BadParameter
from promise_pub.fates import ATTENTION, FATES_IN_NEED, Fate
from promise_pub.http.pagination import MAX_PER_PAGE, PER_PAGE, parse_positive
from promise_pub.records import RunReport

MAX_TEXT = 200  # characters to look for
EVERYTHING = RowFilter()

PARAMETERS = ("fate", "text", "line", "after", "per_page", "format")


def parse_wanted(request: web.Request) -> tuple[RowFilter, int | None]:
    """Returns which rows a request asks for, and how many a page; None: it does not say. Raises BadParameter."""
    query = request.query
    for name in query:
        if name not in PARAMETERS:
            raise BadParameter(f"There is no parameter {name[:50]!r}: there are {', '.join(PARAMETERS)}.")
        if name != "fate" and len(query.getall(name)) > 1:
            raise BadParameter(f"{name} is given more than once.")
    text = query.get("text", "")
    if len(text) > MAX_TEXT:
        raise BadParameter(f"text must be at most {MAX_TEXT} characters.")
    after = max(_parse_line(query, "after", 0), _parse_line(query, "line", 1) - 1)
    per_page = parse_positive(query, "per_page", PER_PAGE, MAX_PER_PAGE) if query.get("per_page") else None
    return RowFilter(parse_fates(query.getall("fate", [])), text, after), per_page


def _parse_line(query: Mapping[str, str], name: str, lowest: int) -> int:
    text = query.get(name) or str(lowest)
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) >= lowest):
        raise BadParameter(f"{name} must be the number of a line, from {lowest} on, not {text[:50]!r}.")
    return int(text)


def parse_fates(given: Sequence[str]) -> tuple[Fate, ...]:
    """Reads fates, each given by itself or several with commas; `attention` stands for those that need it.

    Raises BadParameter, which names them all.
    """
    found: dict[Fate, None] = {}
    for name in ",".join(given).split(","):
        if name == ATTENTION:
            found |= dict.fromkeys(FATES_IN_NEED)
        elif name in {*Fate}:
            found[Fate(name)] = None
        elif name:
            raise BadParameter(f"fate must be one of {', '.join(Fate)}, or {ATTENTION}, not {name[:50]!r}.")
    return tuple(found)


def parse_sent_again(query: MultiMapping[str]) -> tuple[Fate, ...]:
    """Reads the fates of the rows that are to be sent again; none where the whole file is. Raises BadParameter."""
    for name in query:
        if name not in ("fate", "format"):
            raise BadParameter(f"There is no parameter {name[:50]!r}: there is fate, for some of the rows.")
    given = query.getall("fate", [])
    fates = parse_fates(given)
    if Fate.REJECTED in fates and ATTENTION not in ",".join(given).split(","):
        raise BadParameter("Rejected records are no rows and cannot be sent again: correct them in the file.")
    if given and not fates:
        raise BadParameter(f"fate is empty: name one of {', '.join(Fate)}, or {ATTENTION}.")
    return tuple(fate for fate in fates if fate is not Fate.REJECTED)


def rows_url(report: RunReport, wanted: RowFilter, **more: object) -> str:
    """Returns the address of these rows."""
    query = [("fate", fate.value) for fate in wanted.fates]
    query += [("text", wanted.text)] if wanted.text else []
    query += [(name, str(value)) for name, value in more.items() if value is not None]
    return f"/runs/{report.id}/rows" + (f"?{urlencode(query)}" if query else "")


def fate_urls(report: RunReport, wanted: RowFilter = EVERYTHING) -> dict[Fate, str]:
    """Returns the address of the rows of each fate that occurs; of one that is wanted, that of all rows."""
    return {
        fate: rows_url(report, replace(wanted, fates=() if wanted.fates == (fate,) else (fate,)))
        for fate in report.fates or ()
    }


def count_rows(report: RunReport, wanted: RowFilter) -> int:
    """Returns the number of records with the fates that are wanted."""
    return sum(count for fate, count in (report.fates or {}).items() if not wanted.fates or fate in wanted.fates)
