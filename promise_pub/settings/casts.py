"""What stands for a value in a configuration file → the value, or why it is none: each raises ValueError that says so."""

from __future__ import annotations

import configparser
import re
import ssl
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_interface, ip_network
from pathlib import Path

from promise_pub.addresses import Network

SWITCH = configparser.ConfigParser.BOOLEAN_STATES

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_HOST = re.compile(r"[^\s/\\@?#,:\[\]]+")
_COOKIE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")


def text(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """In plain digits: `int` also takes 8_000, and the digits of every script."""

    def cast(value: str) -> int:
        if not _WHOLE.fullmatch(value):
            raise ValueError(f"must be a whole number, not {value!r}")
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"must be from {low} to {high}, not {number}")
        return number

    return cast


def seconds(value: str) -> float:
    try:
        number = float(value) if value.isascii() and "_" not in value else None
    except ValueError:
        number = None
    if number is None:
        raise ValueError(f"must be a number of seconds, not {value!r}")
    if not 0 < number <= 86_400:  # also refuses nan
        raise ValueError(f"must be over 0 and at most 86400 seconds, not {value}")
    return number


def size(value: str) -> int:
    unit = value[-1:].upper() if value[-1:].isalpha() else ""
    digits = value[: len(value) - len(unit)].strip()
    if unit not in _UNITS or not _WHOLE.fullmatch(digits) or int(digits) <= 0:
        raise ValueError(f"must be a number of bytes such as 500K, 20M or 2G, not {value!r}")
    return int(digits) * _UNITS[unit]


def size_within(low: int, high: int) -> Callable[[str], int]:
    def cast(value: str) -> int:
        count = 0 if value == "0" else size(value)
        if not low <= count <= high:
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
        raise ValueError(f"names the home of nobody known here: {value!r}") from None


def file(value: str) -> Path | None:
    if not value:
        return None
    path = folder(value)
    if not path.is_file():
        raise ValueError(f"names no file: {value!r}")
    return path


def authorities(value: str) -> Path | None:
    """A PEM file of certificates: one that is none would be found out by the first connection."""
    path = file(value)
    if path:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as error:
            raise ValueError(f"holds no certificates that can be read: {value!r}") from error
    return path


def one_of(*known: str) -> Callable[[str], str]:
    def cast(value: str) -> str:
        if value not in known:
            raise ValueError(f"must be {' or '.join(known)}, not {value!r}")
        return value

    return cast


def host(value: str) -> str:
    """A name or an address to listen on, or to connect to. The brackets that an IPv6 address has in URLs are dropped."""
    plain = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if not (_is_ipv6(plain) or plain == value and _HOST.fullmatch(value)):
        raise ValueError(f"must be a host name or an address, without scheme and port, not {value!r}")
    return plain


def _is_ipv6(value: str) -> bool:
    try:
        IPv6Address(value)
    except ValueError:
        return False
    return True


def host_or_folder(value: str) -> str:
    """A host, or the folder of a Unix socket."""
    return value if value.startswith("/") else host(value)


def host_names(value: str) -> tuple[str, ...]:
    """Names as a `Host` header has them: no scheme, no port."""
    names = tuple(name.strip().lower() for name in value.split(","))
    if not all(_HOST_NAME.fullmatch(name) for name in names):
        raise ValueError(f"must be names such as a.example, b.example, without ports, not {value!r}")
    return names


def cookie_name(value: str) -> str:
    """A token of RFC 6265. A name with a prefix that browsers make demands of could be refused by them."""
    if not _COOKIE_NAME.fullmatch(value) or value.lower().startswith(("__host-", "__secure-")):
        raise ValueError(f"must be a name of letters, digits and _ or -, not {value!r}")
    return value


def minutes(value: str) -> float:
    try:
        number = float(value) if value.isascii() and "_" not in value else None
    except ValueError:
        number = None
    if number is None or not 0 < number <= 10_080:  # a week; also refuses nan
        raise ValueError(f"must be over 0 and at most 10080 minutes, not {value!r}")
    return number


def networks(value: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas; an address is a network of one."""
    return tuple(_network(part.strip()) for part in value.split(","))


def _network(text: str) -> Network:
    try:
        given = ip_interface(text)
    except ValueError:
        given = None
    if given is None or "%" in text:
        raise ValueError(
            "must be addresses and networks such as 127.0.0.1, 10.0.0.0/8, ::1, "
            f"without names, ports and zones, not {text!r}"
        )
    if given.ip != given.network.network_address:
        raise ValueError(f"{text} is an address in a network: {given.network} or {given.ip} is meant?")
    return _as_v4(given.network)


def _as_v4(network: Network) -> Network:
    """::ffff:10.0.0.0/104 is 10.0.0.0/8, and what is compared with it is written so."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return ip_network((mapped, network.prefixlen - 96)) if mapped else network
