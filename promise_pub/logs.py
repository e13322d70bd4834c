"""Logs: a line for each event, for people or as JSON, on standard error; nothing waits for whoever reads it.

A line tells its time (UTC), its level, where it comes from, what happened, and what it is about: the run and the
request it belongs to, wherever that is known. Whatever stands in it is escaped, so that what others send makes no line
of its own, and moves no terminal. What an exception said is not in it, unless everything is told (`debug`): it may be
a row. What it was and where is.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from promise_pub.errors import PromisePubError
from promise_pub.times import rfc3339

MOST_WAITING = 10_000  # lines that may wait to be written: a few MB. Beyond, lines are dropped, and counted
LAST_WORDS = 1.0  # seconds for the last lines to be written at the end
LONGEST_VALUE = 2000  # characters of one value; more is no line that anybody reads

# They log as errors, with tracebacks, what is reported in better words anyway, or what strangers send.
_CHATTY = ("aiormq", "aio_pika", "asyncio", "asyncpg", "aiohttp.server")

REQUEST: ContextVar[str] = ContextVar("request", default="")
RUN: ContextVar[str] = ContextVar("run", default="")
"""What is being worked on: every line tells it."""


def told(**fields: Any) -> Mapping[str, Any]:
    """What an event is about, for a logger's `extra`: `log.info("Run queued", extra=told(file=name))`."""
    return {"told": fields}


def _escaped(text: str) -> str:
    """Line ends, control characters and those that turn the direction of writing, as escapes."""
    text = text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Those of the event, after the run and the request that it belongs to."""
    known = {"run": RUN.get(), "request": REQUEST.get(), **getattr(record, "told", {})}
    return {name: value for name, value in known.items() if value not in ("", None)}


def _moment(record: logging.LogRecord) -> str:
    return rfc3339(datetime.fromtimestamp(record.created, UTC))


class _Formatter(logging.Formatter):
    """`all_told`: with what exceptions said."""

    def __init__(self, *, all_told: bool = False) -> None:
        super().__init__()
        self._all_told = all_told

    def exception(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        return " from ".join(self._one(each) for each in _chain(error))

    def _one(self, error: BaseException) -> str:
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{_short(one.filename)}:{one.lineno} {one.name}" for one in frames[::-1])
        said = str(error) if self._all_told else _harmless(error)
        return f"{type(error).__name__}{f': {said}' if said else ''} ({where})"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _harmless(error: BaseException) -> str:
    """What an exception said, where that is ours or the system's."""
    if isinstance(error, PromisePubError):
        return error.message
    return error.strerror or "" if isinstance(error, OSError) else ""


def _short(path: str) -> str:
    return "/".join(path.split("/")[-2:])


class TextFormatter(_Formatter):
    """2026-11-24T14:50:01.123Z INFO promise_pub.delivery.queue.runs: Run queued run=7b0e0a52 file="a b.csv" """

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_value(value)}" for name, value in _fields(record).items())
        error = self.exception(record)
        message = _escaped(record.getMessage()) + fields
        line = f"{_moment(record)} {record.levelname} {record.name}: {message}"
        return f"{line} exception={_value(error)}" if error else line


def _value(value: Any) -> str:
    text = str(value)
    if not text or any(character in text for character in ' "=\\'):
        text = json.dumps(text, ensure_ascii=False)
    return _escaped(text)


class JsonFormatter(_Formatter):
    """One object a line, in ASCII: the fields of the text, each under its name."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:LONGEST_VALUE],
        }
        fields = {name: value for name, value in _fields(record).items() if name not in line}
        error = self.exception(record)
        return json.dumps({**line, **fields, **({"exception": error} if error else {})}, default=str)


class LineWriter(logging.Handler):
    """Writes lines in a thread. A reader that stands still costs lines, and tells how many, but stops nobody."""

    def __init__(self, descriptor: int, most_waiting: int = MOST_WAITING) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: queue.Queue[str | None] = queue.Queue(most_waiting)
        self.dropped = 0
        self._told = 0
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1
        except Exception:  # noqa: BLE001  a line that cannot be made must not end what it tells of
            self.handleError(record)

    def close(self) -> None:
        """Gives the last lines a moment to be written."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=LAST_WORDS)
        self._thread.join(LAST_WORDS)
        super().close()

    def _work(self) -> None:
        while (line := self._waiting.get()) is not None:
            self._write(line)
            if lost := self.dropped - self._told:
                self._told += lost
                self._write(self._lost(lost))

    def _write(self, line: str) -> None:
        """Past Python's own stream: a thread that hangs in it at the process's end aborts the process."""
        rest = f"{line}\n".encode("utf-8", "backslashreplace")
        with suppress(OSError):  # a disk that is full, a terminal that is gone: the next may fare better
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def _lost(self, lines: int) -> str:
        values = {"msg": "Log lines were dropped", "levelname": "WARNING", "name": __name__}
        return self.format(logging.makeLogRecord({**values, **told(lines=lines)}))


@contextmanager
def logging_to(
    descriptor: int, level: int, form: str = "text", *, most_waiting: int = MOST_WAITING
) -> Iterator[LineWriter]:
    """All that is logged in the block, from this level on, goes there."""
    root = logging.getLogger()
    writer = LineWriter(descriptor, most_waiting)
    kind = JsonFormatter if form == "json" else TextFormatter
    writer.setFormatter(kind(all_told=level <= logging.DEBUG))
    before, handlers = root.level, [*root.handlers]
    root.handlers[:] = [writer]
    set_level(level)
    try:
        yield writer
    finally:
        root.handlers[:] = handlers
        set_level(before)
        writer.close()


def set_level(level: int) -> None:
    """What is logged from now on."""
    logging.getLogger().setLevel(level)
    _quiet_libraries(level)


def _quiet_libraries(level: int) -> None:
    """They are heard only where everything is told."""
    for name in _CHATTY:
        quiet = level > logging.DEBUG
        logging.getLogger(name).setLevel(logging.CRITICAL if quiet else logging.NOTSET)


def set_up(level: int) -> None:
    """For a command that logs little, and waits for nobody: text on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter(all_told=level <= logging.DEBUG))
    logging.basicConfig(handlers=[handler], level=level)
    _quiet_libraries(level)
