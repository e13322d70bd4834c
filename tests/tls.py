"""TLS for tests: certificates made by openssl, and proxies that speak TLS before services that do not."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # how PostgreSQL's clients ask for TLS


@dataclass(frozen=True)
class Certificate:
    """A certificate that is its own authority, and its key, as PEM files."""

    file: Path
    key: Path

    def server_side(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.file, self.key)
        return context


def make_certificate(folder: Path, name: str) -> Certificate:
    """For a name as openssl has it: DNS:localhost, IP:127.0.0.1."""
    if not shutil.which("openssl"):
        if os.environ.get("CI"):
            pytest.fail("openssl is not installed")
        pytest.skip("openssl is not installed")
    stem = name.replace(":", "-")
    made = Certificate(folder / f"{stem}.pem", folder / f"{stem}.key")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subprocess.run(
        ["openssl", "req", "-x509", *kind, "-keyout", made.key, "-out", made.file]
        + ["-subj", "/CN=test", "-addext", f"subjectAltName={name}"],
        check=True,
        capture_output=True,
    )
    return made


@dataclass
class Seen:
    """What went through a proxy."""

    port: int = 0
    encrypted: int = 0  # bytes from clients, after the handshake


@asynccontextmanager
async def tls_before(
    host: str, port: int, certificate: Certificate, *, postgresql: bool = False
) -> AsyncIterator[Seen]:
    """A TLS port before a plain service. PostgreSQL's clients ask for TLS in the plain first."""
    seen, context = Seen(), certificate.server_side()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if postgresql:
                assert await reader.readexactly(8) == SSL_REQUEST
                writer.write(b"S")
                await writer.drain()
            await writer.start_tls(context, ssl_handshake_timeout=10)
            there, back = await _open(host, port)
            await asyncio.gather(_pass(reader, back, seen), _pass(there, writer, None))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _open(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, port)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen | None) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            if seen:
                seen.encrypted += len(chunk)
            writer.write(chunk)
            await writer.drain()
    writer.close()
