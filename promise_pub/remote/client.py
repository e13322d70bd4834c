"""The client of a promise-pub server: its requests, and its errors as ours."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from promise_pub.errors import ConfigurationError, ServerAnswerError, ServerAway, StoredFileError
from promise_pub.json_text import parse_json
from promise_pub.remote.answers import MAX_EXCERPT, Json, read_answer, read_refusal
from promise_pub.remote.sse import EventReader

ANSWER_TIMEOUT = 30.0  # seconds; an upload has no total, only a limit on standing still
READ_TIMEOUT = 600.0  # seconds in which a server reads a whole file before it answers
STILL_TIMEOUT = 120.0  # seconds without a byte either way
SILENCE_TIMEOUT = 15.0  # seconds without an event of a run; a server sends at least one a second
CHUNK = 256 * 1024  # bytes
ROW_TYPES = {"csv": "text/csv", "json": "application/json"}
TOKEN_VARIABLE = "PROMISE_PUB_TOKEN"  # every user of the machine could read an argument


class NoStream(Exception):
    """The server sends no events of this run: it is an old one, or a proxy drops them. Poll the run instead."""


class RemoteServer:
    """One server. Every method raises ServerAnswerError for a refusal, in the server's words, and ServerAway without an answer."""

    def __init__(self, http: aiohttp.ClientSession, url: URL) -> None:
        self._http = http
        self.url = url
        self.shown = without_credentials(url)

    async def submit(self, file: Path, given: Mapping[str, str], uploaded: Callable[[int], None]) -> Json:
        """Uploads the file and starts its run, which is returned. Calls `uploaded` with the number of bytes sent.

        The server has defaults for what is not given. With `dry_run` it answers with the report of the dry run.
        """
        headers = {"Content-Type": "text/csv", "Prefer": "respond-async", "Accept": "application/json"}
        still = READ_TIMEOUT if "dry_run" in given else STILL_TIMEOUT
        limits = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_TIMEOUT, sock_read=still)
        return await self._json(
            "POST",
            self.url / "simulate" / "",
            # A file's name may hold bytes that are no text.
            params={"filename": file.name.encode("utf-8", "replace").decode(), **given},
            headers=headers,
            data=_chunks(file, uploaded),
            timeout=limits,
        )

    async def run(self, run_id: str) -> Json:
        """Returns the run as it is now."""
        limits = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
        return await self._json("GET", self.url / "runs" / run_id, params={"format": "json"}, timeout=limits)

    async def resume(self, run_id: str) -> Json:
        """Resumes the run and returns it."""
        return await self._act(run_id, "resume", READ_TIMEOUT)

    async def cancel(self, run_id: str) -> Json:
        """Cancels the run and returns it; it may still be ending."""
        return await self._act(run_id, "cancel", ANSWER_TIMEOUT)

    async def _act(self, run_id: str, name: str, longest: float) -> Json:
        headers = {"Accept": "application/json"}
        limits = aiohttp.ClientTimeout(total=longest)
        target = self.url / "runs" / run_id / name
        return await self._json("POST", target, headers=headers, timeout=limits)

    async def stream(self, run_id: str, reader: EventReader) -> AsyncGenerator[Json, None]:
        """Yields the run at each event until the stream ends, which may be before the run's end.

        Raises NoStream, also for a stream without any event: a proxy may hold events back.
        """
        silent = True
        target = self.url / "runs" / run_id / "stream"
        limits = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_TIMEOUT, sock_read=SILENCE_TIMEOUT)
        headers = {"Accept": "text/event-stream"}
        with self._translated():
            async with self._http.get(target, headers=headers, timeout=limits) as response:
                if response.status >= 500:
                    raise await read_refusal(response, self.shown)
                if response.status != 200 or response.content_type != "text/event-stream":
                    raise NoStream
                try:
                    async for chunk in response.content.iter_any():
                        for event in reader.feed(chunk):
                            silent = False
                            yield self._parse_run(event.data)
                except aiohttp.SocketTimeoutError:
                    if silent:
                        raise NoStream from None
                    raise

    async def rows(
        self, run_id: str, form: str, fates: Sequence[str] = (), text: str = "", most: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yields the records of a run as the server sends them: CSV, or a JSON array with a line for each.

        `most` ask for the first ones. The server may work them out first, which takes as long as reading the file.
        """
        query = [("fate", fate) for fate in fates]
        query += [("text", text)] if text else []
        query += [("per_page", str(most))] if most else []
        # What goes wrong is told in JSON.
        headers = {"Accept": f"{ROW_TYPES[form]}, application/json;q=0.5"}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_TIMEOUT, sock_read=READ_TIMEOUT)
        target = self.url / "runs" / run_id / "rows"
        with self._translated():
            async with self._http.get(target, params=query, headers=headers, timeout=limits) as response:
                if response.status != 200 or response.content_type != ROW_TYPES[form]:
                    raise await read_refusal(response, self.shown)
                async for chunk in response.content.iter_any():
                    yield chunk

    def _parse_run(self, data: str) -> Json:
        try:
            run = parse_json(data)
        except ValueError as error:
            raise ServerAnswerError(f"{self.shown} sent a run that is not JSON") from error
        if not isinstance(run, dict) or "finished_at" not in run:
            raise ServerAnswerError(f"{self.shown} sent an event that is no run")
        return run

    async def _json(self, method: str, url: URL, **arguments: Any) -> Json:
        # A redirected POST would become a GET, or have no file to send any more.
        follows = method == "GET"
        with self._translated():
            async with self._http.request(method, url, allow_redirects=follows, **arguments) as response:
                return await read_answer(response, self.shown)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if isinstance(error.__cause__, StoredFileError):  # the file failed, not the server
                raise error.__cause__ from None
            raise _unanswered(self.shown, error) from error
        except ValueError as error:
            raise ServerAnswerError(f"{self.shown} answers in what cannot be read: {error}") from error


def _unanswered(server: URL, error: Exception) -> ServerAnswerError:
    if isinstance(error, aiohttp.TooManyRedirects):
        return ServerAnswerError(f"{server} redirects in a circle")
    if isinstance(error, aiohttp.ClientResponseError):
        said = " ".join(error.message.split())[:MAX_EXCERPT]
        return ServerAnswerError(f"{server} does not answer in HTTP: {said}")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ServerAway(f"{server} cannot be reached: {_reason(error)}")
    if isinstance(error, TimeoutError):
        return ServerAway(f"{server} did not answer in time")
    return ServerAway(f"The connection to {server} broke off: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Returns the system's own words where aiohttp has wrapped them."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason}"
    if isinstance(cause, OSError) and (cause.errno or 0) > 0:
        return os.strerror(cause.errno or 0)
    if isinstance(cause, socket.gaierror):
        return cause.strerror or str(cause)
    return str(error) or type(error).__name__


async def _chunks(file: Path, uploaded: Callable[[int], None]) -> AsyncIterator[bytes]:
    try:
        source = await asyncio.to_thread(file.open, "rb")
        with source:
            while chunk := await asyncio.to_thread(source.read, CHUNK):
                yield chunk
                uploaded(len(chunk))
    except OSError as error:
        raise StoredFileError(f"{file} cannot be read: {error.strerror}") from error


@asynccontextmanager
async def open_remote(server: str) -> AsyncIterator[RemoteServer]:
    """Opens the server at a URL and closes its connections after the block. Raises ConfigurationError for what is no URL."""
    try:
        url = URL(server)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError([f"--server must be a URL such as http://localhost:8000, not {server!r}"])
    async with aiohttp.ClientSession(headers=_credentials(os.environ)) as http:
        yield RemoteServer(http, url)


def without_credentials(url: URL) -> URL:
    """Returns a server's address without the credentials in it, which must not get into logs."""
    return url.with_user(None)


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the header with the token, if there is one. It goes to that server alone, not where it may redirect to."""
    token = environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        return {}
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigurationError([f"{TOKEN_VARIABLE}: holds no token"])
    return {"Authorization": f"Bearer {token}"}
