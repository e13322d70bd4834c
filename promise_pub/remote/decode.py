"""A run as a server told it → a report, as far as it takes to show how the run goes. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from promise_pub.errors import ServerAnswerError
from promise_pub.records import (
    Counts,
    EarlierSession,
    Fault,
    Finding,
    Mode,
    Parameters,
    RunReport,
    Seconds,
    SessionView,
    State,
    StoredFile,
    Verdict,
)

_COUNTS = ("read", "rejected", "published", "confirmed", "returned", "nacked", "resent")
_SECONDS = ("queued", "negotiating", "publishing", "draining", "total")


def as_report(run: dict[str, Any]) -> RunReport:
    """What the JSON of a run says. Raises ServerAnswerError for what is no run."""
    try:
        return _report(run)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ServerAnswerError(f"The server's answer is no run: {error!r}") from error


def _report(run: dict[str, Any]) -> RunReport:
    file, error = run["file"], run["error"]
    return RunReport(
        id=run["id"],
        parameters=Parameters(mode=Mode(run["mode"]), timeout=run["timeout"], rate=run["rate"]),
        file=StoredFile(file["name"], file["bytes"], file["sha256"]),
        created_at=datetime.fromisoformat(run["created_at"]),
        state=State(run["state"]),
        seconds=Seconds(**{name: float(run["seconds"][name]) for name in _SECONDS}),
        counts=Counts(**{name: int(run["rows"][name]) for name in _COUNTS}),
        session=_session(run["session"]),
        db_count=run["db_count"],
        verdict=Verdict(run["verdict"]) if run["verdict"] else None,
        explanation=tuple(run["explanation"]),
        findings=Finding.parse_all(run.get("findings", ())),
        position=run["position"],
        earlier=tuple(_earlier(one) for one in run.get("earlier_sessions", ())),
        error=Fault(error["code"], error["message"]) if error else None,
        blocked=bool(run.get("blocked")),
        read_bytes=int(run.get("read_bytes", 0)),
    )


def _session(told: dict[str, Any] | None) -> SessionView | None:
    if told is None:
        return None
    counts = {name: told.get(name) for name in ("received", "saved", "duplicates", "invalid")}
    return SessionView(uuid=told["uuid"], **counts)


def _earlier(told: dict[str, Any]) -> EarlierSession:
    session = _session(told["session"])
    if session is None:
        raise ValueError("an earlier session is none")
    return EarlierSession(session, told["first_row"], told["last_row"])
