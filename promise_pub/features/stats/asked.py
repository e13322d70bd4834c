"""Questions about a statistic as people write them: in an address, or as options of a command. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from promise_pub.errors import BadParameter
from promise_pub.features.stats.intervals import parse_width, start_of, width_text
from promise_pub.features.stats.questions import BEGINNING, END, Details, Selection
from promise_pub.features.stats.records import WHOLE, Layout
from promise_pub.http.pagination import Paging, parse_paging, parse_positive
from promise_pub.spans import parse_since
from promise_pub.times import rfc3339

PARAMETERS = (
    *(
        "interval",
        "since",
        "until",
        "key",
        "top",
        "fill",
        "cumulative",
        "order",
        "page",
        "per_page",
        "format",
        "version",
    ),
)
MAX_TOP = 100  # keys that stand for themselves
MAX_VERSION = 2**31 - 1
MAX_KEY = 200  # characters of a column's value
FEWEST_WINDOWS, MOST_WINDOWS = 30, 400  # of the span asked for, by the interval that is chosen for it
MINUTE = 60  # seconds to which moments of entries are rounded, as those of windows are to their width

Given = Mapping[str, Sequence[str]]
"""Parameters as they were written. Only `key` can have several values."""
Named = Callable[[str], str]
"""Makes of a parameter's name what messages call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question about a statistic: which rows, and how they are shown.

    `top` keeps so many keys; others are summed up. `fill` adds rows for windows without events, `cumulative` sums rows up
    from the first window on. Its moments are those of windows, so that the same question has the same answer for a while.
    """

    selection: Selection
    given: Given
    top: int | None
    fill: bool
    cumulative: bool
    paging: Paging

    @property
    def layout(self) -> Layout:
        return self.selection.statistic.layout

    @property
    def interval(self) -> str | None:
        """Returns the text of the interval; None for Latest."""
        return None if self.layout.kind == "latest" else width_text(self.selection.width)

    @property
    def whole(self) -> bool:
        """Tells whether every row is needed to make one page."""
        return self.top is not None or self.fill or self.cumulative

    @property
    def filtered(self) -> bool:
        """Tells whether it is about a part of the rows."""
        return any(any(values) for name, values in self.given.items() if name not in ("interval", "version", "format"))

    def url(self, **more: str) -> str:
        """Returns the address with the parameters as they were written, and `more`; an empty one is left out."""
        given = {name: [value] for name, value in more.items()}
        pairs = [(name, value) for name, values in {**self.given, **given}.items() for value in values if value]
        return f"/stats/{self.layout.name}{f'?{urlencode(pairs)}' if pairs else ''}"

    def links(self, total: int) -> dict[str, str]:
        """Returns the addresses of the other pages. They keep span and interval of this one, whatever comes meanwhile."""
        selection, fixed = self.selection, {}
        if selection.since != BEGINNING:
            fixed["since"] = rfc3339(selection.since, "auto")
        if selection.until != END:
            fixed["until"] = rfc3339(selection.until, "auto")
        if self.interval:
            fixed["interval"] = self.interval
        return self.paging.links(total, lambda n: self.url(**fixed, page=str(n)))


def parse_asked(details: Details, given: Given, now: datetime, named: Named = str) -> Asked:
    """Reads the parameters of a question. Raises BadParameter, naming the parameter."""
    statistic = details.known.registered
    layout = statistic.layout
    single = {name: values[0] for name, values in given.items() if values[0] and name != "key"}
    since = parse_since(single.get("since", ""), now, named("since"))
    until = parse_since(single.get("until", ""), now, named("until"))
    if since and until and since >= until:
        raise BadParameter(f"{named('since')} must be before {named('until')}.")
    oldest = since or min(details.oldest.values(), default=now)
    width = _parse_interval(layout, single.get("interval"), (until or now) - oldest, named("interval"))
    top = parse_positive({named("top"): single["top"]}, named("top"), 1, MAX_TOP) if "top" in single else None
    fill = _one_of(single, "fill", ("zero",), named) is not None
    cumulative = _one_of(single, "cumulative", ("true", "false"), named) == "true"
    _check_sums(layout, named, top=top, fill=fill, cumulative=cumulative)
    return Asked(
        selection=Selection(
            statistic=statistic,
            width=width,
            since=_aligned(since, width, up=False) if since else BEGINNING,
            until=_aligned(until or now, width, up=True),
            keys=_parse_keys(layout, given.get("key", ()), named("key")),
            descending=_one_of(single, "order", ("desc", "asc"), named) != "asc",
        ),
        given=given,
        top=top,
        fill=fill,
        cumulative=cumulative,
        paging=parse_paging(single),
    )


def parse_version(given: Given) -> int | None:
    """Reads the version that is asked for; 0 is one that is counted anew. Raises BadParameter."""
    text = given.get("version", ("",))[0]
    return _parse_number(text) if text else None


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= MAX_VERSION):
        raise BadParameter(f"version must be a whole number up to {MAX_VERSION}, not {text[:50]!r}.")
    return int(text)


def choose_interval(widths: Sequence[int], span: timedelta) -> int:
    """Returns the narrowest that makes 30 to 400 windows of a span, else the one that comes nearest to it."""
    timed = [width for width in widths if width != WHOLE]

    def misses(width: int) -> float:
        windows = max(1.0, span.total_seconds() / width)
        return max(0.0, math.log(windows / MOST_WINDOWS), math.log(FEWEST_WINDOWS / windows))

    return min(timed, key=misses, default=WHOLE)


def _parse_interval(layout: Layout, text: str | None, span: timedelta, name: str) -> int:
    if layout.kind == "latest":
        if text:
            raise BadParameter(f"{name} does not apply: {layout.name} has no windows.")
        return MINUTE
    if not text:
        return choose_interval(layout.intervals, span)
    width = parse_width(text, name)
    if width not in layout.intervals:
        raise BadParameter(f"{name} must be one of {', '.join(map(width_text, layout.intervals))}, not {text[:50]!r}.")
    return width


def _aligned(moment: datetime, width: int, *, up: bool) -> datetime:
    """Returns the start of the window of a moment, or its end."""
    if width == WHOLE:
        return END if up else BEGINNING
    try:
        start = start_of(moment, width)
        return start + timedelta(seconds=width) if up and start < moment else start
    except OverflowError:
        return END if up else BEGINNING


def _parse_keys(layout: Layout, texts: Sequence[str], name: str) -> tuple[str | None, ...]:
    """Reads values of columns, each as `column:value`, or the value alone where there is one column."""
    columns = layout.columns
    found: dict[str, str] = {}
    for text in filter(None, texts):
        column, colon, value = text.partition(":")
        if not colon or column not in columns:
            if len(columns) != 1:
                told = (
                    f"one of {', '.join(columns)}, as in {columns[0]}:VALUE" if columns else "none: it has no columns"
                )
                raise BadParameter(f"{name} must name a column of {layout.name}, {told}; not {text[:50]!r}.")
            column, value = columns[0], text
        if column in found:
            raise BadParameter(f"{name} names the column {column} more than once.")
        if len(value) > MAX_KEY or any(c < " " or "\ud800" <= c <= "\udfff" for c in value):
            raise BadParameter(f"{name} must be a line of at most {MAX_KEY} characters, not {value[:50]!r}.")
        found[column] = value
    return tuple(map(found.get, columns))


def _one_of(given: Mapping[str, str], name: str, allowed: Sequence[str], named: Named) -> str | None:
    text = given.get(name)
    if text is not None and text not in allowed:
        raise BadParameter(f"{named(name)} must be {' or '.join(allowed)}, not {text[:50]!r}.")
    return text


def _check_sums(layout: Layout, named: Named, *, top: int | None, fill: bool, cumulative: bool) -> None:
    """Raises BadParameter for what the rows of a kind do not have: sums, or windows."""
    if cumulative and layout.kind != "counting":
        raise BadParameter(f"{named('cumulative')} does not apply: rows of {layout.name} do not add up.")
    if top is not None and layout.kind not in ("counting", "measuring"):
        raise BadParameter(f"{named('top')} does not apply: rows of {layout.name} do not add up.")
    if fill and layout.kind == "latest":
        raise BadParameter(f"{named('fill')} does not apply: {layout.name} has no windows.")
