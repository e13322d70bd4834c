"""A promise-pub server as its command line sees it: upload a file, follow its run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from promise_pub.errors import ConfigurationError, ServerAnswerError, StoredFileError
from promise_pub.records import Parameters

ANSWER_TIMEOUT = 30.0  # seconds; uploading has no total, only a limit on standing still
RESUME_TIMEOUT = 600.0  # seconds; the server reads the whole file before it goes on with it
STILL_TIMEOUT = 120.0  # seconds without a byte either way
POLL_EVERY = 0.25  # seconds between looks at a run
CHUNK = 256 * 1024  # bytes
TOKEN_VARIABLE = "PROMISE_PUB_TOKEN"  # an argument could be read by everybody on the machine

Json = dict[str, Any]


class RemoteServer:
    """One server. Every method raises ServerAnswerError with what the server said, or that it cannot be reached."""

    def __init__(self, http: aiohttp.ClientSession, url: URL) -> None:
        self._http = http
        self._url = url

    async def submit(
        self, file: Path, parameters: Parameters, uploaded: Callable[[int], None]
    ) -> Json:
        """Uploads the file and starts its run; the run as it is then. `uploaded` is told how many bytes went."""
        query = {
            "filename": file.name,
            "mode": parameters.mode.value,
            "timeout": str(parameters.timeout),
            "clear": "true" if parameters.clear else "false",
            "rate": str(parameters.rate),
        }
        headers = {
            "Content-Type": "text/csv",
            "Prefer": "respond-async",
            "Accept": "application/json",
        }
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=ANSWER_TIMEOUT, sock_read=STILL_TIMEOUT
        )
        target = self._url / "simulate" / ""
        return await self._json(
            "POST",
            target,
            params=query,
            headers=headers,
            data=_chunks(file, uploaded),
            timeout=limits,
        )

    async def run(self, run_id: str) -> Json:
        """The run now."""
        limits = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
        return await self._json(
            "GET", self._url / "runs" / run_id, params={"format": "json"}, timeout=limits
        )

    async def resume(self, run_id: str) -> Json:
        """Has the run go on where it stopped; the run as it is then."""
        headers = {"Accept": "application/json"}
        limits = aiohttp.ClientTimeout(total=RESUME_TIMEOUT)
        target = self._url / "runs" / run_id / "resume"
        return await self._json("POST", target, headers=headers, timeout=limits)

    async def follow(self, run: Json) -> AsyncIterator[Json]:
        """The run as it goes, its end last."""
        while run["finished_at"] is None:
            yield run
            await asyncio.sleep(POLL_EVERY)
            run = await self.run(run["id"])
        yield run

    async def _json(self, method: str, url: URL, **arguments: Any) -> Json:
        try:
            async with self._http.request(method, url, **arguments) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ServerAnswerError(
                f"{self._url} cannot be reached: {error or type(error).__name__}"
            ) from error
        except ValueError as error:
            raise ServerAnswerError(
                f"{self._url} is no promise-pub server: its answer is not JSON"
            ) from error
        if not isinstance(answer, dict) or not ("id" in answer or "detail" in answer):
            raise ServerAnswerError(f"{self._url} is no promise-pub server: its answer is no run")
        if response.status >= 400:
            raise ServerAnswerError(f"{answer['detail']} ({answer.get('code', response.status)})")
        return answer


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
    """The server at a URL, its connections closed with the block. Raises ConfigurationError for what is no URL."""
    try:
        url = URL(server)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(
            [f"--server must be a URL such as http://localhost:8000, not {server!r}"]
        )
    async with aiohttp.ClientSession(headers=_credentials(os.environ)) as http:
        yield RemoteServer(http, url)


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """The token for a server that lets not everybody in. It goes to that server alone, not where it may redirect to."""
    token = environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        return {}
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigurationError([f"{TOKEN_VARIABLE}: holds no token"])
    return {"Authorization": f"Bearer {token}"}
