"""Types of sources by their names: those of promise-pub, and entry points of the group promise_pub.sources.

A type is imported once it is asked for. One that cannot be is named, and keeps no other from being used.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from promise_pub.features.events.sources.finding import said_by
from promise_pub.sources import Fixed, Lines, SourceType, SqliteQuery, Whole
from promise_pub.text import printable

GROUP = "promise_pub.sources"
MAX_KIND = 40  # characters
MAX_LINE = 300  # characters of what is told of a type

_TYPES = "promise_pub.features.events.sources.types"
BUILTIN = {
    "bookmarks.html": f"{_TYPES}.bookmarks:BookmarksHtml",
    "bookmarks.json": f"{_TYPES}.bookmarks:BookmarksJson",
    "csv": f"{_TYPES}.table:Table",
    "find": f"{_TYPES}.find:FindOutput",
    "firefox.bookmarks": f"{_TYPES}.firefox:FirefoxBookmarks",
    "firefox.history": f"{_TYPES}.firefox:FirefoxHistory",
    "http.access": f"{_TYPES}.access_log:AccessLog",
    "jsonl": f"{_TYPES}.json_lines:JsonLines",
    "log.auth": f"{_TYPES}.auth_log:AuthLog",
    "log.postgresql": f"{_TYPES}.postgresql_log:PostgresqlLog",
    "log.rabbitmq": f"{_TYPES}.rabbit_log:RabbitLog",
    "log.shell": f"{_TYPES}.session_log:SessionLog",
    "log.wtmp": f"{_TYPES}.wtmp:Wtmp",
    "trac.timelines": f"{_TYPES}.trac:TracTimeline",
    "webkit.bookmarks": f"{_TYPES}.webkit:WebkitBookmarks",
    "webkit.history": f"{_TYPES}.webkit:WebkitHistory",
}
"""The types of promise-pub, with the module and the class of each."""

Type = type[SourceType[Any]]


class UnknownType(LookupError):
    """A name that no type has. It tells the nearest one."""


class UnusableType(Exception):
    """A type that is installed and cannot be used. It tells why."""


class Offered(NamedTuple):
    """Types that can be used, by name and with the package each is from, and in words those that cannot."""

    types: Mapping[str, Type]
    packages: Mapping[str, str]
    faults: Sequence[str]


class Registry:
    """The types that are installed. Of two with one name the one of promise-pub is taken; neither, where both are foreign,
    since nothing says which is meant."""

    def __init__(self, builtin: Mapping[str, str] = BUILTIN) -> None:
        self._entries: dict[str, list[EntryPoint]] = {}
        for entry in sorted({*entry_points(group=GROUP)}):
            self._entries.setdefault(entry.name, []).append(entry)
        self._faults = [
            f"{_title(one)} cannot be used: a type of promise-pub has its name." for one in self._all(builtin)
        ]
        self._entries |= {name: [EntryPoint(name, value, GROUP)] for name, value in builtin.items()}

    def _all(self, names: Iterable[str]) -> Iterable[EntryPoint]:
        return (entry for name in names for entry in self._entries.get(name, ()))

    @property
    def names(self) -> Sequence[str]:
        """The names of all that is installed, in their order. Nothing is imported for them."""
        return sorted(self._entries)

    def load(self, name: str) -> Type:
        """Returns the type that has a name or an alias. Raises UnknownType, or UnusableType.

        Every type is imported where none has the name itself, since each knows its own aliases.
        """
        if name in self._entries:
            return self._load(name)
        types = self.load_all().types
        aliases = [found for found in types.values() if name in found.aliases]
        if len(aliases) > 1:
            raise UnusableType(f"{printable(name)} may be {' or '.join(sorted(found.name for found in aliases))}.")
        if aliases:
            return aliases[0]
        raise UnknownType(
            _unknown(name, [*self.names, *(alias for found in types.values() for alias in found.aliases)])
        )

    def load_all(self) -> Offered:
        """Imports every type and returns those that can be used."""
        types, packages, faults = {}, {}, [*self._faults]
        for name in self.names:
            try:
                types[name] = self._load(name)
            except UnusableType as fault:
                faults.append(str(fault))
            else:
                package = self._entries[name][0].dist
                packages[name] = package.name if package else "promise-pub"
        return Offered(types, packages, faults)

    def _load(self, name: str) -> Type:
        entry, *others = self._entries[name]
        if others:
            titles = ", ".join(_title(one) for one in (entry, *others))
            raise UnusableType(_line(f"None of these can be used, since they have one name: {titles}."))
        try:
            found = entry.load()
            fault = _fault_of(found, name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = f"{type(error).__name__}: {said_by(error)}"
            raise UnusableType(_line(f"{_title(entry)} cannot be loaded: {failure}.")) from error
        if fault:
            raise UnusableType(_line(f"{_title(entry)} cannot be used: {fault}."))
        usable: Type = found
        return usable


def _fault_of(found: Any, name: str) -> str | None:
    """Returns why something is no type that can be used under a name, or None."""
    if not inspect.isclass(found) or not issubclass(found, Lines | Fixed | Whole | SqliteQuery):
        return "it is no class that inherits from Lines, Fixed, Whole or SqliteQuery"
    needed = ["name", "kind", "reads", *_NEEDED.get(next(frame for frame in _NEEDED if issubclass(found, frame)), ())]
    if lacking := [one for one in needed if not hasattr(found, one)] + sorted(found.__abstractmethods__):
        return f"it lacks {', '.join(lacking)}"
    if found.name != name:
        return f"it calls itself {found.name!r}"
    if not isinstance(found.kind, str) or not 0 < len(found.kind) <= MAX_KIND:
        return f"its kind is no text of at most {MAX_KIND} characters"
    if isinstance(found.aliases, str):
        return "its aliases are one text, no sequence of them"
    return None


_NEEDED: Mapping[type, Sequence[str]] = {Lines: ("record",), Fixed: (), Whole: (), SqliteQuery: ("query", "needs")}


def _unknown(name: str, names: Sequence[str]) -> str:
    shown = printable(name[:MAX_KIND])
    nearest = get_close_matches(shown, names, n=1, cutoff=0)
    return f'There is no type "{shown}".' + (f' The nearest is "{nearest[0]}".' if nearest else "")


def _title(entry: EntryPoint) -> str:
    return _line(f"The type {entry.name} ({entry.value})")


def _line(text: str) -> str:
    line = printable(text[:MAX_LINE])
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"
