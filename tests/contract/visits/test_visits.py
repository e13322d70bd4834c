"""What visits promise, those in PostgreSQL and the fake ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID, uuid4

import pytest

from promise_pub import db
from promise_pub.features.visits.errors import HitRefused, SessionNotFound
from promise_pub.features.visits.hits import Hit
from promise_pub.features.visits.report import SessionSummary
from promise_pub.features.visits.store import MAX_PAGES, OTHERS, StoredVisits
from promise_pub.settings.model import DatabaseSettings
from tests.visits.fake_visits import FakeVisits, a_hit
from tests.visits.walks import IDLE

Visits = StoredVisits | FakeVisits
NOW = datetime.now(UTC)
START = NOW + timedelta(hours=6)  # tests may run long after this: none of its sessions has ended
LONG_AGO = NOW - timedelta(hours=6)
ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))


@pytest.fixture(params=["stored", "fake"])
async def visits(request: pytest.FixtureRequest) -> AsyncIterator[Visits]:
    if request.param == "fake":
        yield FakeVisits()
        return
    database: DatabaseSettings = request.getfixturevalue("database")
    async with db.open_pool(database, max_size=2) as pool:
        yield StoredVisits(pool, IDLE)


def connection(visits: Visits) -> Any:
    """One for sweeps, which are part of a transaction of others."""
    return visits._pool if isinstance(visits, StoredVisits) else None


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def pages(visits: Visits, session: UUID = ONE) -> list[str]:
    """Those of a session, in their order; none when it is unknown."""
    try:
        return [hit.page for hit in (await visits.get_session(session))[1]]
    except SessionNotFound:
        return []


async def test_a_hit_is_told_as_it_was_added(visits: Visits) -> None:
    whole = a_hit(
        ONE,
        at(0.123456),
        "/runs/{id}",
        path="/runs/O'Brien \N{CRAB}",
        method="GET",
        status=200,
        ip=ip_address("2001:db8::1"),
        port=65535,
        user_agent="a\tbrowser",
        referrer="",
        headers='[["Accept", "a"], ["accept", "b"], ["X", "\N{CRAB} \\" \\\\"]]',
        took_ms=1.5,
        known=False,
    )
    bare = a_hit(ONE, at(1))
    assert await visits.add_hits([bare, whole]) == []
    _, hits = await visits.get_session(ONE)
    assert hits == [whole, bare]
    assert hits[0].as_json() == whole.as_json()


async def test_no_hits_are_added_and_nothing_comes_of_it(visits: Visits) -> None:
    assert await visits.add_hits([]) == []
    assert await visits.list_sessions(10) == ([], 0)
    told = await visits.get_transitions()
    assert (told.chains.hits, told.chains.sessions, told.rows()) == (0, 0, [])


async def test_a_hit_is_there_once_however_often_it_is_added_and_as_it_was_first(
    visits: Visits,
) -> None:
    first, second = a_hit(ONE, at(0), "/"), a_hit(ONE, at(1), "/runs")
    await visits.add_hits([first, first])
    changed = a_hit(TWO, at(2), "/other", id=first.id)
    assert await visits.add_hits([changed, first, second]) == []
    assert await pages(visits) == ["/", "/runs"]
    assert await pages(visits, TWO) == []


async def test_hits_of_one_moment_are_in_the_order_of_their_ids(visits: Visits) -> None:
    hits = [a_hit(ONE, at(0), page) for page in ("/3", "/1", "/2")]
    await visits.add_hits([a_hit(ONE, at(-1), "/later id"), *reversed(hits)])
    assert await pages(visits) == ["/later id", "/3", "/1", "/2"]


@pytest.mark.parametrize(
    "refused",
    [
        a_hit(THREE, at(0), status=2**40),
        a_hit(THREE, at(0), port=-(2**40)),
        a_hit(THREE, at(0), "".join(chr(0x4E00 + 7919 * n % 20_000) for n in range(5000))),
        a_hit(THREE, at(0), path="a\0b"),
        a_hit(THREE, at(0), user_agent="\udc80"),
        a_hit(THREE, at(0), referrer="\ud800"),
        a_hit(THREE, at(0), headers='[["X", "a\\u0000b"]]'),
        a_hit(THREE, at(0), headers='[["X", "\\ud800"]]'),
    ],
    ids=["status", "port", "page", "NUL", "a byte", "half a pair", "escaped NUL", "escaped half"],
)
async def test_a_hit_that_cannot_be_kept_keeps_out_those_that_come_with_it(visits: Visits, refused: Hit) -> None:
    with pytest.raises(HitRefused):
        await visits.add_hits([a_hit(ONE, at(0)), refused, a_hit(ONE, at(1))])
    assert await pages(visits) == []
    await visits.add_hits([a_hit(ONE, at(0))])
    assert await pages(visits) == ["/"]


async def test_the_last_hit_of_a_session_is_known(visits: Visits) -> None:
    await visits.add_hits([a_hit(ONE, at(3)), a_hit(ONE, at(1)), a_hit(TWO, at(5))])
    assert await visits.get_last_hit(ONE) == at(3)
    assert await visits.get_last_hit(uuid4()) is None


async def test_a_session_is_summed_up_with_the_client_of_its_last_hit(visits: Visits) -> None:
    old, new = ip_address("192.0.2.1"), ip_address("::ffff:192.0.2.1")
    await visits.add_hits(
        [
            a_hit(ONE, at(2), "/", ip=new, user_agent="new"),
            a_hit(ONE, at(0), "/", ip=old, user_agent="old"),
            a_hit(ONE, at(1), "/runs", ip=old, user_agent="old"),
        ]
    )
    summary = SessionSummary(
        session_id=ONE,
        first=at(0),
        last=at(2),
        hits=3,
        pages=2,
        ended=False,
        ip=new,
        user_agent="new",
    )
    assert await visits.list_sessions(10) == ([summary], 1)
    assert (await visits.get_session(ONE))[0] == summary
    await visits.add_hits([a_hit(ONE, at(2), "/nobody")])  # of the same moment, with a higher id
    (after,), _ = await visits.list_sessions(10)
    assert (after.ip, after.user_agent) == (None, None)
    assert (await visits.get_session(ONE))[0] == after


async def test_a_session_has_ended_when_its_last_hit_is_as_old_as_that(visits: Visits) -> None:
    now = datetime.now(UTC)
    minute = timedelta(minutes=1)
    await visits.add_hits([a_hit(ONE, now - IDLE + minute), a_hit(TWO, now - IDLE - minute)])
    await visits.add_hits([a_hit(THREE, LONG_AGO), a_hit(THREE, now)])
    listed, _ = await visits.list_sessions(10)
    assert {one.session_id: one.ended for one in listed} == {ONE: False, TWO: True, THREE: False}
    assert [(await visits.get_session(one))[0].ended for one in (ONE, TWO, THREE)] == [
        False,
        True,
        False,
    ]


async def ten_sessions(visits: Visits) -> list[UUID]:
    """In the order in which they are listed: two hits each, the last ones 10 seconds apart, but two at a time."""
    sessions = [UUID(int=number) for number in (7, 10, 2, 5, 3, 4, 1, 9, 6, 8)]
    for place, session in enumerate(sessions):
        last = at(-10.0 * (place // 2))
        await visits.add_hits([a_hit(session, LONG_AGO), a_hit(session, last)])
    return sessions


@pytest.mark.parametrize(
    ("most", "skip", "since", "places", "total"),
    [
        (100, 0, None, range(10), 10),
        (3, 0, None, range(3), 10),
        (3, 3, None, range(3, 6), 10),
        (3, 9, None, range(9, 10), 10),
        (3, 10, None, (), 10),
        (3, 1000, None, (), 10),
        (100, 0, 0, range(2), 2),
        (100, 0, -20, range(6), 6),
        (4, 4, -20, range(4, 6), 6),
        (4, 8, -20, (), 6),
        (100, 0, 0.000001, (), 0),
        (100, 5, 1, (), 0),
    ],
)
async def test_sessions_are_listed_newest_first_a_page_at_a_time(
    visits: Visits,
    most: int,
    skip: int,
    since: float | None,
    places: range | tuple[int, ...],
    total: int,
) -> None:
    order = await ten_sessions(visits)
    found, count = await visits.list_sessions(most, skip, None if since is None else at(since))
    assert [one.session_id for one in found] == [order[place] for place in places]
    assert count == total
    assert all((one.hits, one.first) == (2, LONG_AGO) for one in found)  # what was before counts


async def test_an_unknown_session_is_not_found(visits: Visits) -> None:
    await visits.add_hits([a_hit(ONE)])
    for asked in (visits.get_session(TWO), visits.get_transitions(TWO), visits.forget_session(TWO)):
        with pytest.raises(SessionNotFound):
            await asked


async def test_transitions_of_one_session_are_its_own(visits: Visits) -> None:
    await visits.add_hits([a_hit(ONE, at(0), "/"), a_hit(TWO, at(1), "/x"), a_hit(ONE, at(2), "/runs")])
    told = await visits.get_transitions(ONE)
    assert (told.session, told.since) == (ONE, None)
    assert told.rows() == [("/", "/runs", 1, 1.0)]
    assert (told.chains.sessions, told.chains.hits) == (1, 2)


async def test_what_was_before_is_as_if_it_had_not_been(visits: Visits) -> None:
    await visits.add_hits([a_hit(ONE, at(second), f"/{second}") for second in range(4)])
    await visits.add_hits([a_hit(TWO, at(0), "/0"), a_hit(TWO, at(3), "/3")])
    told = await visits.get_transitions(since=at(2))
    assert told.since == at(2)
    assert told.rows() == [("/2", "/3", 1, 1.0)]
    entries = {page.page: page.entries for page in told.pages()}
    assert entries == {"/2": 1, "/3": 1}
    assert (await visits.get_transitions(TWO, at(1))).chains.hits == 1


async def test_pages_that_are_too_many_are_told_as_one_but_for_those_that_were_hit_most(
    visits: Visits,
) -> None:
    often = [f"/often/{number:03}" for number in range(MAX_PAGES) for _ in "ab"]
    walk = [*often, "/rare/1", "/rare/2", "/often/000"]
    await visits.add_hits([a_hit(ONE, at(second), page) for second, page in enumerate(walk)])
    chains = (await visits.get_transitions(ONE)).chains
    assert len(chains.pages()) == MAX_PAGES + 1 and chains.hits == len(walk)
    assert chains.graph.nodes[OTHERS] == {"hits": 2, "entries": 0}
    assert {*chains.graph.predecessors(OTHERS)} == {f"/often/{MAX_PAGES - 1:03}", OTHERS}
    assert [target.page for target in chains.targets(OTHERS)] == ["/often/000", OTHERS]


async def test_a_known_session_without_a_hit_since_then_has_no_transitions(
    visits: Visits,
) -> None:
    await visits.add_hits([a_hit(ONE, at(0))])
    told = await visits.get_transitions(ONE, at(0.5))
    assert (told.chains.hits, told.chains.sessions) == (0, 0)


async def test_a_forgotten_session_is_gone_and_nothing_more_of_it_is_written(
    visits: Visits,
) -> None:
    late = a_hit(ONE, at(2))
    await visits.add_hits([a_hit(ONE, at(0)), a_hit(ONE, at(1)), a_hit(TWO, at(0))])
    assert await visits.forget_session(ONE) == 2
    assert await visits.get_last_hit(ONE) is None
    assert [one.session_id for one in (await visits.list_sessions(10))[0]] == [TWO]
    assert await visits.add_hits([late, a_hit(ONE, at(3)), a_hit(TWO, at(3))]) == [ONE]
    assert (await pages(visits), await pages(visits, TWO)) == ([], ["/", "/"])
    with pytest.raises(SessionNotFound):
        await visits.forget_session(ONE)
    assert await visits.add_hits([a_hit(TWO, at(4))]) == []


async def test_it_is_told_of_every_forgotten_session_once(visits: Visits) -> None:
    await visits.add_hits([a_hit(ONE), a_hit(TWO), a_hit(THREE)])
    for session in (ONE, TWO):
        await visits.forget_session(session)
    told = await visits.add_hits([a_hit(session) for session in (ONE, TWO, THREE, ONE, TWO)])
    assert sorted(told) == [ONE, TWO]


async def test_old_hits_are_swept_a_piece_at_a_time_the_oldest_first(visits: Visits) -> None:
    await visits.add_hits([a_hit(ONE, at(second), f"/{second}") for second in (4, 2, 0, 3, 1)])
    assert await visits.delete_old_hits(connection(visits), at(4), 3) == 3
    assert await pages(visits) == ["/3", "/4"]
    assert await visits.delete_old_hits(connection(visits), at(4), 3) == 1
    assert await visits.delete_old_hits(connection(visits), at(4), 3) == 0
    assert await pages(visits) == ["/4"]  # a hit of that very moment stays


async def test_forgotten_sessions_are_remembered_until_they_are_swept(visits: Visits) -> None:
    await visits.add_hits([a_hit(ONE)])
    await visits.forget_session(ONE)
    await visits.delete_old_forgotten(connection(visits), datetime.now(UTC) - timedelta(hours=1))
    assert await visits.add_hits([a_hit(ONE)]) == [ONE]
    await visits.delete_old_forgotten(connection(visits), datetime.now(UTC) + timedelta(hours=1))
    assert await visits.add_hits([a_hit(ONE)]) == []
    assert await pages(visits) == ["/"]
