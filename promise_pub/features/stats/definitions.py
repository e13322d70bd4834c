"""Statistics of plugins, checked before they count anything. Pure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any

from promise_pub.errors import BadParameter
from promise_pub.features.stats.failures import bounded_line, failure_line
from promise_pub.features.stats.intervals import MAX_WIDTH
from promise_pub.features.stats.records import Kind, Layout
from promise_pub.features.stats.values import json_value
from promise_pub.statistics import Counting, Distinct, Latest, Measuring, Statistic
from promise_pub.text import printable
from promise_pub.topics import check_pattern, matches

MAX_COLUMNS = 4
MAX_INTERVALS = 10
MAX_TOPICS = 20
MAX_SUMMARY = 200  # characters
MAX_UNIT = 20  # characters
MAX_LAYOUT = 16 * 1024  # bytes of JSON
MAX_BACKLOG = timedelta(days=36_500)

_NAME = re.compile("[a-z0-9-]{1,60}")
_COLUMN = re.compile("[a-z][a-z0-9_-]{0,39}")
_TAKEN = ("start", "end", "count", "mean", "p50", "p95", "p99", "max", "at", "value", "about")
"""Columns that rows have besides those of their keys."""
_MAX_VERSION = 2**31 - 1  # of PostgreSQL's integers
_TOPICS_REMEMBERED = 10_000  # by each statistic
_KINDS: dict[type[Statistic], tuple[Kind, str]] = {
    Counting: ("counting", "count"),
    Measuring: ("measuring", "measure"),
    Latest: ("latest", "entry"),
    Distinct: ("distinct", "members"),
}


class UnfitStatistic(Exception):
    """A statistic cannot be used: the message names it and its fault."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A statistic that can be counted. `ours` tells that it is built in."""

    layout: Layout
    statistic: Statistic
    ours: bool
    matches: Callable[[str], bool] = field(repr=False, compare=False)
    """Tells whether events with this topic are given to it; remembered for each topic."""


def define(plugin: object, ours: bool = False) -> Definition:
    """Returns the definition of a class of statistics. Raises UnfitStatistic for whatever a plugin can do wrong."""
    try:
        return _define(plugin, ours)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        fault = str(error) if type(error) is _Fault else f"it fails: {failure_line(error)}"
        raise UnfitStatistic(f"{title_of(plugin)} cannot be used: {bounded_line(fault)}.") from error


def title_of(plugin: object) -> str:
    """Returns words that name a plugin: the name of the statistic, where it has one, and where its class stands."""
    cls: Any = plugin if isinstance(plugin, type) else type(plugin)
    place = f"{cls.__module__}.{cls.__qualname__}"
    name = inspect.getattr_static(plugin, "name", None)
    return bounded_line(f"Statistic {name} ({place})" if type(name) is str else f"Statistic {place}")


class _Fault(Exception):
    pass


def _check(fact: object, fault: str) -> None:
    if not fact:
        raise _Fault(fault)


def _define(plugin: Any, ours: bool) -> Definition:
    _check(isinstance(plugin, type) and issubclass(plugin, Statistic), "it is no class that inherits from Statistic")
    kinds = [kind for base, kind in _KINDS.items() if issubclass(plugin, base)]
    _check(len(kinds) == 1, f"it must inherit from one of {', '.join(base.__name__ for base in _KINDS)}")
    kind, method = kinds[0]
    missing = sorted(plugin.__abstractmethods__)
    _check(not missing, f"it lacks the method {', '.join(missing)}")
    function = getattr(plugin, method)
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    _check(callable(function) and not is_async, f"{method} must be a function that is not async")
    layout = Layout(
        name=_name(getattr(plugin, "name", None)),
        version=_version(plugin.version),
        kind=kind,
        summary=_summary(plugin.__doc__),
        columns=_columns(plugin.columns),
        intervals=() if kind == "latest" else _intervals(plugin.intervals),
        topics=_topics(plugin.topics),
        own=_own(plugin.own),
        backlog=_backlog(plugin.backlog),
        unit=_unit(plugin.unit),
        given=_given(plugin.layout),
    )
    return Definition(layout, _construct(plugin), ours, _matcher(layout.topics))


def _construct(plugin: type[Statistic]) -> Statistic:
    try:
        return plugin()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _Fault(f"its constructor fails: {failure_line(error)}") from error


def _matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    return lru_cache(_TOPICS_REMEMBERED)(lambda topic: any(matches(pattern, topic) for pattern in patterns))


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _name(name: Any) -> str:
    fault = "its name must have lower-case letters, digits and hyphens, 60 at most"
    _check(isinstance(name, str) and _NAME.fullmatch(name), fault)
    return str(name)


def _version(version: Any) -> int:
    _check(_is_whole(version) and 0 < version <= _MAX_VERSION, "its version must be a whole number from 1 on")
    return int(version)


def _summary(text: str | None) -> str:
    summary = (text or "").strip().split("\n")[0].strip()
    _check(summary, "it needs a docstring, whose first line is its summary")
    _check(len(summary) <= MAX_SUMMARY, f"the first line of its docstring has more than {MAX_SUMMARY} characters")
    return printable(summary)


def _columns(columns: Any) -> tuple[str, ...]:
    fault = f"its columns must be a tuple of at most {MAX_COLUMNS} names"
    _check(isinstance(columns, tuple | list) and len(columns) <= MAX_COLUMNS, fault)
    for column in columns:
        is_name = isinstance(column, str) and _COLUMN.fullmatch(column)
        _check(
            is_name, "a column must have lower-case letters, digits, hyphens and underscores, and begin with a letter"
        )
        _check(column not in _TAKEN, f"a column cannot be called {column}, since all rows have such a column")
    _check(len(set(columns)) == len(columns), "two of its columns have the same name")
    return tuple(columns)


def _intervals(intervals: Any) -> tuple[int, ...]:
    fault = f"its intervals must be a tuple of 1 to {MAX_INTERVALS} timedeltas"
    _check(isinstance(intervals, tuple | list) and 0 < len(intervals) <= MAX_INTERVALS, fault)
    _check(all(isinstance(interval, timedelta) for interval in intervals), fault)
    seconds = [interval // timedelta(seconds=1) for interval in intervals]
    is_whole = not any(interval % timedelta(seconds=1) for interval in intervals)
    _check(is_whole and min(seconds) >= 0, "its intervals must be whole seconds, or WHOLE")
    _check(max(seconds) <= MAX_WIDTH, f"its intervals must be {MAX_WIDTH // 86_400} days at most")
    _check(len(set(seconds)) == len(seconds), "two of its intervals are equal")
    return tuple(sorted(seconds))


def _topics(topics: Any) -> tuple[str, ...]:
    fault = f"its topics must be a tuple of 1 to {MAX_TOPICS} patterns"
    _check(isinstance(topics, tuple | list) and 0 < len(topics) <= MAX_TOPICS, fault)
    _check(all(isinstance(topic, str) for topic in topics), fault)
    try:
        return tuple(check_pattern(topic) for topic in topics)
    except BadParameter as error:
        raise _Fault(f"one of its topics cannot match: {error.message.rstrip('.')}") from error


def _own(own: Any) -> bool:
    _check(isinstance(own, bool), "own must be True or False")
    return bool(own)


def _backlog(backlog: Any) -> int | None:
    if backlog is None:
        return None
    is_span = isinstance(backlog, timedelta) and timedelta(0) < backlog <= MAX_BACKLOG
    _check(is_span and not backlog % timedelta(seconds=1), "its backlog must be None, or a timedelta of whole seconds")
    return int(backlog.total_seconds())


def _unit(unit: Any) -> str:
    is_unit = isinstance(unit, str) and len(unit) <= MAX_UNIT and unit.isprintable()
    _check(is_unit, f"its unit must be a text of at most {MAX_UNIT} characters")
    return str(unit)


def _given(layout: Any) -> Any:
    try:
        return json_value(layout, MAX_LAYOUT)[1]
    except (ValueError, TypeError, RecursionError) as error:
        raise _Fault(f"its layout must be JSON: {failure_line(error)}") from error
