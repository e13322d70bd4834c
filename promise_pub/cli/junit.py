"""A run as a JUnit report for CI, and how its file is written."""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from junitparser import TestCase, TestSuite

from promise_pub.cli.junit_cases import Case, list_cases
from promise_pub.errors import BadParameter, PromisePubError
from promise_pub.parameters import RUN_PARAMETERS
from promise_pub.remote.answers import Json
from promise_pub.text import unmasked

SUITE = "promise-pub"

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROPERTIES = (
    *("id", "state", "verdict", "passed", "attention"),
    *(one.name for one in RUN_PARAMETERS),
    *("file", "rows", "session", "totals", "db_count", "confirm_ms", "seconds", "digest"),
)


def report(
    run: Json | None,
    error: PromisePubError | None,
    name: str,
    host: str,
    *,
    address: str = "",
    rows: Sequence[Json] = (),
) -> bytes:
    """Returns the XML of a run that ended, or of the error that prevented a run or following it to its end.

    `name` is of the file that was to be sent, `host` of the server, `address` of the run. `rows` are rows that did not
    arrive, as the server lists them: failures name them. Each file has a suite of its own.
    """
    suite = TestSuite(_xml(f"{SUITE}: {run['file']['name'] if run else name}"))
    suite.hostname = _xml(host)
    if address:
        suite.add_property("url", _xml(address))
    if run:
        suite.timestamp = (run["started_at"] or run["created_at"]).removesuffix("Z")
        for key, value in _properties(run):
            suite.add_property(key, value)
    else:
        suite.add_property("file.name", _xml(name))
    for case in list_cases(run, error, rows):
        suite.add_testcase(_test_case(case))
    document = io.BytesIO()
    suite.write(document)
    return document.getvalue()


def _properties(run: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key in _PROPERTIES if not prefix else run:
        value: Any = run.get(key)
        if isinstance(value, dict):
            yield from _properties(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", _xml(",".join(map(str, value)))
        elif value is not None:
            yield f"{prefix}{key}", _xml(str(value).lower() if value in (True, False) else str(value))


def _test_case(case: Case) -> TestCase:
    made = TestCase(_xml(case.name), SUITE, case.seconds)
    if case.result:
        result = case.result.kind(_xml(case.result.lines[0]), case.result.code)
        result.text = _xml("\n".join(case.result.lines))
        made.result = result
    return made


def _xml(text: str) -> str:
    """Escapes what XML cannot hold, and what drives a terminal: a file may have any name."""
    return _NOT_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", unmasked(text))


def check_place(path: Path) -> None:
    """Raises BadParameter where no report can be written, so that it is known before the run."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise BadParameter(f"--junit: there can be no file {path}")


def write(path: Path, document: bytes) -> None:
    """Writes a file completely or not at all; something else at that path, such as a pipe, is written to. Raises OSError."""
    if path.exists() and not path.is_file():
        path.write_bytes(document)
        return
    path = path.resolve()  # a link stays one
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(_mode(path))
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _mode(path: Path) -> int:
    """Returns the mode of any new file: others may read a report."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
