"""The hits in memory; they meet the contract of the stored ones (tests/contract/test_visits.py)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

from promise_pub.errors import DatabaseError
from promise_pub.features.visits.chains import build_chains
from promise_pub.features.visits.errors import HitRefused, SessionNotFound
from promise_pub.features.visits.hits import Hit, HitIds
from promise_pub.features.visits.report import SessionSummary, Transitions
from promise_pub.features.visits.store import MAX_PAGES, OTHERS
from tests.visits import walks
from tests.visits.walks import IDLE, steps_of

LONGEST_INDEXED = 2600  # bytes of a page, about: each has to go into an index
IDS = HitIds()

_in_time = attrgetter("at", "id")


def a_hit(session: int | UUID = 1, at: datetime | None = None, page: str = "/", **more: Any) -> Hit:
    """A hit of session number so and so, now if nothing else is said; later ones have higher ids."""
    at = at or datetime.now(UTC)
    whose = session if isinstance(session, UUID) else UUID(int=session)
    return Hit(**{"id": IDS.make(at), "at": at, "session_id": whose, "page": page, **more})


class FakeVisits:
    """What servers and pages ask of StoredVisits."""

    def __init__(self, idle: timedelta = IDLE, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.away: DatabaseError | None = None
        """What every question raises while it is set."""
        self.hits: dict[UUID, Hit] = {}
        self.forgotten: dict[UUID, datetime] = {}
        self._idle = idle
        self._now = now

    def _ask(self) -> None:
        if self.away:
            raise self.away

    async def add_hits(self, hits: Sequence[Hit]) -> Sequence[UUID]:
        self._ask()
        if not all(_can_be_kept(hit) for hit in hits):
            raise HitRefused
        for hit in hits:
            if hit.session_id not in self.forgotten:
                self.hits.setdefault(hit.id, hit)
        return [*({hit.session_id for hit in hits} & self.forgotten.keys())]

    async def get_last_hit(self, session: UUID) -> datetime | None:
        self._ask()
        return max((hit.at for hit in self._of(session)), default=None)

    async def list_sessions(
        self, limit: int, skip: int = 0, since: datetime | None = None
    ) -> tuple[list[SessionSummary], int]:
        self._ask()
        found = [one for one in self._summaries() if since is None or one.last >= since]
        found.sort(key=attrgetter("session_id"))
        found.sort(key=attrgetter("last"), reverse=True)
        return found[skip : skip + limit], len(found)

    async def get_session(self, session: UUID) -> tuple[SessionSummary, list[Hit]]:
        self._ask()
        hits = self._of(session)
        if not hits:
            raise SessionNotFound
        return self._summary(hits), hits

    async def get_transitions(self, session: UUID | None = None, since: datetime | None = None) -> Transitions:
        self._ask()
        if session and not self._of(session):
            raise SessionNotFound
        hits = self._of(session) if session else self.hits.values()
        counted = [_as_counted(hit) for hit in hits if since is None or hit.at >= since]
        steps = steps_of(_most_hit_by_themselves(counted), self._now(), self._idle)
        return Transitions(build_chains(steps), session, since)

    async def forget_session(self, session: UUID) -> int:
        self._ask()
        hits = self._of(session)
        if not hits:
            raise SessionNotFound
        self.forgotten[session] = self._now()
        self._delete(hits)
        return len(hits)

    async def delete_old_hits(self, _: Any, before: datetime, limit: int) -> int:
        self._ask()
        old = sorted((hit for hit in self.hits.values() if hit.at < before), key=_in_time)
        self._delete(old[:limit])
        return len(old[:limit])

    async def delete_old_forgotten(self, _: Any, before: datetime) -> None:
        self._ask()
        self.forgotten = {one: at for one, at in self.forgotten.items() if at >= before}

    def _of(self, session: UUID) -> list[Hit]:
        hits = (hit for hit in self.hits.values() if hit.session_id == session)
        return sorted(hits, key=_in_time)

    def _delete(self, hits: Sequence[Hit]) -> None:
        for hit in hits:
            del self.hits[hit.id]

    def _summaries(self) -> Iterator[SessionSummary]:
        sessions = defaultdict(list)
        for hit in sorted(self.hits.values(), key=_in_time):
            sessions[hit.session_id].append(hit)
        return map(self._summary, sessions.values())

    def _summary(self, hits: Sequence[Hit]) -> SessionSummary:
        """Of a session's hits in their order."""
        first, last = hits[0], hits[-1]
        return SessionSummary(
            session_id=first.session_id,
            first=first.at,
            last=last.at,
            hits=len(hits),
            pages=len({hit.page for hit in hits}),
            ended=self._now() - last.at >= self._idle,
            ip=last.ip,
            user_agent=last.user_agent,
        )


def _most_hit_by_themselves(hits: Sequence[walks.Hit]) -> list[walks.Hit]:
    """All others go by one name."""
    times = Counter(hit.page for hit in hits)
    most = set(sorted(times, key=lambda page: (-times[page], page))[:MAX_PAGES])
    return [hit if hit.page in most else hit._replace(page=OTHERS) for hit in hits]


def _as_counted(hit: Hit) -> walks.Hit:
    return walks.Hit(str(hit.session_id), hit.at, hit.id.int, hit.page)


def _can_be_kept(hit: Hit) -> bool:
    """By what PostgreSQL can keep: its texts, its numbers, its indexes."""
    texts = [hit.page, hit.path, hit.method, hit.user_agent, hit.referrer]
    texts += [part for pair in json.loads(hit.headers) for part in pair]
    numbers = [number for number in (hit.status, hit.port) if number is not None]
    return (
        all(_is_text(text) for text in texts if text is not None)
        and len(hit.page.encode()) <= LONGEST_INDEXED
        and all(-(2**31) <= number < 2**31 for number in numbers)
    )


def _is_text(text: str) -> bool:
    surrogates = range(0xD800, 0xE000)
    return not any(ord(character) in surrogates or character == "\0" for character in text)
