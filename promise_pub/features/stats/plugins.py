"""Plugins that are installed: entry points of the group promise_pub.statistics. One that fails keeps no other from counting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from promise_pub.features.stats.builtin import BUILTIN
from promise_pub.features.stats.definitions import Definition, UnfitStatistic, define, title_of
from promise_pub.features.stats.failures import bounded_line, failure_line
from promise_pub.text import printable

GROUP = "promise_pub.statistics"


class Found(NamedTuple):
    """Statistics that can be counted, those that are built in first, and in words those that cannot."""

    definitions: Sequence[Definition]
    faults: Sequence[str]


def find_plugins() -> Found:
    """Returns the statistics that are built in or installed. It imports the plugins: whatever these do then takes its time.

    Of two with one name the one that is built in is taken; neither where both are foreign, since nothing says which is meant.
    """
    faults: list[str] = []
    ours = {definition.layout.name: definition for definition in (define(plugin, ours=True) for plugin in BUILTIN)}
    foreign: dict[str, list[Definition]] = {}
    for plugin in _load_all(faults):
        try:
            definition = define(plugin)
        except UnfitStatistic as unfit:
            faults.append(str(unfit))
        else:
            foreign.setdefault(definition.layout.name, []).append(definition)
    taken = [*ours.values()]
    for name, definitions in foreign.items():
        titles = [title_of(type(definition.statistic)) for definition in definitions]
        if name in ours:
            faults += [f"{title} cannot be used: a built-in statistic has its name." for title in titles]
        elif len(titles) > 1:
            faults.append(f"None of these can be used, since they have one name: {', '.join(titles)}.")
        else:
            taken += definitions
    return Found(taken, faults)


def _load_all(faults: list[str]) -> Iterator[Any]:
    """Yields what entry points name, each class once, and adds to the faults."""
    loaded: dict[int, Any] = {}
    for entry in sorted(entry_points(group=GROUP)):
        try:
            value = entry.load()
            plugins = [*value] if isinstance(value, Sequence) else [value]
            if not all(isinstance(plugin, type) for plugin in plugins):
                raise TypeError("it is neither a class nor a sequence of classes")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a plugin may raise anything while it is imported
            faults.append(f"{_title(entry)} cannot be loaded: {failure_line(error)}.")
        else:
            loaded |= {id(plugin): plugin for plugin in plugins}
    yield from loaded.values()


def _title(entry: EntryPoint) -> str:
    return bounded_line(f"The entry point {printable(entry.name)} ({printable(entry.value)})")
