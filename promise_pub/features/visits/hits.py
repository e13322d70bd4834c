"""Page hits: a page that was shown to a visitor, and what is kept of the request. Pure."""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import count
from typing import Any
from uuid import UUID

from promise_pub.addresses import Address
from promise_pub.times import rfc3339

MAX_PAGE_LENGTH = 200  # characters; pages are indexed
MAX_TEXT_LENGTH = 2000  # characters of a path, a user agent, a referrer
MAX_UNKNOWN_LENGTH = 200  # characters of the same, of visitors who have not logged in
MAX_HEADER_LENGTH = 200  # characters of a header; browsers send 140 at most of those that are kept
MAX_HEADERS_LENGTH = 3000  # characters of all headers of a hit, which may repeat; further ones are dropped
KEPT_BITS = {4: 24, 6: 48}  # of an anonymised address, by the version of IP

# The headers that are kept: the visitor's languages and preferences, the browser as it names itself, and the way to the
# page (a link or the address bar, from here or elsewhere, anew or reloaded). No other header is.
KEPT_HEADERS = frozenset(
    {
        "accept",
        "accept-language",
        "cache-control",
        "dnt",
        "host",
        "save-data",
        "sec-ch-ua",
        "sec-ch-ua-mobile",
        "sec-ch-ua-platform",
        "sec-fetch-dest",
        "sec-fetch-mode",
        "sec-fetch-site",
        "sec-fetch-user",
        "sec-gpc",
    }
)

# Lone surrogates, which JSON can contain. Those in between stand for bytes that were not UTF-8 (surrogateescape).
_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_QUERY = re.compile(r"[?#].*", re.DOTALL)

HIT_COLUMNS = (
    "at",
    "session_id",
    "page",
    "path",
    "method",
    "status",
    "ip",
    "port",
    "user_agent",
    "referrer",
    "headers",
    "took_ms",
    "known",
    "id",
)
"""The fields of a hit in CSV and JSON, exported and imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A page that was shown once. `page` is its route's template; `headers` is a JSON list of pairs.

    `id` orders hits of the same time, and prevents that a hit is stored twice. `took_ms` is the server's time. `known`
    is false for a visitor who has not logged in, where users do.
    """

    id: UUID
    at: datetime
    session_id: UUID
    page: str
    path: str | None = None
    method: str | None = None
    status: int | None = None
    ip: Address | None = None
    port: int | None = None
    user_agent: str | None = None
    referrer: str | None = None
    headers: str = "[]"
    took_ms: float | None = None
    known: bool = True

    @property
    def weight(self) -> int:
        """Estimated bytes of the hit in memory, which are more than it takes in the database."""
        texts = (self.page, self.path, self.user_agent, self.referrer, self.headers)
        return 600 + sum(sys.getsizeof(text) for text in texts)

    def row(self) -> list[object]:
        """Returns the values in the order of HIT_COLUMNS, as text and numbers."""
        return [_plain(getattr(self, name)) for name in HIT_COLUMNS]

    def as_json(self) -> dict[str, Any]:
        """Returns the same values by name, with the headers as a list."""
        return {**dict(zip(HIT_COLUMNS, self.row(), strict=True)), "headers": json.loads(self.headers)}


def format_time(at: datetime) -> str:
    """Formats a time with microseconds, as it is stored."""
    return rfc3339(at, "microseconds")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return format_time(value)
    return str(value) if isinstance(value, UUID | IPv4Address | IPv6Address) else value


def storable_text(value: str | None, longest: int = MAX_TEXT_LENGTH) -> str | None:
    """Returns a text that PostgreSQL can store: without NUL, valid UTF-8, of at most `longest` characters."""
    if value is None:
        return None
    if not value.isascii():
        value = _SURROGATE.sub(_REPLACEMENT, value)
        value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value[:longest].replace("\0", _REPLACEMENT)


def storable_referrer(value: str | None, longest: int = MAX_TEXT_LENGTH) -> str | None:
    """Returns the referrer without its query, which may hold what lets somebody in elsewhere."""
    return storable_text(value and _QUERY.sub("", value), longest)


def headers_as_json(pairs: Iterable[tuple[str, str]]) -> str:
    """Returns those of the headers as JSON that are in KEPT_HEADERS."""
    kept: list[tuple[str, str]] = []
    room = MAX_HEADERS_LENGTH
    for name, value in pairs:
        if name.lower() not in KEPT_HEADERS:
            continue
        pair = name, storable_text(value, MAX_HEADER_LENGTH) or ""
        room -= len(pair[0]) + len(pair[1])
        if room < 0:
            break
        kept.append(pair)
    return json.dumps(kept, ensure_ascii=False)


def anonymise_address(address: Address) -> Address:
    """Returns the address of the network, which many people share."""
    return ip_network((address, KEPT_BITS[address.version]), strict=False).network_address


@dataclass(slots=True)
class HitIds:
    """A source of ids that grow with time, and within a millisecond with the order of calls."""

    _order: count[int] = field(default_factory=count)

    def make(self, at: datetime) -> UUID:
        return make_hit_id(at, next(self._order), secrets.randbits(48))


def make_hit_id(at: datetime, order: int, rest: int) -> UUID:
    """Makes an id of 48 bits of milliseconds since 1970, 32 bits of order, and 48 further bits that make it unique."""
    milliseconds = max(0, int(at.astimezone(UTC).timestamp() * 1000)) & (1 << 48) - 1
    return UUID(int=milliseconds << 80 | (order & 0xFFFFFFFF) << 48 | rest & (1 << 48) - 1)
