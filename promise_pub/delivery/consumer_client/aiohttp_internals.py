"""The private name of aiohttp that this room uses; tests/unit/delivery/consumer_client has a test for it."""

from __future__ import annotations

import aiohttp


def disable_retries(http: aiohttp.ClientSession) -> None:
    """Makes the session send each request once.

    aiohttp repeats a GET whose connection breaks, and `/create/` is a GET that must not happen twice: nobody would know
    of the first session. There is no public switch.
    """
    http._retry_connection = False
