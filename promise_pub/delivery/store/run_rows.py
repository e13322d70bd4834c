"""A run's row in PostgreSQL: made of a report, and a report made of it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from promise_pub.errors import DatabaseError
from promise_pub.event_records import Told
from promise_pub.fates import Fate, RowGroup
from promise_pub.parameters import Parameters
from promise_pub.records import (
    ConfirmLatency,
    Counts,
    EarlierSession,
    Fault,
    Finding,
    Resent,
    RunReport,
    Seconds,
    SessionView,
    State,
    StoredFile,
    Verdict,
)
from promise_pub.resume_state import Checkpoint, ResumeState
from promise_pub.samples import Sample
from promise_pub.text import storable

_T = TypeVar("_T")

KEPT = 100  # reports that are kept parsed: most pages show the same runs
MAX_KEPT = 50_000  # characters of one that is kept; ranges of rows may have a million


def columns_of(report: RunReport) -> dict[str, Any]:
    return {
        "id": UUID(report.id),
        "state": report.state.value,
        "started_at": report.started_at,
        "finished_at": report.finished_at,
        "seconds": json.dumps(asdict(report.seconds)),
        "rows_read": report.counts.read,
        "rows_rejected": report.counts.rejected,
        "published": report.counts.published,
        "confirmed": report.counts.confirmed,
        "returned": report.counts.returned,
        "nacked": report.counts.nacked,
        "resent": report.counts.resent,
        "returned_rows": report.returned_rows,
        "nacked_rows": report.nacked_rows,
        "session": json.dumps(asdict(report.session)) if report.session else None,
        "db_count": report.db_count,
        "verdict": report.verdict.value if report.verdict else None,
        "explanation": [storable(one) for one in report.explanation],
        "confirm_ms": json.dumps(asdict(report.confirm_ms)) if report.confirm_ms else None,
        "error_code": report.error.code if report.error else None,
        "error_message": storable(report.error.message) if report.error else None,
        "digest": report.digest,
        "resends": json.dumps([asdict(replace(one, reason=storable(one.reason))) for one in report.resends]),
        "earlier": json.dumps([asdict(one) for one in report.earlier]),
        "going": json.dumps(asdict(report.resume_state)),
        "samples": json.dumps(report.samples),
        "read_bytes": report.read_bytes,
        "findings": json.dumps([finding.as_json() for finding in report.findings]),
        "unconfirmed_rows": report.unconfirmed_rows,
        "row_groups": json.dumps(report.row_groups),
    }


def report_of(row: asyncpg.Record) -> RunReport:
    """Makes a report of a run's row; of one that was read before, and has not changed since, the same again."""
    columns = tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in row.items())
    long = sum(len(value) for _, value in columns if isinstance(value, str)) > MAX_KEPT
    try:
        return _parse_report.__wrapped__(columns) if long else _parse_report(columns)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DatabaseError(f"The record of run {row['id']} cannot be read: {type(error).__name__}.") from error


@lru_cache(KEPT)
def _parse_report(columns: tuple[tuple[str, Any], ...]) -> RunReport:
    row = dict(columns)
    return RunReport(
        id=str(row["id"]),
        parameters=Parameters.from_columns(row),
        file=StoredFile(row["file_name"], row["file_bytes"], row["file_sha256"]),
        created_at=row["created_at"],
        started_by=row["started_by"],
        state=State(row["state"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        seconds=_read(Seconds, json.loads(row["seconds"])),
        counts=Counts(
            read=row["rows_read"],
            rejected=row["rows_rejected"],
            published=row["published"],
            confirmed=row["confirmed"],
            returned=row["returned"],
            nacked=row["nacked"],
            resent=row["resent"],
        ),
        returned_rows=row["returned_rows"],
        nacked_rows=row["nacked_rows"],
        unconfirmed_rows=row["unconfirmed_rows"],
        session=_read(SessionView, json.loads(row["session"])) if row["session"] else None,
        db_count=row["db_count"],
        verdict=Verdict(row["verdict"]) if row["verdict"] else None,
        explanation=tuple(row["explanation"]),
        confirm_ms=_read(ConfirmLatency, json.loads(row["confirm_ms"])) if row["confirm_ms"] else None,
        error=Fault(row["error_code"], row["error_message"]) if row["error_code"] else None,
        digest=row["digest"],
        resends=tuple(_read(Resent, one) for one in json.loads(row["resends"])),
        earlier=tuple(_earlier(one) for one in json.loads(row["earlier"])),
        resume_state=_resume_state(json.loads(row["going"])),
        findings=Finding.parse_all(json.loads(row["findings"])),
        samples=tuple(Sample(*one) for one in json.loads(row["samples"])),
        read_bytes=row["read_bytes"],
        told=_read(Told, json.loads(row["told"])),
        row_groups=tuple(RowGroup(Fate(fate), rows, reason) for fate, rows, reason in json.loads(row["row_groups"])),
    )


def _read(kind: type[_T], told: dict[str, Any]) -> _T:
    """Makes a record of its JSON. Leaves out keys that only another version knows, since servers share the database."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in told.items() if key in known})


def _earlier(told: dict[str, Any]) -> EarlierSession:
    return EarlierSession(_read(SessionView, told["session"]), told["first"], told["last"])


def _resume_state(told: dict[str, Any]) -> ResumeState:
    if not told:
        return ResumeState()
    checkpoint = _read(Checkpoint, told["checkpoint"])
    left_behind = tuple(told.get("left_behind", ()))
    return _read(ResumeState, {**told, "checkpoint": checkpoint, "left_behind": left_behind})
