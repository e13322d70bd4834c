"""Logs of commands in a shell, as usrlog and its forerunner write them."""

from __future__ import annotations

import re
from datetime import datetime

from promise_pub.sources import Found, Given, Lines, NoRecord

_TIMED = re.compile(
    rb"(?P<session>[^\s:]{1,100}): (?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d\d) "
    rb"(?P<hour>\d\d):(?P<minute>\d\d)(?:[.:](?P<second>\d\d))? ::: (?P<text>.*)",
    re.DOTALL,
)
_BEGINS = re.compile(rb"# [0-9]|[^\s:]{1,100}: \d\d/\d\d/\d\d ")
_FIELDS = ("end", "session", "path", "number", "start", "host", "user")
_LEAST = 5  # fields before the command; its host and its user may be missing
_CENTURY = 69  # years of two digits from this one on are those of the last century, as strptime has it


class SessionLog(Lines):
    """Commands of a shell, a line or some lines each: `session: 06/08/10 19:28 ::: command`, or fields with tabs between them:
    `# end`, `#session`, folder, number, start, host, user, `$$` and the command."""

    name = "log.shell"
    aliases = ("shell.log",)
    kind = "command"
    reads = "logs of commands, as usrlog writes them"
    record = re.compile(rb"(?:# |[^\s:]{1,100}: ).*", re.DOTALL)

    def joins(self, line: bytes) -> bool:
        return not _BEGINS.match(line)

    def event(self, record: re.Match[bytes], given: Given) -> Found:
        timed = _TIMED.fullmatch(record[0])
        return _timed(timed, given) if timed else _fielded(record[0], given)


def _timed(found: re.Match[bytes], given: Given) -> Found:
    month, day, year, hour, minute = (int(found[part]) for part in ("month", "day", "year", "hour", "minute"))
    year += 1900 if year >= _CENTURY else 2000
    try:
        naive = datetime(year, month, day, hour, minute, int(found["second"] or 0))  # noqa: DTZ001  its zone is that of the file
    except ValueError as error:
        raise NoRecord(str(error)) from None
    return Found(at=given.at(naive), text=given.text(found["text"]), data={"session": given.text(found["session"])})


def _fielded(content: bytes, given: Given) -> Found:
    before, marked, command = content.partition(b"\t$$\t")
    texts = [given.text(field).strip() for field in before.split(b"\t")]
    if not marked or not _LEAST <= len(texts) <= len(_FIELDS):
        raise NoRecord("it has no command after its fields")
    fields = dict(zip(_FIELDS, texts, strict=False))
    end = given.moment(fields["end"].removeprefix("# "))
    start = given.moment(fields["start"]) if fields["start"] else end
    data = {"session": fields["session"].removeprefix("#"), "path": fields["path"], "number": fields["number"]}
    return Found(
        # A clock that was set back while the command went must not have it end before it began.
        at=min(start, end),
        until=end,
        text=given.text(command),
        host=fields.get("host") or None,
        user=fields.get("user") or None,
        data={name: value for name, value in data.items() if value},
    )
