"""HTTP requests to the consumer: five calls, and every way consumers answer or fail them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TypeVar

import aiohttp
from yarl import URL

from promise_pub.addresses import join_host_port
from promise_pub.concurrency import background, run_until
from promise_pub.delivery.consumer_client.aiohttp_internals import disable_retries
from promise_pub.delivery.consumer_client.answers import (
    decode,
    find_session,
    may_have_created,
    parse_new_session,
    parse_session,
    quote,
)
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
from promise_pub.retries import Backoff, Retries
from promise_pub.settings.model import ConsumerSettings

POLL_EVERY = 1.0  # seconds between requests for the session while a long call waits
LAST_POLL_TIMEOUT = 0.5  # seconds; an ordinary answer takes milliseconds
MAX_ANSWER = 1024 * 1024  # bytes; a session object is a few hundred, but for its lists of row numbers
LONG_ANSWER = 20_000  # characters; parsing more row numbers would hold the event loop

_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)

Query = Mapping[str, str | int]
T = TypeVar("T")


class ConsumerClient:
    """The consumer at `settings`. See `ports.Consumer` for the promises."""

    def __init__(self, http: aiohttp.ClientSession, settings: ConsumerSettings, backoff: Backoff) -> None:
        self._http = http
        self._settings = settings
        self._backoff = backoff
        self._base = URL.build(scheme="http", host=settings.host, port=settings.port)

    async def healthcheck(self) -> None:
        """Raises a kind of ConsumerError unless the consumer answers with success."""
        await self._get(self._settings.healthcheck_url, {})

    async def create(self) -> SessionView:
        path, body = self._settings.create_url, bytearray()
        try:
            return parse_new_session(await self._ask(path, {}, self._settings.answer_timeout, body), path)
        except ConsumerError as error:
            if not isinstance(error.__cause__, _NEVER_SENT):
                text = self._without_token(decode(body))
                error.last = find_session(text, error)
                error.unanswered = not error.last and (error.__cause__ is not None or may_have_created(text, error))
            raise

    async def process(self, uuid: str, mode: Mode, idle_timeout: int, sent: int | None, watch: Watch) -> None:
        path = self._settings.process_url
        query: dict[str, str | int] = {"uuid": uuid, "timeout": idle_timeout, "mode": mode.value}
        if sent is not None:
            query["sent"] = sent
        if mode is Mode.LIVE:
            text, repeated = await self._repeat(lambda: self._get(path, query))
        else:
            text, repeated = await self._get_long(path, query, uuid, idle_timeout, watch)
        if text.strip() != "OK" and not (repeated and await self._is_reading(uuid)):
            raise ConsumerComplaint(f"The consumer's {path} answered {quote(text)}, not OK")

    async def remove(self, uuid: str, idle_timeout: int, sent: int, watch: Watch) -> SessionView:
        path = self._settings.remove_url
        text, _ = await self._get_long(path, {"uuid": uuid, "sent": sent}, uuid, idle_timeout, watch)
        return await _parse(text, path, uuid)

    async def get_session(self, uuid: str) -> SessionView:
        session, _ = await self._repeat(lambda: self._get_session_once(uuid))
        return session

    async def follow(self, uuid: str, watch: Watch) -> None:
        while True:
            await asyncio.sleep(POLL_EVERY)
            await self._poll(uuid, watch)

    async def abandon(self, uuid: str, sent: int, watch: Watch, within: float) -> bool:
        path = self._settings.remove_url
        try:
            async with asyncio.timeout(within):
                text = await self._get(path, {"uuid": uuid, "sent": sent})
                _report(await _parse(text, path, uuid), watch)
                return True
        except (ConsumerError, TimeoutError):
            await self._poll(uuid, watch)
            return False

    async def _poll(self, uuid: str, watch: Watch) -> None:
        """Reports the session, unless the consumer fails or takes too long."""
        with suppress(ConsumerError, TimeoutError):
            async with asyncio.timeout(LAST_POLL_TIMEOUT):
                _report(await self._get_session_once(uuid), watch)

    async def _get_session_once(self, uuid: str) -> SessionView:
        path = self._settings.getsession_url
        return await _parse(await self._get(path, {"uuid": uuid}), path, uuid)

    async def _is_reading(self, uuid: str) -> bool:
        """Tells whether the consumer does what an earlier, unanswered call asked for. `/remove/` waits for its end."""
        with suppress(ConsumerError):
            return (await self._get_session_once(uuid)).ended is False
        return False

    async def _repeat(self, call: Callable[[], Awaitable[T]], movement: _Movement | None = None) -> tuple[T, bool]:
        """Returns the answer to a call that may be repeated, and whether it was, while the consumer is away.

        A call that lasted longer than the backoff had reached the consumer, and its loss begins a new outage. With a
        `movement` that does not go on for ever: calls end when no count moves over all of them.
        """
        clock = asyncio.get_running_loop().time
        retries, repeated = Retries(self._backoff), False
        while True:
            began = clock()
            try:
                return await call(), repeated
            except ConsumerUnreachable as error:
                if movement and clock() - began > self._backoff.within:
                    retries.reset()
                await retries.wait(error)
                repeated = True

    async def _get_long(self, path: str, query: Query, uuid: str, idle_timeout: int, watch: Watch) -> tuple[str, bool]:
        """Returns the answer to a call, repeated, which may take hours as long as the session's counts move."""
        movement = _Movement(idle_timeout + self._settings.stall_timeout)

        async def call() -> str:
            async with background(self._ask(path, query, None)) as asking:
                await self._watch_over(asking, path, uuid, movement, watch)
                return await asking

        return await self._repeat(call, movement)

    async def _watch_over(
        self, call: asyncio.Future[str], path: str, uuid: str, movement: _Movement, watch: Watch
    ) -> None:
        """Returns when the call is done; raises ConsumerStalled when no count has moved for too long."""
        while not (await asyncio.wait({call}, timeout=POLL_EVERY))[0]:
            polled = await run_until(call, self._get_session_once(uuid))
            # The errors of a poll do not matter as long as the call lasts and the counts move.
            if not polled.cancelled() and not isinstance(polled.exception(), ConsumerError):
                session = polled.result()
                if movement.update(session):
                    watch(session)
            if movement.stalled and not call.done():
                raise ConsumerStalled(movement.describe(path), movement.last)

    async def _get(self, path: str, query: Query) -> str:
        """Returns the text of an answer that came within the answer timeout."""
        return await self._ask(path, query, self._settings.answer_timeout)

    async def _ask(self, path: str, query: Query, total: float | None, body: bytearray | None = None) -> str:
        """Returns the text of a successful answer; `body` gets the bytes that have arrived, also when this raises."""
        body = bytearray() if body is None else body
        limits = aiohttp.ClientTimeout(total=total, sock_connect=self._settings.connect_timeout)
        try:
            # The path is used as configured; a redirect would lead to a host nobody named.
            url = self._base.with_path(path)
            async with self._http.get(url, params=query, timeout=limits, allow_redirects=False) as response:
                await _read_limited(response, path, body)
                text = self._without_token(decode(body))
                if not 200 <= response.status < 300:
                    told = f"The consumer's {path} answered with status {response.status}: {quote(text)}"
                    if response.status == HTTPStatus.UNAUTHORIZED:
                        told += ". Set [consumer] token to the one that this consumer takes."
                    raise ConsumerRefused(told, response.status)
                return text
        except _NEVER_SENT as error:
            where = join_host_port(self._settings.host, self._settings.port)
            raise ConsumerUnreachable(f"The consumer at {where} cannot be reached: {_describe(error)}") from error
        except TimeoutError as error:
            raise ConsumerTimeout(f"The consumer's {path} did not answer within {total:g} s") from error
        except aiohttp.ClientResponseError as error:
            # The further lines of aiohttp's text show the bytes that it could not read.
            first, _, bytes_read = error.message.partition("\n")
            if "b'AMQP" in bytes_read:
                raise ConsumerGarbage(
                    f"The consumer's {path} answered in AMQP, as a broker does, not in HTTP"
                ) from error
            told = self._without_token(first.rstrip(":"))
            raise ConsumerGarbage(f"The consumer's {path} did not answer in HTTP: {told}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConsumerUnreachable(f"The consumer hung up on {path}: {_describe(error)}") from error

    def _without_token(self, text: str) -> str:
        """Returns a text of the consumer, which may repeat what it was sent, and which people see."""
        token = self._settings.token
        return text.replace(token, "(token)") if token else text


@asynccontextmanager
async def open_consumer(settings: ConsumerSettings, backoff: Backoff) -> AsyncIterator[ConsumerClient]:
    """Opens the client; its connections are closed with the block."""
    connector = aiohttp.TCPConnector(force_close=True, limit=16)
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    async with aiohttp.ClientSession(connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as http:
        disable_retries(http)
        yield ConsumerClient(http, settings, backoff)


class _Movement:
    """The last counts of a session, and the time since they grew, over all tries of a call."""

    def __init__(self, longest: float) -> None:
        self.last: SessionView | None = None
        self._longest = longest
        self._highest = -1
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    def update(self, session: SessionView) -> bool:
        """Tells whether the session's counts differ from the last ones."""
        counts = (session.received or 0) + (session.saved or 0)
        if counts > self._highest:
            self._highest, self._since = counts, self._clock()
        last, self.last = self.last, session
        return last is None or (session.received, session.saved) != (last.received, last.saved)

    @property
    def stalled(self) -> bool:
        return self._clock() - self._since > self._longest

    def describe(self, path: str) -> str:
        last = self.last
        known = (
            "it never reported any" if last is None else f"the last were {last.received} received, {last.saved} saved"
        )
        return f"The consumer's {path} did not end, and no count changed for {self._longest:g} s; {known}"


async def _parse(text: str, path: str, uuid: str) -> SessionView:
    """Returns the session in an answer, as `parse_session` does."""
    if len(text) <= LONG_ANSWER:
        return parse_session(text, path, uuid)
    return await asyncio.to_thread(parse_session, text, path, uuid)


def _report(session: SessionView, watch: Watch) -> None:
    # A session without its count must not take the place of one with it.
    if session.received is not None:
        watch(session)


async def _read_limited(response: aiohttp.ClientResponse, path: str, body: bytearray) -> None:
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise ConsumerGarbage(f"The consumer's {path} answered with more than {MAX_ANSWER:,} bytes")


def _describe(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return str(error) or type(error).__name__
