"""Logins, logouts and starts of the machine, as `login` and others write them to wtmp and btmp."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from promise_pub.sources import Fixed, Found, Given, Ignored, NoRecord, WrongType

_FIELDS = "h2x i 32s 4s 32s 256s 2h".replace(" ", "")
_SHORT, _LONG = f"{_FIELDS}iIi16s20x", f"{_FIELDS}qqq16s20x4x"
_LAYOUTS = [struct.Struct(order + fields) for fields in (_SHORT, _LONG) for order in "<>"]
"""glibc's, of 384 bytes (x86, 32-bit ARM) and of 400 (64-bit ARM, s390x), of both orders of bytes."""

_MOST_TRIED = 64 * 1024  # bytes of the beginning of a file
_SINCE = 100_000_000  # seconds: March 1973, before there was such a file
_TYPES = (
    "EMPTY",
    "RUN_LVL",
    "BOOT_TIME",
    "NEW_TIME",
    "OLD_TIME",
    "INIT_PROCESS",
    "LOGIN_PROCESS",
    "USER_PROCESS",
    "DEAD_PROCESS",
    "ACCOUNTING",
)
_KINDS = {"USER_PROCESS": "login", "DEAD_PROCESS": "logout", "BOOT_TIME": "boot"}
_WORDS = {**_KINDS, "RUN_LVL": "run level", "LOGIN_PROCESS": "login prompt"}
# They stand where users do, and tell what a record is: nobody of these names logs in.
_NOBODY = {"reboot", "runlevel", "shutdown", "LOGIN"}


class _Entry(NamedTuple):
    """Fields of a record, by the names of utmp(5) without their `ut_`."""

    type: int
    pid: int
    line: bytes
    id: bytes
    user: bytes
    host: bytes
    termination: int
    exit: int
    session: int
    seconds: int
    microseconds: int
    address: bytes

    @property
    def is_plausible(self) -> bool:
        known = 0 <= self.type < len(_TYPES) and 0 <= self.microseconds < 1_000_000
        return known and self.seconds >= _SINCE and all(_is_padded(raw) for raw in (self.line, self.user, self.host))


class Wtmp(Fixed):
    """Records of utmp(5) from any machine: the size of a record and the order of its bytes are found in the file.

    An empty record is ignored. The host of a login is where it came from, and stands in `data`.
    """

    name = "log.wtmp"
    kind = "login"
    reads = "wtmp and btmp of Linux, of 32 and 64 bits"

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        super().__init__(options or {})
        self._layout = _LAYOUTS[0]

    def size(self, beginning: bytes) -> int:
        shares = [_plausible_share(layout, beginning[:_MOST_TRIED]) for layout in _LAYOUTS]
        if not max(shares) and beginning.strip(b"\0"):
            raise WrongType("It looks like no wtmp: no record of it has a type and a time that there are.")
        self._layout = _LAYOUTS[shares.index(max(shares))]
        return self._layout.size

    def event(self, record: bytes, given: Given) -> Found | Ignored:
        if len(record) != self._layout.size:
            raise NoRecord(f"it has {len(record)} of {self._layout.size} bytes")
        entry = _Entry(*self._layout.unpack(record))
        if not 0 <= entry.type < len(_TYPES):
            raise NoRecord(f"it has the type {entry.type}, which is none")
        if not entry.type:
            return Ignored("empty")
        if not 0 <= entry.microseconds < 1_000_000:
            raise NoRecord(f"its time has {entry.microseconds} microseconds")
        type_ = _TYPES[entry.type]
        line, user, host = (given.text(raw.partition(b"\0")[0]) for raw in (entry.line, entry.user, entry.host))
        told = {"type": type_, "line": line, "host": host, "pid": entry.pid, "session": entry.session}
        if user in _NOBODY:
            told["user"], user = user, ""
        return Found(
            at=given.epoch(entry.seconds * 1_000_000 + entry.microseconds, 1_000_000),
            text=" ".join(_words(type_, line, user, host)),
            kind=_KINDS.get(type_, "log"),
            user=user or None,
            data={name: value for name, value in (*told.items(), ("address", _address(entry.address))) if value},
        )


def _plausible_share(layout: struct.Struct, beginning: bytes) -> float:
    """Returns how many of the records that are not empty could be some, from 0 to 1."""
    starts = range(0, len(beginning) - layout.size + 1, layout.size)
    records = [beginning[start : start + layout.size] for start in starts]
    entries = [_Entry(*layout.unpack(record)) for record in records if record.strip(b"\0")]
    return sum(entry.is_plausible for entry in entries) / len(entries) if entries else 0.0


def _is_padded(raw: bytes) -> bool:
    text, _, _ = raw.partition(b"\0")
    return not any(byte < 0x20 for byte in text)


def _words(type_: str, line: str, user: str, host: str) -> Iterator[str]:
    yield _WORDS.get(type_, type_.lower().replace("_", " "))
    if user:
        yield f"of {user}"
    if line.strip("~"):
        yield f"on {line}"
    if host:
        yield f"from {host}" if type_ == "USER_PROCESS" else f"({host})"


def _address(raw: bytes) -> str:
    if not raw.strip(b"\0"):
        return ""
    return str(ip_address(raw if raw[4:].strip(b"\0") else raw[:4]))
