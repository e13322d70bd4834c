"""Feeds of runs: one look for all who follow, each event rendered once, nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

import pytest

from promise_pub.errors import DatabaseUnavailable
from promise_pub.web.runs.feed import Event, RunFeeds
from tests.fakes import until
from tests.run_parts import report

RUN = "7b0e0a52-0000-4000-8000-000000000000"


class Looks:
    """Looks at a run, which tells when it is told to."""

    def __init__(self) -> None:
        self.begun = self.over = 0
        self.next: asyncio.Queue[str | Exception] = asyncio.Queue()

    async def __call__(self) -> AsyncGenerator[Event]:
        self.begun += 1
        try:
            while True:
                name = await self.next.get()
                if isinstance(name, Exception):
                    raise name
                yield Event(name, report())
                if name == "end":
                    return
        finally:
            self.over += 1


async def names(feeds: RunFeeds, look: Looks, told: list[str]) -> None:
    async with feeds.follow(RUN, look) as events:
        async for event in events:
            told.append(event.name)


def all_heard(told: list[list[str]], name: str) -> bool:
    return all(each[-1:] == [name] for each in told)


async def test_all_who_follow_share_one_look_and_hear_its_end() -> None:
    feeds, look = RunFeeds(), Looks()
    told: list[list[str]] = [[] for _ in range(50)]
    followers = [asyncio.create_task(names(feeds, look, each)) for each in told]
    for name in ("one", "two"):
        look.next.put_nowait(name)
        await until(partial(all_heard, told, name))
    look.next.put_nowait("end")
    await asyncio.gather(*followers)
    assert told == [["one", "two", "end"]] * 50
    assert (look.begun, look.over, feeds._feeds) == (1, 1, {})


async def test_who_comes_later_hears_the_latest_at_once() -> None:
    feeds, look = RunFeeds(), Looks()
    first: list[str] = []
    follower = asyncio.create_task(names(feeds, look, first))
    look.next.put_nowait("one")
    await until(lambda: first == ["one"])
    async with feeds.follow(RUN, look) as events:
        assert (await anext(events)).name == "one"
    look.next.put_nowait("end")
    await follower
    assert look.begun == 1


async def test_a_slow_follower_misses_what_was_between_and_never_the_end() -> None:
    feeds, look = RunFeeds(), Looks()
    async with feeds.follow(RUN, look) as events:
        look.next.put_nowait("0")
        assert (await anext(events)).name == "0"
        for number in range(1, 100):
            look.next.put_nowait(str(number))
        look.next.put_nowait("end")
        await until(lambda: look.over == 1)
        assert [event.name async for event in events] == ["end"]


async def test_the_last_to_leave_ends_the_look() -> None:
    feeds, look = RunFeeds(), Looks()
    for _ in range(2):
        followers = [asyncio.create_task(names(feeds, look, [])) for _ in range(3)]
        await until(lambda: look.begun == look.over + 1)
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
        assert look.begun == look.over and not feeds._feeds


async def test_what_the_look_raises_reaches_all_and_the_next_looks_anew() -> None:
    feeds, look = RunFeeds(), Looks()
    followers = [asyncio.create_task(names(feeds, look, [])) for _ in range(3)]
    await until(lambda: look.begun == 1)
    look.next.put_nowait(DatabaseUnavailable("away"))
    raised = await asyncio.gather(*followers, return_exceptions=True)
    assert [type(one) for one in raised] == [DatabaseUnavailable] * 3
    look.next.put_nowait("end")
    await names(feeds, look, told := [])
    assert told == ["end"] and look.begun == 2


def test_an_event_is_rendered_once_for_each_kind() -> None:
    event, made = Event("progress", report()), []

    def make(given: Event) -> bytes:
        made.append(given)
        return b"%d" % len(made)

    assert [event.render(kind, make) for kind in ("json", "html", "json", "html")] == [b"1", b"2", b"1", b"2"]


@pytest.mark.parametrize("name", ["progress", "end"])
def test_events_of_different_moments_share_nothing(name: str) -> None:
    one, two = Event(name, report()), Event(name, report())
    assert one.render("json", lambda _: b"1") != two.render("json", lambda _: b"2")
