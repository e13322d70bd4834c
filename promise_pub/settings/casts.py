"""Casts of configuration values. Each takes the text and returns the value, or raises ValueError with a complaint."""

from __future__ import annotations

import configparser
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from ipaddress import IPv6Address, IPv6Network, ip_interface, ip_network
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from promise_pub.addresses import Network
from promise_pub.schedules import Schedule

SWITCH = configparser.ConfigParser.BOOLEAN_STATES

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_SIZE = re.compile(r"([0-9]{1,18})\s*([KMG]?)", re.IGNORECASE | re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_HOST = re.compile(r"[^\s/\\@?#,:\[\]]+")
_COOKIE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,200}")
_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")


def text(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """Makes a cast to a number in plain digits: `int` also takes 8_000, and the digits of every script."""

    def cast(value: str) -> int:
        if not _WHOLE.fullmatch(value):
            raise ValueError(f"must be a whole number, not {value!r}")
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"must be from {low} to {high}, not {number}")
        return number

    return cast


def duration(unit: str, longest: int) -> Callable[[str], float]:
    """Makes a cast to a positive number of seconds, or of another unit."""

    def cast(value: str) -> float:
        try:
            number = float(value) if value.isascii() and "_" not in value else None
        except ValueError:
            number = None
        if number is None:
            raise ValueError(f"must be a number of {unit}, not {value!r}")
        if not 0 < number <= longest:  # also refuses nan
            raise ValueError(f"must be over 0 and at most {longest} {unit}, not {value}")
        return number

    return cast


seconds = duration("seconds", 24 * 60 * 60)
minutes = duration("minutes", 7 * 24 * 60)


def size(low: int = 1, high: int | None = None) -> Callable[[str], int]:
    """Makes a cast to a number of bytes, with K, M or G. A 0 is accepted if `low` is 0."""

    def cast(value: str) -> int:
        found = _SIZE.fullmatch(value)
        count = int(found[1]) * _UNITS[found[2].upper()] if found else 0
        if not count and value != "0" or high is None and count < low:
            raise ValueError(f"must be a number of bytes such as 500K, 20M or 2G, not {value!r}")
        if high is not None and not low <= count <= high:
            raise ValueError(f"must be from {low} to {high} bytes, not {value}")
        return count

    return cast


def flag(value: str) -> bool:
    try:
        return SWITCH[value.lower()]
    except KeyError:
        raise ValueError(f"must be yes or no, not {value!r}") from None


def url_path(value: str) -> str:
    if not value.startswith("/") or any(c in value for c in "?# \t"):
        raise ValueError(f"must be a path such as /create/, not {value!r}")
    return value


def folder(value: str) -> Path:
    try:
        return Path(text(value)).expanduser()
    except RuntimeError:
        raise ValueError(f"is in the home folder of an unknown user: {value!r}") from None


def file(value: str) -> Path | None:
    if not value:
        return None
    path = folder(value)
    if not path.is_file():
        raise ValueError(f"is not a file: {value!r}")
    return path


def authorities(value: str) -> Path | None:
    """Casts to a PEM file of certificates, and reads it: the first connection would find out too late."""
    path = file(value)
    if path:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as error:
            raise ValueError(f"is not a readable file of PEM certificates: {value!r}") from error
    return path


def one_of(*known: str) -> Callable[[str], str]:
    def cast(value: str) -> str:
        if value not in known:
            raise ValueError(f"must be {' or '.join(known)}, not {value!r}")
        return value

    return cast


def host(value: str) -> str:
    """Casts to a name or an address to listen on or to connect to. Brackets around an IPv6 address are dropped."""
    plain = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    with suppress(ValueError):
        IPv6Address(plain)
        return plain
    if plain != value or not _HOST.fullmatch(value):
        raise ValueError(f"must be a host name or an address, without scheme and port, not {value!r}")
    return plain


def host_or_folder(value: str) -> str:
    """Casts to a host, or to the folder of a Unix socket."""
    return value if value.startswith("/") else host(value)


def host_names(value: str) -> tuple[str, ...]:
    """Casts to names as a `Host` header has them: no scheme, no port."""
    names = tuple(name.strip().lower() for name in value.split(","))
    if not all(_HOST_NAME.fullmatch(name) for name in names):
        raise ValueError(f"must be names such as a.example, b.example, without ports, not {value!r}")
    return names


def cookie_name(value: str) -> str:
    """Casts to a token of RFC 6265. Browsers restrict names with their own prefixes, and could refuse such a cookie."""
    if not _COOKIE_NAME.fullmatch(value) or value.lower().startswith(("__host-", "__secure-")):
        raise ValueError(f"must be a name of letters, digits and _ or -, not {value!r}")
    return value


def token(value: str) -> str:
    """Casts to a secret as an `Authorization` header carries it, long enough not to be guessed."""
    if not _TOKEN.fullmatch(value):
        raise ValueError("must be 16 to 200 letters, digits or any of . _ ~ + / = -")
    return value


def names(value: str) -> tuple[str, ...]:
    """Casts to names, separated by commas; none where there is nothing."""
    return tuple(name for part in value.split(",") if (name := part.strip()))


def day(value: str) -> date | None:
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"must be a day such as 2026-01-31, not {value!r}") from None


def time_zone(value: str) -> ZoneInfo:
    """Casts to a zone of the tz database, which knows when its clocks are turned."""
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"must be a time zone such as UTC or Europe/Berlin, not {value!r}") from None


def schedule(value: str) -> str:
    """Casts to the five fields of cron."""
    return Schedule(value).text


def networks(value: str) -> tuple[Network, ...]:
    """Casts to addresses and networks, separated by commas; an address is a network of one."""
    return tuple(_network(part.strip()) for part in value.split(","))


def _network(text: str) -> Network:
    try:
        given = ip_interface(text)
    except ValueError:
        given = None
    if given is None or "%" in text:
        raise ValueError(
            "must be addresses and networks such as 127.0.0.1, 10.0.0.0/8, ::1, "
            f"without host names, ports and zones, not {text!r}"
        )
    network = given.network
    if given.ip != network.network_address:
        raise ValueError(f"{text} is an address inside a network. Did you mean {network} or {given.ip}?")
    # ::ffff:10.0.0.0/104 is 10.0.0.0/8, the form of the addresses that it is compared with.
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return ip_network((mapped, network.prefixlen - 96)) if mapped else network
