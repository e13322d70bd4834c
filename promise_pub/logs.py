"""Logs: one line for each event, as text or JSON, on standard error; a reader that is slow, or stops, delays nothing.

A line has its time (UTC), level, logger, message and fields, among them the run and the request that it belongs to.
Values are escaped, so that none can add a line or control a terminal. The messages of foreign exceptions are left out
below `debug`, because they may quote a row; their types and the places where they were raised are logged.
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
from promise_pub.text import printable
from promise_pub.times import rfc3339

MAX_WAITING = 10_000  # lines that may wait to be written: a few MB. Further ones are dropped, and counted
CLOSE_TIMEOUT = 1.0  # seconds for the last lines to be written at the end
MAX_VALUE = 2000  # characters of one value; longer lines are not readable

# These log as errors, with tracebacks, faults that are reported in better words anyway, and requests of strangers.
_CHATTY = ("aiormq", "aio_pika", "asyncio", "asyncpg", "aiohttp.server")

REQUEST: ContextVar[str] = ContextVar("request", default="")
RUN: ContextVar[str] = ContextVar("run", default="")
"""The request and the run that are being worked on, added to every line."""


def fields(**values: Any) -> Mapping[str, Any]:
    """Returns the fields of an event, for a logger's `extra`: `log.info("Run queued", extra=fields(file=name))`."""
    return {"fields": values}


def _escaped(text: str) -> str:
    """Escapes line ends, control characters, and those that change the direction of writing."""
    return printable(text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…")


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Returns the fields of an event, after the run and the request that it belongs to."""
    known = {"run": RUN.get(), "request": REQUEST.get(), **getattr(record, "fields", {})}
    return {name: value for name, value in known.items() if value not in ("", None)}


def _moment(record: logging.LogRecord) -> str:
    return rfc3339(datetime.fromtimestamp(record.created, UTC))


class _Formatter(logging.Formatter):
    """A formatter of events and exceptions, of the messages of foreign ones only with `quotes_exceptions`."""

    def __init__(self, *, quotes_exceptions: bool = False) -> None:
        super().__init__()
        self._quotes_exceptions = quotes_exceptions

    def exception(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        return " from ".join(self._describe(each) for each in _chain(error))

    def _describe(self, error: BaseException) -> str:
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{'/'.join(f.filename.split('/')[-2:])}:{f.lineno} {f.name}" for f in frames[::-1])
        message = str(error) if self._quotes_exceptions else _harmless_message(error)
        return f"{type(error).__name__}{f': {message}' if message else ''} ({where})"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _harmless_message(error: BaseException) -> str:
    """Returns the message of an exception of ours, or of the system."""
    if isinstance(error, PromisePubError):
        return error.message
    return error.strerror or "" if isinstance(error, OSError) else ""


class TextFormatter(_Formatter):
    """One line of text: 2026-11-24T14:50:01.123Z INFO promise_pub.delivery.queue.runs: Run queued run=7b0e0a52 file="a b.csv" """

    def format(self, record: logging.LogRecord) -> str:
        values = "".join(f" {name}={_value(value)}" for name, value in _fields_of(record).items())
        error = self.exception(record)
        message = _escaped(record.getMessage()) + values
        line = f"{_moment(record)} {record.levelname} {record.name}: {message}"
        return f"{line} exception={_value(error)}" if error else line


def _value(value: Any) -> str:
    text = str(value)
    if not text or any(character in text for character in ' "=\\'):
        text = json.dumps(text, ensure_ascii=False)
    return _escaped(text)


class JsonFormatter(_Formatter):
    """One JSON object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:MAX_VALUE],
        }
        values = {name: value for name, value in _fields_of(record).items() if name not in line}
        error = self.exception(record)
        return json.dumps({**line, **values, **({"exception": error} if error else {})}, default=str)


class LineWriter(logging.Handler):
    """A handler that writes lines in a thread. While their reader stands still, lines are dropped and counted."""

    def __init__(self, descriptor: int, max_waiting: int = MAX_WAITING) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: queue.Queue[str | None] = queue.Queue(max_waiting)
        self.dropped = 0
        self._reported = 0
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1
        except Exception:  # noqa: BLE001  a line that cannot be formatted must not end the work that it describes
            self.handleError(record)

    def close(self) -> None:
        """Waits for the last lines to be written, but not for long."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_TIMEOUT)
        self._thread.join(CLOSE_TIMEOUT)
        super().close()

    def _work(self) -> None:
        while (line := self._waiting.get()) is not None:
            self._write(line)
            if lost := self.dropped - self._reported:
                self._reported += lost
                values = {"msg": "Log lines were dropped", "levelname": "WARNING", "name": __name__}
                self._write(self.format(logging.makeLogRecord({**values, **fields(lines=lost)})))

    def _write(self, line: str) -> None:
        """Bypasses Python's own stream: a thread that hangs in it at the process's end aborts the process."""
        rest = f"{line}\n".encode("utf-8", "backslashreplace")
        with suppress(OSError):  # a full disk, a closed terminal: the next line may be written again
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


@contextmanager
def logging_to(
    descriptor: int, level: int, form: str = "text", *, max_waiting: int = MAX_WAITING
) -> Iterator[LineWriter]:
    """Writes the logs of the block, from this level on, to a file descriptor."""
    root = logging.getLogger()
    writer = LineWriter(descriptor, max_waiting)
    kind = JsonFormatter if form == "json" else TextFormatter
    writer.setFormatter(kind(quotes_exceptions=level <= logging.DEBUG))
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
    """Logs from this level on."""
    logging.getLogger().setLevel(level)
    _quiet_libraries(level)


def _quiet_libraries(level: int) -> None:
    """Silences the libraries that log too much, except at `debug`."""
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL if level > logging.DEBUG else logging.NOTSET)


def set_up(level: int) -> None:
    """Logs as text on standard error, for commands that log little."""
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter(quotes_exceptions=level <= logging.DEBUG))
    logging.basicConfig(handlers=[handler], level=level)
    _quiet_libraries(level)
