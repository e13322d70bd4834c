"""URLs that events are about, taken apart, and grouped: by host, by project, by page of Wikipedia, by question."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

MAX_SCHEME = 10
"""Characters within which a text says that it is a URL."""

_URL = re.compile(r"([^:/?#]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^\[\]:]*):([0-9]{1,5})")

FORGES = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht", "hg.sr.ht", "sr.ht"})
GOOGLE_CODE = "code.google.com"
NO_OWNERS = frozenset({"settings", "session", "account", "login", "users", "repo"})
QUESTIONS = frozenset({"stackoverflow.com", "serverfault.com", "superuser.com", "webmasters.stackexchange.com"})
QUORA = frozenset({"quora.com"})


class UrlParts(NamedTuple):
    """The parts of a URL, as they stand in it: nothing is decoded. `netloc` is in lower case, and without a name and
    password; `port` is None where there is none from 0 to 65,535."""

    scheme: str
    netloc: str
    port: int | None
    path: str
    query: str
    fragment: str


class PlaceCount(NamedTuple):
    """A URL and the number of its events."""

    url: str
    events: int


class Domain(NamedTuple):
    """A host with its different URLs and their events."""

    netloc: str
    places: int
    events: int


class Group(NamedTuple):
    """URLs that are about one thing, in their order, with their events."""

    key: str
    urls: Sequence[str]
    events: int


def split_url(url: str) -> UrlParts | None:
    """Takes a URL apart; None for a text that is none. It never raises, whatever a file says is a URL."""
    if "://" not in url[:MAX_SCHEME]:
        return None
    found = _URL.match(url)
    if found is None:
        return None
    scheme, authority, path, query, fragment = found.groups("")
    netloc = authority.rpartition("@")[2].lower()
    port = _HOST_AND_PORT.fullmatch(netloc)
    number = int(port[2]) if port else None
    return UrlParts(
        scheme.lower(), netloc, number if number is None or number < 65_536 else None, path, query, fragment
    )


def count_domains(places: Iterable[PlaceCount]) -> Sequence[Domain]:
    """Counts places by host: those with most events first, then by name."""
    urls, events = defaultdict[str, set[str]](set), defaultdict[str, int](int)
    for place in places:
        if (parts := split_url(place.url)) and parts.netloc:
            urls[parts.netloc].add(place.url)
            events[parts.netloc] += place.events
    domains = (Domain(netloc, len(found), events[netloc]) for netloc, found in urls.items())
    return sorted(domains, key=lambda one: (-one.events, one.netloc))


def group_projects(places: Iterable[PlaceCount]) -> Sequence[Group]:
    """Groups places on forges by host, owner and repository."""
    return _group(places, _project)


def group_wikipedia(places: Iterable[PlaceCount]) -> Sequence[Group]:
    """Groups pages of Wikipedia by host and title, decoded. Its pages for phones are the same."""
    return _group(places, _wikipedia)


def group_questions(places: Iterable[PlaceCount]) -> Sequence[Group]:
    """Groups places by the question that they are about."""
    return _group(places, _question)


def _group(places: Iterable[PlaceCount], key_of: Callable[[UrlParts], str | None]) -> Sequence[Group]:
    """Returns those that have a key: most events first, then by key."""
    urls, events = defaultdict[str, set[str]](set), defaultdict[str, int](int)
    for place in places:
        parts = split_url(place.url)
        key = parts and key_of(parts)
        if key:
            urls[key].add(place.url)
            events[key] += place.events
    groups = (Group(key, tuple(sorted(found)), events[key]) for key, found in urls.items())
    return sorted(groups, key=lambda one: (-one.events, one.key))


def _words(path: str) -> Iterator[str]:
    return (word for word in path.split("/") if word)


def _host(parts: UrlParts) -> str:
    with_port = _HOST_AND_PORT.fullmatch(parts.netloc)
    return (with_port[1] if with_port else parts.netloc).removeprefix("www.")


def _project(parts: UrlParts) -> str | None:
    host, words = _host(parts), [*_words(parts.path)][:2]
    if len(words) < 2:
        return None
    owner, repository = words
    if host == GOOGLE_CODE:
        return f"{host}/{owner}/{repository}" if owner in {"p", "r"} else None
    return f"{host}/{owner}/{repository}" if host in FORGES and owner not in NO_OWNERS else None


def _wikipedia(parts: UrlParts) -> str | None:
    host = _host(parts)
    title = parts.path.removeprefix("/wiki/")
    if title in ("", parts.path) or not (host == "wikipedia.org" or host.endswith(".wikipedia.org")):
        return None
    return f"{host.replace('.m.wikipedia.org', '.wikipedia.org')}/{unquote(title).replace('_', ' ')}"


def _question(parts: UrlParts) -> str | None:
    host, words = _host(parts), [*_words(parts.path)][:2]
    if host in QUORA:
        return f"{host}/{words[0]}" if len(words) == 1 else None
    if host not in QUESTIONS or len(words) < 2 or words[0] != "questions" or not words[1].isdecimal():
        return None
    return f"{host}/questions/{words[1]}"
