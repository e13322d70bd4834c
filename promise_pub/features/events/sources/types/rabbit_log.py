"""RabbitMQ's log: connections that close, alarms, what its queues and plugins tell."""

from __future__ import annotations

import re

from promise_pub.sources import Found, Given, Ignored, Lines

_BEGINS = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:")
_RECORD = re.compile(
    rb"(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(?:\.[0-9]{1,6})?(?:[+-][0-9]{2}:[0-9]{2})?) "
    rb"\[(?P<level>[a-z]{1,20})\](?: <(?P<pid>[0-9.]{1,40})>)?(?: (?P<text>.*))?",
    re.DOTALL,
)


class RabbitLog(Lines):
    """RabbitMQ's log since 3.7. Before 3.9 its times have no zone.

    A line without a time belongs to the record before. Since 3.9 each line of a message has a time of its own and is an
    event; one that has no more than that is ignored.
    """

    name = "log.rabbitmq"
    kind = "log"
    reads = "RabbitMQ's log, since 3.7"
    record = _RECORD

    def joins(self, line: bytes) -> bool:
        return not _BEGINS.match(line)

    def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
        text = given.text(record["text"])
        if not text.strip():
            return Ignored("a line of a message without text")
        data = {name: given.text(record[name]) for name in ("level", "pid") if record[name]}
        return Found(at=given.moment(given.text(record["at"])), text=text, data=data)
