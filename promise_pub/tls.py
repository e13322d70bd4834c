"""TLS towards the broker and the database."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path


async def client_context(ca_certificate: Path | None) -> ssl.SSLContext:
    """Returns a context that checks the other side's certificate and name, by the system's authorities or this file's.

    Reading the authorities takes tens of milliseconds, so it happens in a thread.
    """
    return await asyncio.to_thread(ssl.create_default_context, cafile=ca_certificate)
