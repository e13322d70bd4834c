"""A run as a JUnit report for CI: a test case for the verdict, and one for each way of losing rows."""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterator, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from junitparser import Error, Failure, Skipped, TestCase, TestSuite

from promise_pub.errors import BadParameter, PromisePubError
from promise_pub.http.problems import advice_on_run
from promise_pub.parameters import RUN_PARAMETERS
from promise_pub.records import FindingKind as Kind
from promise_pub.records import Verdict
from promise_pub.remote.answers import Json
from promise_pub.text import counted

Result = TypeVar("Result", Error, Failure, Skipped)

SUITE = "promise-pub"
VERDICT = "the promise is kept"

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROPERTIES = (
    *("id", "state", "verdict"),
    *(one.name for one in RUN_PARAMETERS),
    *("file", "rows", "session", "totals", "db_count", "confirm_ms", "seconds", "digest"),
)


class _Loss(NamedTuple):
    """A way of losing rows: the case that says there is none, and the findings that bear on it.

    `counted` is the count of a run's rows that shows the loss before there is a verdict.
    """

    case: str
    kinds: Set[Kind]
    counted: str = ""


_CONFIRMED = {Kind.UNCONFIRMED, Kind.EXTRA_CONFIRMS}
_RECEIVED = {Kind.NOT_RECEIVED, Kind.RECEIVED_NOT_REPORTED, Kind.RECEIVED_AGAIN, Kind.RECEIVED_TOO_MANY}
_DIGESTS = {Kind.DIGEST_DIFFERS, Kind.NO_DIGEST}
_LOSSES = (
    _Loss("no row comes back from the broker", {Kind.RETURNED}, "returned"),
    _Loss("no row is refused by the broker", {Kind.NACKED}, "nacked"),
    _Loss("every row is confirmed by the broker", _CONFIRMED),
    _Loss("every confirmed row is received", _RECEIVED),
    _Loss(
        "every received row is saved, or it is explained why not",
        {*Kind} - {Kind.RETURNED, Kind.NACKED} - _CONFIRMED - _RECEIVED - _DIGESTS,
    ),
    _Loss("what is received is what was published", _DIGESTS),
)


def report(run: Json | None, error: PromisePubError | None, name: str, host: str) -> bytes:
    """Returns the XML of a run that ended, or of the error that prevented a run or following it to its end.

    `name` is of the file that was to be sent, `host` of the server. A broken promise is a failure, whatever prevented a
    verdict an error. Checks that could not be made are skipped, and so are rejected rows: a promise can be kept without
    them.
    """
    suite = TestSuite(SUITE)
    suite.hostname = _xml(host)
    if run:
        suite.timestamp = (run["started_at"] or run["created_at"]).removesuffix("Z")
        for key, value in _properties(run):
            suite.add_property(key, value)
    else:
        suite.add_property("file.name", _xml(name))
    for case in _cases(run, error):
        suite.add_testcase(case)
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


def _cases(run: Json | None, error: PromisePubError | None) -> Iterator[TestCase]:
    yield _verdict(run, error)
    no_run = _result(Skipped, "unknown", ["There is no run."])
    yield _case("no row is rejected", _rejected(run) if run else no_run)
    for loss in _LOSSES:
        yield _case(loss.case, _judged(run, loss) if run else no_run)


def _case(name: str, result: Error | Failure | Skipped | None, time: float = 0) -> TestCase:
    case = TestCase(name, SUITE, time)
    if result is not None:
        case.result = result
    return case


def _verdict(run: Json | None, error: PromisePubError | None) -> TestCase:
    took = run["seconds"]["total"] if run else 0
    if error:
        return _case(VERDICT, _result(Error, error.code, [error.message, *error.details]), took)
    assert run
    if run["state"] != "completed":
        fault = run["error"] or {"code": run["state"], "message": f"The run was {run['state']}."}
        sentences = filter(None, [fault["message"], advice_on_run(fault["code"])])
        return _case(VERDICT, _result(Error, fault["code"], [*sentences]), took)
    if run["verdict"] != "kept":
        reasons = run["explanation"] or [f"The promise is {run['verdict']}."]
        return _case(VERDICT, _result(Failure, run["verdict"], reasons), took)
    return _case(VERDICT, None, took)


def _rejected(run: Json) -> Skipped | None:
    if not (count := run["rows"]["rejected"]):
        return None
    rows = f"{counted(count, 'row')} {'was' if count == 1 else 'were'}"
    return _result(Skipped, "rejected", [f"{rows} rejected and not published: /runs/{run['id']}/rejects names them"])


def _judged(run: Json, loss: _Loss) -> Failure | Skipped | None:
    """Returns what the verdict says of this loss; before there is one, what the counts say.

    A server, or a run, older than findings has sentences alone: then the counts speak as well, and the rest is skipped.
    """
    if run["state"] != "completed":
        return _counted(run, loss, f"The run is {run['state']}: there is no verdict.")
    findings, sentences = run.get("findings", []), run["explanation"]
    if len(findings) != len(sentences):
        return _counted(run, loss, f"An older version judged this run: its reasons stand in the case {VERDICT!r}.")
    broken, unproven = [], []
    for finding, sentence in zip(findings, sentences, strict=True):
        if finding["kind"] not in loss.kinds:
            continue
        if finding["verdict"] == Verdict.BROKEN:
            broken.append(sentence)
        elif finding["verdict"] == Verdict.UNKNOWN or finding["kind"] == Kind.NO_DIGEST:
            unproven.append(sentence)
    if broken:
        return _result(Failure, "lost", broken)
    return _result(Skipped, "unknown", unproven) if unproven else None


def _counted(run: Json, loss: _Loss, otherwise: str) -> Failure | Skipped:
    count = run["rows"][loss.counted] if loss.counted else 0
    if not count:
        return _result(Skipped, "unknown", [otherwise])
    rows = run.get(f"{loss.counted}_rows") or ""
    return _result(Failure, "lost", [f"{loss.counted}: {count:,} ({rows})"])


def _result(kind: type[Result], code: str, sentences: list[str]) -> Result:
    result = kind(_xml(sentences[0]), code)
    result.text = _xml("\n".join(sentences))
    return result


def _xml(text: str) -> str:
    """Escapes what XML cannot hold: a file may have any name."""
    return _NOT_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


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
