"""HTTP talk with the consumer: five calls, and every way field consumers answer them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from promise_pub.addresses import place
from promise_pub.delivery.consumer_client.created import is_text, may_have_made_one, session_named_in
from promise_pub.delivery.evidence.digest import is_written
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.delivery.ports import Watch
from promise_pub.errors import (
    ConsumerComplaint,
    ConsumerError,
    ConsumerGarbage,
    ConsumerRefused,
    ConsumerStalled,
    ConsumerTimeout,
    ConsumerUnreachable,
)
from promise_pub.parameters import Mode
from promise_pub.records import SessionView
from promise_pub.retries import Patience
from promise_pub.settings.model import ConsumerSettings
from promise_pub.times import NOT_YET

LOOK_EVERY = 1.0  # seconds between looks at the session while a long call waits
LAST_LOOK_TIMEOUT = 0.5  # seconds; an ordinary answer takes milliseconds
# A consumer that restarts, or a network that stumbles: seconds in which a call that may be repeated is, and between tries.
AWAY_PATIENCE = 10.0
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
ANSWER_LIMIT = 1024 * 1024  # bytes; a session object is a few hundred
NAME_LIMIT = 255  # bytes of a queue's name in AMQP

_NOT_ASKED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)

Query = Mapping[str, str | int]
T = TypeVar("T")


class ConsumerClient:
    """The consumer at `settings`. See `ports.Consumer` for the promises."""

    def __init__(self, http: aiohttp.ClientSession, settings: ConsumerSettings) -> None:
        self._http = http
        self._settings = settings
        self._base = URL.build(scheme="http", host=settings.host, port=settings.port)

    async def healthcheck(self) -> None:
        """Whether it is alive: 200 with any body."""
        await self._get(self._settings.healthcheck_url, {})

    async def create(self) -> SessionView:
        path, body = self._settings.create_url, bytearray()
        try:
            text = await self._ask(path, {}, self._settings.answer_timeout, body)
            session = parse_session(text, path)
            if not 0 < len(session.uuid.encode()) <= NAME_LIMIT:
                raise ConsumerGarbage(f"The consumer's {path} gave no uuid that can name a queue: {_shown(text)}")
            return session
        except ConsumerError as error:
            if not isinstance(error.__cause__, _NOT_ASKED):
                text = _text(body)
                error.last = session_named_in(text, error)
                error.unanswered = not error.last and (error.__cause__ is not None or may_have_made_one(text, error))
            raise

    async def process(self, uuid: str, mode: Mode, idle_timeout: int, sent: int | None, watch: Watch) -> None:
        url = self._settings.process_url
        query: dict[str, str | int] = {"uuid": uuid, "timeout": idle_timeout, "mode": mode.value}
        if sent is not None:
            query["sent"] = sent
        if mode is Mode.LIVE:
            text, again = await self._repeated(lambda: self._get(url, query))
        else:
            text, again = await self._get_long(url, query, uuid, idle_timeout, watch)
        if text.strip() != "OK" and not (again and await self._is_reading(uuid)):
            raise ConsumerComplaint(f"The consumer's {url} answered {_shown(text)}, not OK")

    async def _is_reading(self, uuid: str) -> bool:
        """Whether what was asked before, and not answered, goes on. `/remove/` waits for it."""
        with suppress(ConsumerError):
            return (await self._look_once(uuid)).ended is False
        return False

    async def remove(self, uuid: str, idle_timeout: int, sent: int, watch: Watch) -> SessionView:
        url = self._settings.remove_url
        query: Query = {"uuid": uuid, "sent": sent}
        text, _ = await self._get_long(url, query, uuid, idle_timeout, watch)
        return parse_session(text, url, uuid)

    async def follow(self, uuid: str, watch: Watch) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self._look_for(uuid, watch)

    async def abandon(self, uuid: str, sent: int, watch: Watch, within: float) -> bool:
        url = self._settings.remove_url
        try:
            async with asyncio.timeout(within):
                text = await self._get(url, {"uuid": uuid, "sent": sent})
                _tell(parse_session(text, url, uuid), watch)
                return True
        except (ConsumerError, TimeoutError):
            await self._look_for(uuid, watch)
            return False

    async def _look_for(self, uuid: str, watch: Watch) -> None:
        """A look that may fail."""
        with suppress(ConsumerError, TimeoutError):
            async with asyncio.timeout(LAST_LOOK_TIMEOUT):
                _tell(await self._look_once(uuid), watch)

    async def look(self, uuid: str) -> SessionView:
        session, _ = await self._repeated(lambda: self._look_once(uuid))
        return session

    async def _look_once(self, uuid: str) -> SessionView:
        url = self._settings.getsession_url
        return parse_session(await self._get(url, {"uuid": uuid}), url, uuid)

    async def _repeated(self, call: Callable[[], Awaitable[T]], movement: _Movement | None = None) -> tuple[T, bool]:
        """The answer to a call that may be repeated, and whether it was.

        It is tried for ten seconds once nobody is there. A call that held for longer than that was taken, and what
        ended it is news; where a `movement` is given, it ends that: no count moved, however often it was asked.
        """
        clock = asyncio.get_running_loop().time
        patience, again = _away_patience(), False
        while True:
            began = clock()
            try:
                return await call(), again
            except ConsumerUnreachable as error:
                if movement and clock() - began > AWAY_PATIENCE:
                    patience = _away_patience()
                await patience.wait(error)
                again = True

    async def _get(self, path: str, query: Query) -> str:
        """The text of an answer with a status of success, within the answer timeout."""
        return await self._ask(path, query, self._settings.answer_timeout)

    async def _get_long(self, path: str, query: Query, uuid: str, idle_timeout: int, watch: Watch) -> tuple[str, bool]:
        """The same without a total timeout, repeated: as long as the session moves, the answer may take hours."""
        movement = _Movement(idle_timeout + self._settings.stall_timeout)

        async def call() -> str:
            asking = asyncio.ensure_future(self._ask(path, query, None))
            try:
                await self._watch_over(asking, path, uuid, movement, watch)
                return await asking
            finally:
                await _cancelled(asking)

        return await self._repeated(call, movement)

    async def _watch_over(
        self, call: asyncio.Future[str], path: str, uuid: str, movement: _Movement, watch: Watch
    ) -> None:
        """Returns when the call is done; raises ConsumerStalled when no count has moved for too long."""
        while not (await asyncio.wait({call}, timeout=LOOK_EVERY))[0]:
            seen = await self._glance(uuid, call)
            if seen and movement.saw(seen):
                watch(seen)
            if movement.stalled and not call.done():
                raise ConsumerStalled(movement.told(path), movement.last)

    async def _glance(self, uuid: str, call: asyncio.Future[str]) -> SessionView | None:
        """One look that may fail, and ends when the long call does."""
        look = asyncio.ensure_future(self._look_once(uuid))
        try:
            either: set[asyncio.Future[Any]] = {look, call}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return look.result() if look.done() else None
        except ConsumerError:
            return None  # a look is not the call: what counts is whether the call ends and the counts move
        finally:
            await _cancelled(look)

    async def _ask(self, path: str, query: Query, total: float | None, body: bytearray | None = None) -> str:
        """Gets the text of an answer. What has come of it is in `body`, also when it raises."""
        body = bytearray() if body is None else body
        limits = aiohttp.ClientTimeout(total=total, sock_connect=self._settings.connect_timeout)
        try:
            # The path goes as configured; a redirect would lead to a host nobody named.
            url = self._base.with_path(path)
            async with self._http.get(url, params=query, timeout=limits, allow_redirects=False) as response:
                await _read_limited(response, path, body)
                if not 200 <= response.status < 300:
                    raise ConsumerRefused(
                        f"The consumer's {path} answered with status {response.status}: {_shown(_text(body))}",
                        response.status,
                    )
                return _text(body)
        except _NOT_ASKED as error:
            raise ConsumerUnreachable(f"The consumer at {self._where} cannot be reached: {_plain(error)}") from error
        except TimeoutError as error:
            raise ConsumerTimeout(f"The consumer's {path} did not answer within {total:g} s") from error
        except aiohttp.ClientResponseError as error:
            raise ConsumerGarbage(f"The consumer's {path} did not answer in HTTP: {error.message}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConsumerUnreachable(f"The consumer hung up on {path}: {_plain(error)}") from error

    @property
    def _where(self) -> str:
        return place(self._settings.host, self._settings.port)


@asynccontextmanager
async def open_consumer(settings: ConsumerSettings) -> AsyncIterator[ConsumerClient]:
    """The client, its connections closed with the block."""
    connector = aiohttp.TCPConnector(force_close=True, limit=16)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
        # aiohttp repeats a GET whose connection breaks, and /create/ is a GET that must not happen twice: the
        # first session would be an orphan. There is no public switch; a test holds this one to its word.
        http._retry_connection = False
        yield ConsumerClient(http, settings)


def _tell(session: SessionView, watch: Watch) -> None:
    """News only: a session without its count must not take the place of one that told it."""
    if session.received is not None:
        watch(session)


def parse_session(text: str, path: str, uuid: str | None = None) -> SessionView:
    """The session in an answer. `uuid` is the one asked about: it stands in where the answer leaves it out.

    Raises ConsumerComplaint for plain text, ConsumerGarbage for JSON that is no session, or is another.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise ConsumerComplaint(f"The consumer's {path} answered {_shown(text)}, not a session") from None
    if not isinstance(told, dict):
        raise ConsumerGarbage(f"The consumer's {path} answered {_shown(text)}, not a session object")
    named = uuid if told.get("uuid") is None else told["uuid"]
    if not isinstance(named, str) or not is_text(named):
        raise ConsumerGarbage(f"The consumer's {path} gave a session without a usable uuid: {_shown(text)}")
    if uuid is not None and named.casefold() != uuid.casefold():
        raise ConsumerGarbage(f"The consumer's {path} answered about session {_shown(named)}, not {uuid}")
    counts = {ours: _count(told, theirs, path) for ours, theirs in _COUNTS.items()}
    return SessionView(
        uuid=uuid or named,
        **counts,
        digest=told["digest"] if is_written(told.get("digest")) else None,
        rows=told["rows"] if _is_ranges(told.get("rows")) else None,
        ended=told["ended"] != NOT_YET if isinstance(told.get("ended"), str) else None,
    )


def _is_ranges(told: object) -> bool:
    """A key that others use for something else is not told."""
    try:
        return isinstance(told, str) and bool(RowRanges.parse(told) or not told)
    except ValueError:
        return False


_COUNTS = {
    "received": "checksum",
    "saved": "saved",
    "duplicates": "duplicates",
    "invalid": "invalid",
}


def _count(told: dict[str, Any], key: str, path: str) -> int | None:
    value = told.get(key)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():  # some write whole numbers as 7.0
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ConsumerGarbage(f"The consumer's {path} told {key} as {_shown(repr(value))}, not as a count")
    return value


async def _read_limited(response: aiohttp.ClientResponse, path: str, body: bytearray) -> None:
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise ConsumerGarbage(f"The consumer's {path} answers without end")


def _text(body: bytearray) -> str:
    """Decodes an answer, without the byte order mark that some write before JSON."""
    return body.decode("utf-8-sig", "replace")


async def _cancelled(task: asyncio.Future[T]) -> None:
    """Ends a task and waits for its end, so that its connection is closed and no error goes unread."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


class _Movement:
    """The counts of a session as they were seen last, and how long they have not grown: over all tries of a call."""

    def __init__(self, longest: float) -> None:
        self.last: SessionView | None = None
        self._longest = longest
        self._most = -1
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    def saw(self, session: SessionView) -> bool:
        """Tells whether its counts are others than before."""
        counts = (session.received or 0) + (session.saved or 0)
        if counts > self._most:
            self._most, self._since = counts, self._clock()
        last, self.last = self.last, session
        return last is None or (session.received, session.saved) != (last.received, last.saved)

    @property
    def stalled(self) -> bool:
        return self._clock() - self._since > self._longest

    def told(self, path: str) -> str:
        last = self.last
        known = "it never told any" if last is None else f"last it had received {last.received} and saved {last.saved}"
        return f"The consumer's {path} has not ended and no count moved for {self._longest:g} s; {known}"


def _away_patience() -> Patience:
    return Patience(AWAY_PATIENCE, FIRST_DELAY, LONGEST_DELAY)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 200 else text[:200] + "…")


def _plain(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return str(error) or type(error).__name__
