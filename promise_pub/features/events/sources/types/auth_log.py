"""The log of logins, `auth.log` or `secure`, as syslog writes it in any of its three forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from promise_pub.features.events.sources.clocks import MONTHS
from promise_pub.sources import Found, Given, Ignored, Lines

_NAMES = "|".join(MONTHS).encode()
_PRIORITY = rb"(?:<[0-9]{1,3}>)?"
_MONTH = re.compile(_PRIORITY + rb"(" + _NAMES + rb") [ 0-9][0-9] [0-9]{2}:")
_RECORD = re.compile(
    _PRIORITY
    + rb"(?:(?P<month>"
    + _NAMES
    + rb") (?P<day>[ 0-9][0-9]) (?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?P<fraction>\.[0-9]{1,6})?"
    + rb"|(?P<version>1 )?(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]{5,40}))"
    + rb" (?P<host>\S{1,255}) (?P<rest>.*)",
    re.DOTALL,
)
# `process[pid]: text`, and the fields of RFC 5424.
_TOLD = re.compile(r"(?P<process>[^\s:\[]{1,100})(?:\[(?P<pid>[0-9]{1,20})\])?: ?(?P<text>.*)", re.DOTALL)
_STRUCTURED = re.compile(
    r"(?P<process>\S{1,100}) (?P<pid>\S{1,128}) (?P<message_id>\S{1,32}) "
    r'(?P<structured>-|(?:\[(?:[^\]"\\]|\\.|"(?:[^"\\]|\\.)*+")*+\])++)(?: \ufeff?(?P<text>.*))?',
    re.DOTALL,
)
_REPEATED = re.compile(r"(?:last )?message repeated ([0-9]{1,9}) times")
_SSHD = {"sshd", "sshd-session", "sshd-auth"}
# A stranger chooses the name that logs in, which may look like the end of such a line: the last end is the true one.
_WHO = re.compile(
    r"(?:(?:Accepted|Failed|Postponed) \S+ for (?:invalid user )?|Invalid user )(?P<user>.*) from (?P<address>\S+)(?: port [0-9]+.*)?"
    r"|(?:Connection (?:closed|reset) by|Disconnected from)(?: (?:authenticating |invalid )?user (?P<left>.*))? (?P<by>\S+) port [0-9]+.*"
    r"|(?:Connection|Received disconnect) from (?P<peer>\S+) port .*"
    r"|pam_unix\(sshd:session\): session (?:opened|closed) for user (?P<session>[^\s(]+).*",
    re.DOTALL,
)


class AuthLog(Lines):
    """Logins and what else syslog's auth facility tells, with times without a year or of ISO 8601, also in one file.

    What cron does is ignored. A line that begins with a blank belongs to the one before. A record that stands for some that
    were left out tells their number as `repeated`.
    """

    name = "log.auth"
    kind = "log"
    reads = "auth.log, secure and other logs of syslog"
    record = _RECORD
    month = _MONTH

    def joins(self, line: bytes) -> bool:
        return line[:1] in (b" ", b"\t")

    def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
        at = _moment(record, given)
        rest = given.text(record["rest"])
        told = _STRUCTURED.fullmatch(rest) if record["version"] else _TOLD.fullmatch(rest)
        data: dict[str, Any] = (
            {name: value for name, value in told.groupdict("-").items() if value != "-"} if told else {}
        )
        if data.get("process") == "CRON":
            return Ignored("cron")
        text = data.pop("text", "") if told else rest
        if repeated := _REPEATED.match(text):
            data["repeated"] = int(repeated[1])
        who = dict(_who(text)) if data.get("process") in _SSHD else {}
        if "address" in who:
            data["address"] = who["address"]
        process = data.get("process")
        return Found(
            at=at,
            text=f"{process}: {text}" if process else text,
            host=given.text(record["host"]),
            user=who.get("user"),
            data=data,
        )


def _moment(record: re.Match[bytes], given: Given) -> datetime:
    if record["at"]:
        return given.moment(given.text(record["at"]))
    day, hour, minute, second = (int(record[part]) for part in ("day", "hour", "minute", "second"))
    microsecond = int((record["fraction"] or b".")[1:].ljust(6, b"0"))
    return given.in_year(MONTHS[record["month"].decode()], day, hour, minute, second, microsecond)


def _who(text: str) -> Iterator[tuple[str, str]]:
    """Yields the user and the address of a line of sshd, as far as it tells them."""
    # A message that is repeated stands in brackets after the number of times.
    found = _WHO.fullmatch(text.partition(": [ ")[2].removesuffix("]") if _REPEATED.match(text) else text)
    if found is None:
        return
    if user := found["user"] or found["left"] or found["session"]:
        yield "user", user
    if address := found["address"] or found["by"] or found["peer"]:
        yield "address", address
