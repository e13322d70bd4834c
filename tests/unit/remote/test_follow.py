"""Following a run at servers that go away, come back, hold back, tell nonsense, or are old."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from promise_pub.errors import ServerAnswerError, ServerAway
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import RunReport, State
from promise_pub.remote import client
from promise_pub.remote import follow as module
from promise_pub.remote.answers import Json
from promise_pub.remote.client import open_remote
from promise_pub.remote.follow import follow
from promise_pub.retries import Backoff
from tests.run_parts import RUN, ended, report

Act = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_EVERY", 0.01)


QUICK = Backoff(first=0.02, longest=5.0, within=20.0, jitter=0.0)
IMPATIENT = replace(QUICK, within=0.4)


class Server:
    """Each time its stream is asked for, it does the next of its acts, and the last one again and again."""

    def __init__(self, *acts: Act) -> None:
        self.acts = list(acts)
        self.streams = self.polls = 0
        self.run = encode_run(ended())

    async def stream(self, request: web.Request) -> web.StreamResponse:
        act = self.acts[min(self.streams, len(self.acts) - 1)]
        self.streams += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await act(request, response)
        return response

    async def poll(self, request: web.Request) -> web.Response:
        self.polls += 1
        return web.json_response(self.run)


def event(run: RunReport, name: str = "progress") -> bytes:
    return f"event: {name}\r\ndata: {json.dumps(encode_run(run))}\r\n\r\n".encode()


END = event(ended(), "end")


def tells(*chunks: bytes, pause: float = 0) -> Act:
    async def act(request: web.Request, response: web.StreamResponse) -> None:
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(pause)

    return act


def breaks_after(chunk: bytes) -> Act:
    """The connection is cut, as a killed server's is."""

    async def act(request: web.Request, response: web.StreamResponse) -> None:
        await tells(chunk)(request, response)
        assert request.transport
        request.transport.abort()

    return act


def answers(status: int, body: str = "") -> Act:
    async def act(request: web.Request, response: web.StreamResponse) -> None:
        response.content_type = "text/html"
        response.set_status(status)
        await response.prepare(request)
        await response.write(body.encode())

    return act


Start = Callable[..., Awaitable["Followed"]]


class Followed:
    """What following a server came to."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.runs: list[Json] = []
        self.troubles: list[str] = []

    @property
    def states(self) -> list[str]:
        return [run["state"] for run in self.runs]


@pytest.fixture
async def followed(aiohttp_server: Any) -> AsyncIterator[Start]:
    async def start(*acts: Act, backoff: Backoff = QUICK, **changes: Any) -> Followed:
        server = Server(*acts)
        vars(server).update(changes)
        app = web.Application()
        app.router.add_get(f"/runs/{RUN}/stream", server.stream)
        app.router.add_get(f"/runs/{RUN}", server.poll)
        seen = Followed(server)
        async with open_remote(str((await aiohttp_server(app)).make_url("/"))) as there:
            async for run in follow(there, encode_run(report()), seen.troubles.append, backoff):
                seen.runs.append(run)
        return seen

    yield start


async def test_a_run_is_told_by_its_events_to_its_end_and_nothing_is_asked_besides(
    followed: Start,
) -> None:
    seen = await followed(tells(b"retry: 1\n: hello\n\n", event(report()), END))
    assert seen.states == ["publishing", "publishing", "completed"]
    assert (seen.server.streams, seen.server.polls, seen.troubles) == (1, 0, [])


async def test_what_follows_the_end_is_not_waited_for(followed: Start) -> None:
    seen = await followed(tells(END, b": still there\n\n", pause=60))
    assert seen.states == ["publishing", "completed"]


async def test_events_cut_anywhere_are_whole_in_the_end(followed: Start) -> None:
    whole = event(report()) + END
    seen = await followed(tells(*(whole[at : at + 50] for at in range(0, len(whole), 50))))
    assert seen.states == ["publishing", "publishing", "completed"]


async def test_a_stream_that_ends_orderly_is_asked_for_again_without_a_word(
    followed: Start,
) -> None:
    once = tells(b"retry: 1\n", event(report()))
    seen = await followed(once, once, tells(END))
    assert seen.states == ["publishing", "publishing", "publishing", "completed"]
    assert (seen.server.streams, seen.troubles) == (3, [])


async def test_one_that_breaks_off_in_the_middle_of_an_event_is_taken_up_again(
    followed: Start,
) -> None:
    half = event(report(state=State.DRAINING))[:60]
    seen = await followed(breaks_after(event(report()) + half), tells(END))
    assert seen.states == ["publishing", "publishing", "completed"]
    assert len(seen.troubles) == 2 and seen.troubles[0].endswith(": trying again for 20 s")
    assert seen.troubles[1] == ""


async def test_a_server_that_is_restarted_tells_how_the_run_ended_there(followed: Start) -> None:
    interrupted = ended(state=State.INTERRUPTED, verdict=None)
    seen = await followed(
        breaks_after(event(report())),
        answers(503),
        answers(502, "<h1>Bad gateway</h1>"),
        tells(event(interrupted, "end")),
        run=encode_run(report()),
    )
    assert seen.states[-1] == "interrupted"
    assert seen.troubles[-1] == ""


async def test_a_server_without_events_is_asked_instead(followed: Start) -> None:
    seen = await followed(answers(404))
    assert seen.states == ["publishing", "completed"]
    assert (seen.server.streams, seen.server.polls) == (1, 1)


async def test_so_is_one_whose_login_page_comes_instead_of_events(followed: Start) -> None:
    seen = await followed(answers(200, "<form>"))
    assert (seen.states[-1], seen.server.polls) == ("completed", 1)


async def test_and_one_whose_events_are_held_back(followed: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SILENCE_TIMEOUT", 1.0)
    seen = await followed(tells(b"", pause=60))
    assert (seen.states[-1], seen.server.streams) == ("completed", 1)


async def test_a_server_that_stays_away_is_given_up_and_it_is_said_for_how_long(
    followed: Start,
) -> None:
    with pytest.raises(ServerAway, match=r"answered 503 .* \(for 0 s\)"):
        await followed(breaks_after(event(report())), tells_503_everywhere(), backoff=IMPATIENT)


def tells_503_everywhere() -> Act:
    async def act(request: web.Request, response: web.StreamResponse) -> None:
        raise web.HTTPServiceUnavailable

    return act


async def test_one_that_accepts_and_says_nothing_is_given_up_too(followed: Start) -> None:
    with pytest.raises(ServerAway, match="sends no events of the run"):
        await followed(tells(), backoff=IMPATIENT)


@pytest.mark.parametrize(
    ("chunk", "said"),
    [(b"data: {\n\n", "not JSON"), (b"data: []\n\n", "no run"), (b"data: {}\n\n", "no run")],
)
async def test_nonsense_is_not_waited_through(followed: Start, chunk: bytes, said: str) -> None:
    with pytest.raises(ServerAnswerError, match=said):
        await followed(tells(chunk))


async def test_a_run_that_ended_is_told_without_asking() -> None:
    async with open_remote("http://127.0.0.1:1") as nobody:
        assert [run["state"] async for run in follow(nobody, encode_run(ended()), print)] == ["completed"]
