"""The test cases of a run: its verdict, each way of losing rows, each clause of its gate. Pure.

A case passes only where its question was answered, and the answer is good. What nobody judged is skipped, with why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from typing import NamedTuple

from junitparser import Error, Failure, Skipped

from promise_pub.delivery.evidence.outcome import Attention
from promise_pub.errors import PromisePubError
from promise_pub.fates import LOST_FATES, Fate
from promise_pub.http.problems import advice_on_run
from promise_pub.parameters.gate import Outcome, parse_gate
from promise_pub.presentation.outcome_words import list_clauses, list_notes
from promise_pub.presentation.run_json import decode_run
from promise_pub.records import FindingKind as Kind
from promise_pub.records import Verdict
from promise_pub.remote.answers import Json
from promise_pub.text import counted

VERDICT = "the promise is kept"
MAX_ROWS = 20  # that a failure names


class CaseResult(NamedTuple):
    """The result of a case that does not pass: a code for programs, and lines, of which the first is the reason."""

    kind: type[Error] | type[Failure] | type[Skipped]
    code: str
    lines: Sequence[str]


class Case(NamedTuple):
    """One test case; it passes without a result."""

    name: str
    result: CaseResult | None
    seconds: float = 0


class _Loss(NamedTuple):
    """A way of losing rows: the case that says there is none, and the findings that bear on it.

    `counted` is the count of a run's rows that shows the loss before there is a verdict; `fates` are those of the rows
    that a failure names.
    """

    case: str
    kinds: Set[Kind]
    fates: Set[Fate] = frozenset()
    counted: str = ""


_CONFIRMED = {Kind.UNCONFIRMED, Kind.EXTRA_CONFIRMS}
_RECEIVED = {Kind.NOT_RECEIVED, Kind.RECEIVED_NOT_REPORTED, Kind.RECEIVED_AGAIN, Kind.RECEIVED_TOO_MANY}
_DIGESTS = _Loss("what is received is what was published", {Kind.DIGEST_DIFFERS, Kind.NO_DIGEST})
_SAVED = _Loss(
    "every received row is saved, or it is explained why not",
    {*Kind} - {Kind.RETURNED, Kind.NACKED} - _CONFIRMED - _RECEIVED - _DIGESTS.kinds,
    {Fate.UNUSABLE, Fate.UNSAVED},
)
_LOSSES = (
    _Loss("no row comes back from the broker", {Kind.RETURNED}, {Fate.RETURNED}, "returned"),
    _Loss("no row is refused by the broker", {Kind.NACKED}, {Fate.NACKED}, "nacked"),
    _Loss("every row is confirmed by the broker", _CONFIRMED, {Fate.UNCONFIRMED, Fate.UNPUBLISHED}),
    _Loss("every confirmed row is received", _RECEIVED, {Fate.MISSING}),
    _SAVED,
    _DIGESTS,
)


def list_cases(run: Json | None, error: PromisePubError | None, rows: Sequence[Json]) -> Iterator[Case]:
    """Yields the cases of a run that ended, or of the error that prevented a run or following it to its end.

    A broken promise is a failure, whatever prevented a verdict an error. Rejected rows and a run that saves nothing new
    are skipped: a promise can be kept all the same.
    """
    yield Case(VERDICT, _judge_verdict(run, error, rows), run["seconds"]["total"] if run else 0)
    no_run = _not_judged("there is no run")
    yield Case("no row is rejected", _judge_rejected(run, rows) if run else no_run)
    for loss in _LOSSES:
        yield Case(loss.case, _judge(run, loss, rows) if run else no_run)
    yield Case("new rows are saved", _judge_new(run) if run else no_run)
    if run:
        yield from _judge_gate(run)


def _not_judged(*reasons: str) -> CaseResult:
    first, *more = reasons
    return CaseResult(Skipped, "unknown", [f"not judged: {first}", *more])


def _name_rows(rows: Sequence[Json], fates: Collection[Fate]) -> list[str]:
    """Returns a line for each of the first rows with these fates."""
    named = [row for row in rows if row["fate"] in fates][:MAX_ROWS]
    return [_name_row(row) for row in named]


def _name_row(row: Json) -> str:
    places = [f"{name} {row[name]:,}" for name in ("line", "row") if row.get(name) is not None]
    return f"{', '.join(places)}: {row['fate']}{f', {reason}' if (reason := row.get('reason')) else ''}"


def _judge_verdict(run: Json | None, error: PromisePubError | None, rows: Sequence[Json]) -> CaseResult | None:
    if error:
        return CaseResult(Error, error.code, [error.message, *error.details])
    assert run
    if run["state"] != "completed":
        fault = run["error"] or {"code": run["state"], "message": f"The run was {run['state']}."}
        sentences = filter(None, [fault["message"], advice_on_run(fault["code"])])
        return CaseResult(Error, fault["code"], [*sentences])
    if run["verdict"] != "kept":
        reasons = run["explanation"] or [f"The promise is {run['verdict']}."]
        return CaseResult(Failure, run["verdict"], [*reasons, *_name_rows(rows, LOST_FATES)])
    return None


def _judge_rejected(run: Json, rows: Sequence[Json]) -> CaseResult | None:
    if count := run["rows"]["rejected"]:
        were = f"{counted(count, 'row')} {'was' if count == 1 else 'were'}"
        reason = f"{were} rejected and not published: /runs/{run['id']}/rejects names them"
        return CaseResult(Skipped, "rejected", [reason, *_name_rows(rows, {Fate.REJECTED})])
    return None if run["state"] == "completed" else _not_judged(_no_verdict(run))


def _no_verdict(run: Json) -> str:
    return f"the run is {run['state']}, and there is no verdict"


def _judge(run: Json, loss: _Loss, rows: Sequence[Json]) -> CaseResult | None:
    """Returns what the verdict says of this loss; before there is one, what the counts say.

    A server, or a run, older than findings has sentences alone: then the counts speak as well, and the rest is skipped.
    """
    if run["state"] != "completed":
        return _judge_by_count(run, loss, _no_verdict(run), rows)
    findings, sentences = run.get("findings", []), run["explanation"]
    if len(findings) != len(sentences):
        older = f"an older version judged this run, and its reasons stand in the case {VERDICT!r}"
        return _judge_by_count(run, loss, older, rows)
    broken, unproven = [], []
    for finding, sentence in zip(findings, sentences, strict=True):
        if finding["kind"] not in loss.kinds:
            continue
        if finding["verdict"] == Verdict.BROKEN:
            broken.append(sentence)
        elif finding["verdict"] == Verdict.UNKNOWN or finding["kind"] == Kind.NO_DIGEST:
            unproven.append(sentence)
    if broken:
        return CaseResult(Failure, "lost", [*broken, *_name_rows(rows, loss.fates)])
    if not unproven and (lacking := _find_lacking(run, loss)):
        unproven = [lacking]
    return _not_judged(*unproven) if unproven else None


def _judge_by_count(run: Json, loss: _Loss, otherwise: str, rows: Sequence[Json]) -> CaseResult:
    count = run["rows"][loss.counted] if loss.counted else 0
    if not count:
        return _not_judged(otherwise)
    numbers = run.get(f"{loss.counted}_rows") or ""
    return CaseResult(Failure, "lost", [f"{loss.counted}: {count:,} ({numbers})", *_name_rows(rows, loss.fates)])


def _find_lacking(run: Json, loss: _Loss) -> str:
    """Returns what a verdict had no answer to, and therefore no finding either; "" where it had all it needs."""
    session = run["session"] or {}
    untold = [name for name in ("received", "saved") if session.get(name) is None]
    if loss is _SAVED and untold:
        return f"the consumer does not report how many rows it {' and '.join(untold)}"
    if loss is not _DIGESTS:
        return ""
    counts = run["rows"]
    if counts["confirmed"] != counts["read"] - counts["rejected"]:
        return "not every row reached the consumer, so the digests must differ"
    if run.get("earlier_sessions"):
        return "rows of earlier sessions rest on counts: a digest is of the last session alone"
    return "" if session.get("digest") and run.get("digest") and not untold else "there are no two digests to compare"


def _judge_new(run: Json) -> CaseResult | None:
    report = decode_run(run)
    if run["state"] != "completed":
        return _not_judged(_no_verdict(run))
    saved = report.totals.saved
    if saved is None:
        return _not_judged("the consumer does not report how many rows it saved")
    if saved:
        return None
    notes = [f"{note.sentence} {note.advice}" for note in list_notes(report)[:1]]
    return CaseResult(Skipped, Attention.NOTHING_SAVED, notes or ["Nothing was saved."])


def _judge_gate(run: Json) -> Iterator[Case]:
    """Yields a case for each clause, in the order of the gate; of a run that did not complete, not judged."""
    if not (text := run.get("fail_if")):
        return
    judged = {one.clause: one for _, one in list_clauses(decode_run(run))}
    for clause in dict.fromkeys(one.text for one in parse_gate(text).clauses):
        one = judged.get(clause)
        if one is None:
            result: CaseResult | None = _not_judged(_no_verdict(run))
        elif one.outcome is Outcome.UNKNOWN:
            result = _not_judged(one.sentence)
        else:
            result = CaseResult(Failure, "gate", [one.sentence]) if one.outcome is Outcome.FAILED else None
        yield Case(f"gate: {clause}", result)
