"""Questions about usage as people write them: in an address, a form, JSON, or as options of a command. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo

from promise_pub.body_fields import JSON_TYPE, read_fields
from promise_pub.days import ONE_DAY, day_of, day_start
from promise_pub.errors import BadParameter
from promise_pub.features.usage.periods import floor
from promise_pub.features.usage.records import Action, Aggregate, Question
from promise_pub.spans import parse_since

QUESTION = ("start", "end", "aggregate", "rolling", "action")
FORMAT = ("content_type", "format")
PARAMETERS = (*QUESTION, *FORMAT)
USUAL_RANGE = timedelta(days=90)
MAX_PERIODS = 4_000
MIN_ROLLING, MAX_ROLLING = 2, 366  # days
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2199, 12, 31)  # that can be asked for: others are slips of the pen
MAX_FIELDS = 20

_AGGREGATES = {name: one for one in Aggregate for name in (one.value, one.value[0])}
_LEAST_DAYS = {
    Aggregate.DAY: 1,
    Aggregate.WEEK: 7,
    Aggregate.MONTH: 28,
    Aggregate.QUARTER: 90,
    Aggregate.YEAR: 365,
}

Given = Mapping[str, str]
"""Parameters as they were written, without those that are empty."""
Named = Callable[[str], str]
"""Makes of a parameter's name what messages call it."""


def collect(pairs: Iterable[tuple[str, str]], known: Sequence[str] = PARAMETERS) -> Given:
    """Returns the parameters. Raises BadParameter for one that is not known, or given twice."""
    given: dict[str, str] = {}
    for name, text in pairs:
        if name not in known:
            raise BadParameter(f"There is no parameter {name[:50]!r}: there are {', '.join(known)}.")
        if name in given:
            raise BadParameter(f"{name} is given more than once.")
        given[name] = text
    return {name: text for name, text in given.items() if text}


def read_body(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """Returns the parameters of a form, or of a JSON object. Raises BadParameter for anything else; nothing has none."""
    fields = read_fields(body, content_type, MAX_FIELDS)
    for name, value in fields if content_type == JSON_TYPE else ():
        kind = int if name == "rolling" else str
        if type(value) is not kind and value != "":
            raise BadParameter(f"{name[:50]} must be {'a whole number' if kind is int else 'text'}.")
    return [(name, str(value)) for name, value in fields]


def parse_question(given: Given, now: datetime, zone: tzinfo, named: Named = str) -> Question:
    """Reads a question about days of a zone. Raises BadParameter, naming the parameter and the values that it takes.

    Unless given, the range is 90 days up to today, moved back to the start of a period, by week; by day for a rolling
    window.
    """
    rolling = _parse_rolling(given.get("rolling", "0"), named("rolling"))
    usual = Aggregate.DAY if rolling else Aggregate.WEEK
    aggregate = _parse_aggregate(given["aggregate"], named("aggregate")) if "aggregate" in given else usual
    if rolling and aggregate is not Aggregate.DAY:
        raise BadParameter(f"{named('rolling')} goes with {named('aggregate')} day only, not {aggregate}.")
    action = parse_action(given, named)
    tomorrow = day_of(now, zone) + ONE_DAY
    end = _parse_day(given["end"], named("end"), now, zone, up=True) if "end" in given else tomorrow
    if "start" in given:
        start = _parse_day(given["start"], named("start"), now, zone, up=False)
    else:
        start = floor(aggregate, max(FIRST_DAY, end - USUAL_RANGE))
    if start >= end:
        raise BadParameter(f"{named('start')} must be before {named('end')}, not {start} and {end}.")
    if (end - floor(aggregate, start)).days > MAX_PERIODS * _LEAST_DAYS[aggregate]:
        raise BadParameter(
            f"{named('start')} and {named('end')} are more than {MAX_PERIODS:,} periods apart, by {aggregate}: ask for "
            f"fewer days, or for another {named('aggregate')} of {', '.join(Aggregate)}."
        )
    return Question(action=action, aggregate=aggregate, rolling=rolling, start=start, end=end)


def parse_action(given: Given, named: Named = str) -> Action:
    """Raises BadParameter."""
    text = given.get("action", Action.LOGIN)
    if text not in [*Action]:
        raise BadParameter(f"{named('action')} must be one of {', '.join(Action)}, not {text[:50]!r}.")
    return Action(text)


def parse_format(given: Given, available: Sequence[str]) -> str | None:
    """Reads the format, by either of its names; None where there is none. Raises BadParameter."""
    named = [(name, given[name]) for name in FORMAT if name in given]
    for name, text in named:
        if text not in available:
            raise BadParameter(f"{name} must be one of {', '.join(available)}, not {text[:50]!r}.")
    if len({text for _, text in named}) > 1:
        raise BadParameter(
            f"{' and '.join(FORMAT)} name different formats: give one of them, as one of {', '.join(available)}."
        )
    return named[0][1] if named else None


def parse_day(text: str, name: str) -> date:
    """Raises BadParameter for what is no day such as 2026-01-31."""
    try:
        return _within_reach(date.fromisoformat(text), name)
    except ValueError:
        raise BadParameter(f"{name} must be a day such as 2026-01-31, not {text[:50]!r}.") from None


def _parse_day(text: str, name: str, now: datetime, zone: tzinfo, *, up: bool) -> date:
    """Reads a day, or the day of a moment; with `up` the next one, unless the moment is its day's beginning."""
    try:
        return _within_reach(date.fromisoformat(text), name)
    except ValueError:
        # Of a time in the zone so many days ago have the same time of day.
        at = parse_since(text, now.astimezone(zone), name, zone)
    assert at
    _within_reach(at.date(), name)
    day = day_of(at, zone)
    return _within_reach(day + ONE_DAY if up and day_start(day, zone) < at else day, name)


def _within_reach(day: date, name: str) -> date:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise BadParameter(f"{name} must be from {FIRST_DAY} to {LAST_DAY}, not {day}.")
    return day


def _parse_aggregate(text: str, name: str) -> Aggregate:
    try:
        return _AGGREGATES[text.casefold()]
    except KeyError:
        raise BadParameter(
            f"{name} must be one of {', '.join(Aggregate)}, or their first letters, not {text[:50]!r}."
        ) from None


def _parse_rolling(text: str, name: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else -1
    if days and not MIN_ROLLING <= days <= MAX_ROLLING:
        raise BadParameter(
            f"{name} must be 0, or a number of days from {MIN_ROLLING} to {MAX_ROLLING}, not {text[:50]!r}."
        )
    return days
