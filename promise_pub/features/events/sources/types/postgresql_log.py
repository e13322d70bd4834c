"""PostgreSQL's log on standard error: errors with their statements, restarts, checkpoints."""

from __future__ import annotations

import re

from promise_pub.sources import Found, Given, Lines

_PREFIX = (
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(?:\.[0-9]{3})? [A-Za-z0-9+:-]{1,10} "
    rb"\[[0-9]{1,10}\] (?:[^\s@]{0,64}@[^\s@]{0,64} )?"
)
_PARTS = rb"(DETAIL|HINT|QUERY|CONTEXT|LOCATION|BACKTRACE|STATEMENT):  "
_BEGINS = re.compile(_PREFIX + rb"(?:" + _PARTS + rb")?")
_MORE = re.compile(rb"\n" + _PREFIX + _PARTS)
_RECORD = re.compile(
    rb"(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(?:\.[0-9]{3})?) (?P<zone>[A-Za-z0-9+:-]{1,10}) "
    rb"\[(?P<pid>[0-9]{1,10})\] (?:(?P<user>[^\s@]{0,64})@(?P<database>[^\s@]{0,64}) )?"
    rb"(?P<severity>DEBUG[1-5]?|INFO|NOTICE|WARNING|LOG|ERROR|FATAL|PANIC):  (?P<text>.*)",
    re.DOTALL,
)
_OFFSET = re.compile(r"[+-][0-9]{2}(?::?[0-9]{2})?")
# Before each line of a message but its first.
_INDENT = "\n\t"


class PostgresqlLog(Lines):
    """PostgreSQL's log with `log_line_prefix` of `%m [%p] ` or Debian's `%m [%p] %q%u@%d `.

    A message, its details and its statement are one event. Times are in UTC or at an offset where the log says so; letters
    of other zones mean many things, and such times are in the zone of the file, which is to be that of `log_timezone`.
    """

    name = "log.postgresql"
    kind = "log"
    reads = "PostgreSQL's log with log_line_prefix '%m [%p] ', or with '%q%u@%d ' after it"
    record = _RECORD

    def joins(self, line: bytes) -> bool:
        begins = _BEGINS.match(line)
        return begins is None or begins[1] is not None

    def event(self, record: re.Match[bytes], given: Given) -> Found:
        at, zone = given.text(record["at"]), given.text(record["zone"])
        offset = zone if _OFFSET.fullmatch(zone) else "+00:00" if zone in ("UTC", "GMT") else ""
        text, *more = (given.text(part).replace(_INDENT, "\n") for part in _MORE.split(record["text"]))
        return Found(
            at=given.moment(at + offset),
            text=text,
            user=given.text(record["user"]) or None,
            data={
                "severity": given.text(record["severity"]),
                "pid": int(record["pid"]),
                **({"database": given.text(record["database"])} if record["database"] else {}),
                **{name.lower(): part for name, part in zip(more[::2], more[1::2], strict=True)},
            },
        )
