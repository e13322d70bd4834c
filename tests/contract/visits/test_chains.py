"""The chains that PostgreSQL counts are those that plain Python counts (tests/walks.py), whatever the hits."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest

from promise_pub import db
from promise_pub.features.visits import hits
from promise_pub.features.visits.chains import EXIT, Chains, build_chains
from promise_pub.features.visits.errors import SessionNotFound
from promise_pub.features.visits.hits import make_hit_id
from promise_pub.features.visits.store import StoredVisits
from promise_pub.settings.model import DatabaseSettings
from tests.visits.walks import IDLE, NOW, Hit, hits_of, steps_of

Count = Callable[..., Awaitable[Chains]]

TICK = timedelta(microseconds=1)
BORDER = NOW - IDLE  # a session whose last hit was then has ended, and no later one


def walks(*told: str) -> list[Hit]:
    return hits_of(walk.split() for walk in told)


def hit(session: str, seconds: float, page: str, order: int = 0) -> Hit:
    """So many seconds after the border."""
    return Hit(session, BORDER + timedelta(seconds=seconds), order, page)


CASES = {
    "no hits": [],
    "one hit going": walks("/"),
    "one hit ended": walks("/ exit"),
    "ended to the microsecond": [Hit("a", BORDER, 0, "/"), Hit("b", BORDER + TICK, 0, "/")],
    "self-loops": walks("/ / / exit", "/runs /runs", "/ /runs /runs / exit"),
    "an exit after each page": walks("/ exit", "/ /runs exit", "/ /runs /runs/{id} exit"),
    "none leaves": walks("/ /runs", "/runs /", "/"),
    "interleaved": [
        hit(session, second, page)
        for second, (session, page) in enumerate(
            [("a", "/1"), ("b", "/1"), ("a", "/2"), ("b", "/3"), ("c", "/2"), ("a", "/1")], -3
        )
    ],
    "two sessions at once": [
        hit(session, second, page, order)
        for order, (session, second, page) in enumerate(
            [("a", 0, "/1"), ("b", 0, "/2"), ("b", 1, "/3"), ("a", 1, "/4")]
        )
    ],
    "ties of the clock": [hit("a", 0, page, order) for order, page in enumerate(["/b", "/a", "/c", "/a", "/a"])],
    "the older hit has the higher id": [
        Hit("a", BORDER, 9, "/1"),
        Hit("a", BORDER + TICK, 1, "/2"),
    ],
    "hours between, and one session all the same": [hit("a", -9999, "/1"), hit("a", 9, "/2")],
    "pages called anything": walks("'\" \\ $1 :name %s {id} /日本語 NULL /A /a exit"),
}


@pytest.fixture
async def count(database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Writes hits in any order, deletes what was there, and gives their chains at NOW."""
    monkeypatch.setattr(StoredVisits, "_ended_before", lambda _: BORDER)
    async with db.open_pool(database, max_size=1) as pool:
        visits = StoredVisits(pool, IDLE)

        async def counted(given: Sequence[Hit], session: str | None = None, since: datetime | None = None) -> Chains:
            await pool.execute("TRUNCATE visit_hits")
            shuffled = random.Random(len(given)).sample(given, len(given))
            await visits.add_hits([stored(one) for one in shuffled])
            told = await visits.get_transitions(session and uuid_of(session), since)
            return told.chains

        yield counted


def uuid_of(session: str) -> UUID:
    return uuid5(NAMESPACE_OID, session)


def stored(one: Hit) -> hits.Hit:
    rest = uuid_of(one.session).int
    made = partial(hits.Hit, at=one.at, session_id=uuid_of(one.session), page=one.page)
    return made(id=make_hit_id(one.at, one.order, rest))


def told(chains: Chains) -> tuple[object, ...]:
    """All there is of it."""
    nodes = {node: dict(values) for node, values in chains.graph.nodes.items()}
    edges = {edge: dict(values) for edge, values in chains.graph.edges.items()}
    return nodes, edges, chains.sessions, chains.ended, chains.bounces


def expected(given: Sequence[Hit], session: str | None = None, since: datetime | None = None) -> tuple[object, ...]:
    """In plain Python."""
    chosen = [one for one in given if session in (None, one.session) and (since is None or one.at >= since)]
    return told(build_chains(steps_of(chosen, NOW, IDLE)))


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
async def test_hits_are_counted_as_plain_python_counts_them(count: Count, given: list[Hit]) -> None:
    assert told(await count(given)) == expected(given)
    for session in {one.session for one in given}:
        assert told(await count(given, session)) == expected(given, session)
    for since in {one.at for one in given}:
        assert told(await count(given, since=since)) == expected(given, since=since)
        assert told(await count(given, since=since + TICK)) == expected(given, since=since + TICK)


def some_hits(chance: random.Random) -> list[Hit]:
    """Of few sessions and pages at few moments around the border, so that all of it meets."""
    sessions, pages = "abcde"[: chance.randint(1, 5)], ["/", "/runs", "/runs/{id}", "/docs"]
    return [
        hit(chance.choice(sessions), chance.randint(-4, 4), chance.choice(pages), order)
        for order in range(chance.randint(0, 25))
    ]


@pytest.mark.parametrize("first", range(0, 150, 50))
async def test_any_hits_are_counted_as_plain_python_counts_them(count: Count, first: int) -> None:
    for seed in range(first, first + 50):
        chance = random.Random(seed)
        given = some_hits(chance)
        since = chance.choice([None, None, BORDER + timedelta(seconds=chance.randint(-5, 5))])
        session = chance.choice([None, None, *sorted({one.session for one in given})])
        assert told(await count(given, session, since)) == expected(given, session, since), seed


def test_ids_and_times_of_a_case_are_not_in_one_order() -> None:
    older, newer = map(stored, CASES["the older hit has the higher id"])
    assert (older.at < newer.at, older.id > newer.id) == (True, True)


async def test_a_case_is_told_from_others(count: Count) -> None:
    """What the tests above compare with would notice: the order of one moment, and who leaves."""
    ties = CASES["ties of the clock"]
    turned = [one._replace(order=9 - one.order) for one in ties]
    assert told(await count(turned)) != expected(ties)
    graph = (await count(CASES["ended to the microsecond"])).graph
    assert graph.nodes[EXIT]["hits"] == 1


async def test_a_session_that_is_not_there_is_not_found_among_others(count: Count) -> None:
    with pytest.raises(SessionNotFound):
        await count(walks("/ /runs exit"), "another")
