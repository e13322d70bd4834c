"""Log lines: one an event, whatever is in it, and nobody waits for whoever reads them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from promise_pub import logs
from promise_pub.errors import BrokerLost
from promise_pub.logs import JsonFormatter, TextFormatter, fields, logging_to

log = logging.getLogger("promise_pub.tests.logs")
HOSTILE = 'a\r\n2026-01-01T00:00:00.000Z INFO x: Login: root\x1b[2J\x00\x85\u2028\u202e\udcff "q" \\'


def made(form: type[logging.Formatter], message: str, *values: Any, exc_info: Any = None, **more: Any) -> str:
    record = log.makeRecord("a.room", logging.INFO, "f.py", 1, message, values, exc_info, **more)
    record.created = 1764000000.25
    return form().format(record)


def test_a_line_tells_when_how_bad_where_what_and_what_about() -> None:
    values = fields(file="a b.csv", rows=3, empty="", none=None, session="x=1", name="plain")
    line = made(TextFormatter, "Run %s", "queued", extra=values)
    assert line == ('2025-11-24T16:00:00.250Z INFO a.room: Run queued file="a b.csv" rows=3 session="x=1" name=plain')
    assert json.loads(made(JsonFormatter, "Run %s", "queued", extra=values)) == {
        "time": "2025-11-24T16:00:00.250Z",
        "level": "info",
        "logger": "a.room",
        "message": "Run queued",
        "file": "a b.csv",
        "rows": 3,
        "session": "x=1",
        "name": "plain",
    }


def test_what_others_send_makes_no_line_and_moves_no_terminal() -> None:
    for line in (
        made(TextFormatter, "%s", HOSTILE),
        made(TextFormatter, "x", extra=fields(file=HOSTILE)),
        made(JsonFormatter, "%s", HOSTILE),
        made(JsonFormatter, "x", extra=fields(file=HOSTILE)),
    ):
        assert line.isprintable() and len(line.splitlines()) == 1
        assert line.encode()
    assert json.loads(made(JsonFormatter, "x", extra=fields(file=HOSTILE)))["file"] == HOSTILE
    assert '\\"q\\"' in made(TextFormatter, "x", extra=fields(file=HOSTILE))


def test_a_value_is_cut_where_nobody_reads_on() -> None:
    for form in (TextFormatter, JsonFormatter):
        assert len(made(form, "%s", "x" * 100_000)) < 3000
    assert len(made(TextFormatter, "x", extra=fields(file="x" * 100_000))) < 3000


def fail() -> None:
    try:
        raise ValueError("Ann,ann@example.com")
    except ValueError as error:
        raise BrokerLost("The connection was lost\nhere") from error


@pytest.mark.parametrize("form", [TextFormatter, JsonFormatter])
def test_of_an_exception_what_it_is_and_where_is_told_but_not_what_it_said(
    form: Callable[..., logging.Formatter],
) -> None:
    def line(error: Exception, **how: bool) -> str:
        record = log.makeRecord("a", logging.ERROR, "f", 1, "x", (), (type(error), error, None))
        return form(**how).format(record)

    with pytest.raises(BrokerLost) as caught:
        fail()
    told_of = line(caught.value)
    assert len(told_of.splitlines()) == 1 and "unit/test_logs.py" in told_of and "fail" in told_of
    assert "BrokerLost: The connection was lost" in told_of and "ValueError" in told_of
    assert "ann@example.com" not in told_of
    assert "ann@example.com" in line(caught.value, quotes_exceptions=True)
    assert "No space left" in line(OSError(28, "No space left"))


def test_an_exception_that_is_its_own_cause_is_told_once() -> None:
    error = ValueError()
    error.__cause__ = error
    line = made(TextFormatter, "x", exc_info=(ValueError, error, None))
    assert line.count("ValueError") == 1


async def test_a_line_tells_the_run_and_the_request_it_belongs_to(tmp_path: Path) -> None:
    async def work(run: str, request: str) -> None:
        logs.RUN.set(run)
        logs.REQUEST.set(request)
        await asyncio.sleep(0)
        await asyncio.to_thread(log.info, "Said")

    with captured(tmp_path) as lines:
        await asyncio.gather(work("r1", "q1"), work("", "q2"))
        log.info("Alone")
    assert [line.split("logs: ")[1] for line in lines()] == [
        "Said run=r1 request=q1",
        "Said request=q2",
        "Alone",
    ]


@contextmanager
def captured(folder: Path, **how: Any) -> Iterator[Callable[[], list[str]]]:
    path = folder / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with logging_to(descriptor, logging.INFO, **how):
            yield lambda: path.read_text(encoding="utf-8").splitlines()
    finally:
        os.close(descriptor)


def test_after_the_block_everything_is_written_and_as_it_was(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.level, [*root.handlers], logging.getLogger("aiormq").level
    with captured(tmp_path, form="json") as lines:
        for number in range(1000):
            log.info("Line %d", number)
        log.debug("Not this")
        logging.getLogger("aiormq").error("Nor this")
    assert [json.loads(line)["message"] for line in lines()] == [f"Line {n}" for n in range(1000)]
    assert (root.level, [*root.handlers], logging.getLogger("aiormq").level) == before


def test_libraries_are_heard_where_everything_is_told(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        with logging_to(file.fileno(), logging.DEBUG):
            logging.getLogger("aiormq").warning("Heard")
    assert "aiormq: Heard" in (tmp_path / "log").read_text()


def test_a_reader_that_stands_still_stops_nobody_and_is_told_what_it_missed() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with logging_to(writing, logging.INFO, max_waiting=10) as writer:
        for _ in range(1000):  # far more than the pipe and the queue hold
            log.info("x" * 1000)
        assert writer.dropped > 900
        got = bytearray()
        reader = threading.Thread(target=read_all, args=(reading, got))
        reader.start()
        until(lambda: writer._waiting.empty() and told_of(got) == writer.dropped)
        log.info("And on")
    os.close(writing)
    reader.join()
    assert told_of(got) == writer.dropped
    assert got.endswith(b"And on\n")


def read_all(descriptor: int, into: bytearray) -> None:
    while more := os.read(descriptor, 65536):
        into += more
    os.close(descriptor)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def told_of(log: bytes | bytearray) -> int:
    """How many lines it says were dropped."""
    return sum(map(int, re.findall(rb"WARNING .*: Log lines were dropped lines=(\d+)\n", log)))


def test_an_end_does_not_wait_for_a_reader_that_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "CLOSE_TIMEOUT", 0.05)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with logging_to(writing, logging.INFO, max_waiting=10) as writer:
        for _ in range(50):
            log.info("x" * 1000)
    assert writer._thread.is_alive()  # it is a daemon: the process ends without it
    assert writer._thread.daemon
    while writer._thread.is_alive():
        os.read(reading, 65536)
        writer._thread.join(0.05)
        if writer._waiting.empty():
            writer._waiting.put(None)
    os.close(writing)
    os.close(reading)


def test_a_full_disk_ends_nothing() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with logging_to(full, logging.INFO) as writer:
        log.info("Lost")
        log.info("Lost, too")
        assert writer._thread.is_alive()
    assert not writer._thread.is_alive()
    os.close(full)


def test_a_line_that_cannot_be_made_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with captured(tmp_path) as lines:
        log.info("%d rows", "three")
        log.info("On")
    assert [line.split("logs: ")[1] for line in lines()] == ["On"]
