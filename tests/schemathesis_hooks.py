"""What schemathesis, a process of its own, has to know to send files: what a CSV is, and that runs take time."""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from hypothesis import strategies as st

from promise_pub.spans import SINCE_PATTERN

_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters='",'), max_size=20)
_ROWS = st.builds(lambda name, number: f"{name},{number}@example.com", _NAMES, st.integers(0, 99))
_BAD = st.sampled_from(["no comma here", "one,two,three", '"never closed,x', "\0,\0"])
_FILES = st.builds(
    lambda rows, bad: "\n".join([*rows, *bad, ""]).encode(),
    st.lists(_ROWS, min_size=1, max_size=4),
    st.lists(_BAD, max_size=2),
)
schemathesis.openapi.media_type("text/csv", _FILES)
schemathesis.openapi.media_type("application/csv", _FILES)

_SIDES = st.sampled_from(["saved", "accepted", "rejected + 1", "1%", "5K", "99% * read"])
_COMPARED = st.tuples(st.sampled_from(["saved", "missing"]), st.sampled_from(["<", ">=", "!="]), _SIDES).map(" ".join)
schemathesis.openapi.format("gate", st.lists(_COMPARED, min_size=1, max_size=4).map(" or ".join))

_HURRIED = {"Prefer": "respond-async"}
_SLOW = {"rate": 10}  # rows a second


@schemathesis.deserializer("text/html")
def read_page(_: Any, page: Any) -> str:
    """A page is text, and has nothing that a link could lead on from."""
    return str(page.text)


@schemathesis.hook("flatmap_headers").apply_to(operation_id="simulate")
def sometimes_do_not_wait(_: Any, headers: dict[str, str] | None) -> Any:
    """One client in three does not wait for its run: then there is one to follow, and to cancel."""
    return st.sampled_from([headers, headers, {**(headers or {}), **_HURRIED}])


@schemathesis.hook
def map_case(_: Any, case: Any) -> Any:
    """Such a run takes a moment, and is told in JSON, so that its id can be read."""
    hurried = dict(case.headers or {}).get("Prefer") == _HURRIED["Prefer"]
    if hurried and case.path == "/simulate/":
        asked = {name: value for name, value in (case.query or {}).items() if name != "format"}
        case.query = asked | _SLOW
        for given in (case.query, _fields(case)):
            given.pop("profile", None)
    if case.path.startswith("/usage"):
        for given in (case.query or {}, _fields(case)):
            _bring_together(given)
    return case


def _bring_together(given: dict[str, Any]) -> None:
    """Puts days of a short range in place of those that are well written: no schema says how far apart two may be."""
    for name, near in (("start", "7d"), ("end", "1d")):
        if name in given and re.fullmatch(SINCE_PATTERN, str(given[name])):
            given[name] = near


_EXCLUSIVE = (("after", "before"), ("since", "until"))  # the second pair: neither may be the later one

# Parameters that not every kind of statistic takes, and a statistic of the kind that takes all, with its intervals.
_OF_SOME_KINDS = {"interval", "top", "fill", "cumulative"}
_COUNTED, _INTERVALS = "runs", ("1h", "1d")


def _does_not_apply(case: Any, given: dict[str, Any]) -> bool:
    """Tells of a question about a statistic that it cannot be asked: for its kind, its intervals, columns or versions."""
    if case.path != "/stats/{name}":
        return False
    if given.keys() & {"key", "version"}:
        return True
    is_special = bool(_OF_SOME_KINDS & given.keys()) or given.get("format") == "svg"
    name = (case.path_parameters or {}).get("name")
    return is_special and not (name == _COUNTED and given.get("interval", "1h") in _INTERVALS)


def _contradicts(case: Any, given: dict[str, Any]) -> bool:
    """Tells of a question about usage that its parameters do not go together."""
    if not case.path.startswith("/usage"):
        return False
    formats = {str(given[name]) for name in ("content_type", "format") if given.get(name)}
    rolls = str(given.get("rolling") or 0) != "0" and str(given.get("aggregate") or "d") not in ("d", "day")
    return len(formats) > 1 or rolls


def _fields(case: Any) -> dict[str, Any]:
    """Those of a form; the query string wins over them."""
    return case.body if isinstance(case.body, dict) else {}


@schemathesis.hook
def filter_case(_: Any, case: Any) -> bool:
    """Leaves out questions that no schema can describe: two parameters that exclude each other, names that must differ, and what
    cannot be asked of a statistic of each kind."""
    given = {**_fields(case), **(case.query or {})}
    columns = str(given.get("columns") or "")
    names = [name.strip(" ") for name in columns.split(",")]
    on = str(given.get("header")).lower() == "true"
    both = bool(given.get("rate")) and str(given.get("rate")) != "0" and bool(given.get("profile"))
    both = both or any(given.get(one) and given.get(other) for one, other in _EXCLUSIVE)
    both = both or _does_not_apply(case, given) or _contradicts(case, given)
    return not (both or (on and columns) or len(names) > len(set(names)))
