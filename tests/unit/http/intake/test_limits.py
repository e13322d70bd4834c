"""How much a request may be and how slowly it may come. Each of these fails when its limit is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import UploadTooSlow
from promise_pub.http.intake import limits
from promise_pub.http.intake.limits import RATE_PERIOD, RateFloor
from promise_pub.web.runs.forms import MAX_FIELD
from tests.fake_accounts import QUICK, FakeAccounts
from tests.listening import Site, site
from tests.virtual_time import VirtualTimeLoop

JSON = {"Accept": "application/json"}
CSV = JSON | {"Content-Type": "text/csv", "Prefer": "respond-async"}
CSV_WAITS = JSON | {"Content-Type": "text/csv"}
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


async def said(there: Site, text: bytes) -> bytes:
    """The first line of the answer."""
    raw = await there.raw(text)
    line = await raw.until(b"\r\n")
    await raw.close()
    return line


async def test_a_request_line_is_no_longer_than_it_may_be(tmp_path: Path) -> None:
    async with site(tmp_path, max_header=2000) as there:
        fits = b"GET /healthz?" + b"q" * 1900 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert b" 200 " in await said(there, fits)
        assert b" 400 " in await said(there, fits.replace(b"q" * 1900, b"q" * 2100))


async def test_a_header_is_no_longer_than_it_may_be(tmp_path: Path) -> None:
    async with site(tmp_path, max_header=2000) as there:
        for name, value in ((b"X", b"v" * 2100), (b"X" * 2100, b"v")):
            fits = HEAD + name[:1800] + b": " + value[:1800] + b"\r\n\r\n"
            assert b" 200 " in await said(there, fits)
            assert b" 400 " in await said(there, HEAD + name + b": " + value + b"\r\n\r\n")


async def test_a_request_has_no_more_headers_than_it_may_have(tmp_path: Path) -> None:
    async with site(tmp_path, max_headers=20) as there:
        for count, status in ((19, b" 200 "), (30, b" 400 ")):
            more = b"".join(b"X-%d: v\r\n" % number for number in range(count))
            assert status in await said(there, HEAD + more + b"\r\n")


async def test_a_query_has_no_more_parameters_than_it_may_have(tmp_path: Path) -> None:
    async with site(tmp_path, max_parameters=3) as there:
        for path in ("healthz", "nothing", "static/style.css"):
            async with there.http.get(f"{there.url}/{path}?a&b&c&d", headers=JSON) as answer:
                problem = await answer.json()
                assert (answer.status, problem["code"]) == (400, "bad_parameter")
                assert "at most 3" in problem["detail"]
        async with there.http.get(f"{there.url}/healthz?a&b&c") as answer:
            assert answer.status == 200


async def test_a_form_has_no_more_fields_than_it_may_have(tmp_path: Path) -> None:
    """It is refused at the first one too many: those after it are not kept."""

    async def send(*fields: str) -> tuple[int, str]:
        form = aiohttp.FormData()
        for name in fields:
            form.add_field(name, "live", content_type="text/plain")
        form.add_field("input_file", b"Ann,ann@x\n", filename="a.csv")
        async with there.http.post(there.url / "simulate/", data=form, headers=CSV_FORM) as answer:
            return answer.status, (await answer.json()).get("detail", "")

    CSV_FORM = JSON | {"Prefer": "respond-async"}
    async with site(tmp_path, max_fields=3) as there:
        assert (await send("mode"))[0] == 202
        status, detail = await send("a", "b")
        assert status == 400 and detail.startswith("There is no parameter 'a'")
        assert await send("a", "b", "c") == (400, "A form has at most 3 fields.")
        assert await send(*map(str, range(100))) == (400, "A form has at most 3 fields.")


async def test_a_field_of_a_form_is_no_longer_than_it_may_be(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        form = aiohttp.FormData()
        form.add_field("mode", "x" * (MAX_FIELD + 1), content_type="text/plain")
        async with there.http.post(there.url / "simulate/", data=form, headers=JSON) as answer:
            assert answer.status == 400
            assert f"mode is over {MAX_FIELD} bytes" in (await answer.json())["detail"]


async def test_a_login_has_no_more_fields_than_it_may_have(tmp_path: Path) -> None:
    authenticator = Authenticator(FakeAccounts(), SessionSigner(b"k" * 32, hours=1), Passwords(QUICK), LoginAttempts())
    fields = {str(number): "x" for number in range(4)}
    async with site(tmp_path, authenticator=authenticator, max_fields=3) as there:
        for count, status in ((3, 401), (4, 413)):
            form = dict([*fields.items()][:count])
            async with there.http.post(there.url / "login", data=form, headers=JSON) as answer:
                assert answer.status == status


def dripping(pause: float) -> AsyncIterator[bytes]:
    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b"Ann,ann@x\n"
            await asyncio.sleep(pause)

    return drops()


@pytest.mark.parametrize("pause", [0.01, 5.0])
@pytest.mark.parametrize("how", ["body", "input_file", "mode"])
async def test_an_upload_that_drips_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause: float, how: str
) -> None:
    """Whether something comes now and then, or nothing at all, and in whatever part of a form."""
    monkeypatch.setattr(limits, "RATE_PERIOD", 0.2)
    async with site(tmp_path, min_upload_rate=100_000) as there:
        data: Any = dripping(pause)
        if how != "body":
            form = aiohttp.MultipartWriter("form-data")
            form.append(data).set_content_disposition("form-data", name=how)
            data = form
        headers = CSV if how == "body" else JSON
        async with there.http.post(there.url / "simulate/", data=data, headers=headers) as answer:
            problem = await answer.json()
            assert (answer.status, problem["code"]) == (408, "upload_too_slow")
            assert answer.headers["Connection"] == "close"
        assert await asyncio.to_thread(lambda: [*tmp_path.iterdir()]) == []


def takes(seconds: float, brings: int) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        await asyncio.sleep(seconds)
        return b"x" * brings

    return read


def virtually(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """In a time that passes as fast as it is waited for."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(work())


def test_each_period_has_to_bring_enough_whatever_came_before() -> None:
    async def work() -> None:
        floor = RateFloor(100)
        await floor.read(takes(1, 10**6))
        for _ in range(29):
            await floor.read(takes(1, 0))  # on an average of the period that was a lot
        for _ in range(29):
            await floor.read(takes(1, 99))
        with pytest.raises(UploadTooSlow, match="2,871 bytes in 30 s"):
            await floor.read(takes(1, 99))

    virtually(work)


def test_who_says_nothing_is_not_waited_for_any_longer() -> None:
    async def work() -> None:
        clock = asyncio.get_running_loop().time
        with pytest.raises(UploadTooSlow):
            await RateFloor(100).read(takes(3600, 10**9))
        assert clock() == pytest.approx(RATE_PERIOD)

    virtually(work)


def test_a_slow_disk_is_not_the_clients_fault() -> None:
    async def work() -> None:
        floor = RateFloor(100)
        for _ in range(100):
            assert len(await floor.read(takes(0.9, 100))) == 100
            await asyncio.sleep(1000)

    virtually(work)


def test_without_a_floor_everybody_has_time() -> None:
    async def work() -> None:
        floor = RateFloor(0)
        for _ in range(3):
            assert await floor.read(takes(10**6, 0)) == b""

    virtually(work)


def test_a_reading_is_broken_off_only_where_it_is_the_end() -> None:
    """A multipart reader that is interrupted loses what it has taken from the stream."""

    async def work() -> None:
        floor = RateFloor(100)
        await floor.read(takes(0, 100 * 30))  # all that a period has to bring
        assert await floor.read(takes(45, 10)) == b"x" * 10
        with pytest.raises(UploadTooSlow):
            await floor.read(takes(45, 10**9))

    virtually(work)


def test_a_timeout_of_the_reading_itself_is_no_slowness() -> None:
    async def work() -> None:
        async def read() -> bytes:
            raise TimeoutError

        with pytest.raises(TimeoutError):
            await RateFloor(100).read(read)

    virtually(work)


async def test_whatever_hangs_an_answer_begins_before_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a thing that is waited for has no limit of its own, or a longer one."""
    monkeypatch.setattr(limits, "ANSWER_TIMEOUT", 0.05)
    async with site(tmp_path) as there:

        async def never(*_: Any) -> Any:
            await asyncio.Event().wait()

        for name in ("get_run", "list_runs", "list_rejects"):
            monkeypatch.setattr(there.house.ledger, name, never)
        run = "runs/7b0e0a52-0000-4000-8000-000000000000"
        for path in ("runs", run, f"{run}/rejects"):
            async with there.http.get(there.url / path, headers=JSON) as answer:
                told = await answer.json(content_type=None)
                assert (answer.status, told["code"]) == (503, "busy") and "may hang" in told["detail"]


async def test_a_stream_and_an_upload_have_no_such_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANSWER_TIMEOUT", 0.05)
    async with site(tmp_path) as there:
        async with there.house.consumer.holding("create"):
            sending = asyncio.create_task(
                there.http.post(there.url / "simulate/", data=b"Ann,a@x\n", headers=CSV_WAITS)
            )
            await asyncio.sleep(0.2)
            assert not sending.done()
        async with await sending as answer:
            assert answer.status == 200
