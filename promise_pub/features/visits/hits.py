"""A hit: a page that somebody was shown, and what is kept of who asked for it. Pure."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import count
from typing import Any
from uuid import UUID

from promise_pub.addresses import Address
from promise_pub.times import rfc3339

LONGEST_PAGE = 200  # characters: a page has to go into an index
LONGEST_TEXT = 2000  # characters of a path, a browser's name, a referrer, a header
LONGEST_HEADERS = 8000  # characters of all headers of a hit, more of them are dropped
KEPT_BITS = {4: 24, 6: 48}  # of an address that is not to tell who it is

# What lets somebody in is nobody's business here: cookies, logins, and what proxies and programs call theirs.
_SECRET = re.compile(
    "cookie|auth(?!ority)|token|secret|passw|(^|[-_])key|apikey|jwt|assertion|credential|signature|session",
    re.IGNORECASE,
)
# Where proxies say whose request it is, whatever they call it: of no use where addresses are cut.
_TELLING = re.compile(r"forwarded|(^|[-_])ip([-_]|$)|ip(v[46])?$|addr|(^|[-_])via$|client|remote", re.IGNORECASE)

# Half a pair of UTF-16, which JSON can tell; those between stand for bytes that were no UTF-8.
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

COLUMNS = (
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
    "id",
)
"""A hit as it is told, and taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One page, shown once. `page` is its route's template; `headers` as JSON, a list of pairs in their order.

    `id` orders hits of one moment, and makes one that is written twice the same. `took_ms` is the server's time for it.
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

    @property
    def weight(self) -> int:
        """About how many bytes it takes while it waits."""
        texts = (self.page, self.path, self.user_agent, self.referrer, self.headers)
        return 600 + sum(len(text) for text in texts if text)

    def row(self) -> list[object]:
        """Its values in the order of COLUMNS, as text and numbers."""
        return [_plain(getattr(self, name)) for name in COLUMNS]

    def as_json(self) -> dict[str, Any]:
        """The same by their names, the headers as a list."""
        return {**dict(zip(COLUMNS, self.row(), strict=True)), "headers": json.loads(self.headers)}


def moment(at: datetime) -> str:
    """A time in UTC, to the microsecond that it was stored with."""
    return rfc3339(at, "microseconds")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return moment(value)
    return str(value) if isinstance(value, UUID | IPv4Address | IPv6Address) else value


def text_of(value: str | None, longest: int = LONGEST_TEXT) -> str | None:
    """As PostgreSQL can keep it: no NUL, nothing that was no UTF-8, and no more than so many characters."""
    if value is None:
        return None
    if not value.isascii():
        value = _HALF.sub(_REPLACEMENT, value)
        value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value[:longest].replace("\0", _REPLACEMENT)


def headers_of(pairs: Iterable[tuple[str, str]], *, anonymise: bool = False) -> str:
    """The headers as JSON, but for those that let somebody in, and, if asked, those that tell an address."""
    kept: list[tuple[str, str]] = []
    room = LONGEST_HEADERS
    for name, value in pairs:
        if _SECRET.search(name) or anonymise and _TELLING.search(name.strip()):
            continue
        pair = text_of(name) or "", text_of(value) or ""
        room -= len(pair[0]) + len(pair[1])
        if room < 0:
            break
        kept.append(pair)
    return json.dumps(kept, ensure_ascii=False)


def cut_short(address: Address) -> Address:
    """Its network's address: many people's."""
    return ip_network((address, KEPT_BITS[address.version]), strict=False).network_address


@dataclass(slots=True)
class Ids:
    """Makes ids that grow with the time, and within a millisecond with the order they were asked for."""

    _order: count[int] = field(default_factory=count)

    def next(self, at: datetime) -> UUID:
        return make_id(at, next(self._order), secrets.randbits(48))


def make_id(at: datetime, order: int, rest: int) -> UUID:
    """48 bits of milliseconds since 1970, 32 bits of order, 48 bits of anything that tells it from others."""
    milliseconds = max(0, int(at.astimezone(UTC).timestamp() * 1000)) & (1 << 48) - 1
    return UUID(int=milliseconds << 80 | (order & 0xFFFFFFFF) << 48 | rest & (1 << 48) - 1)
