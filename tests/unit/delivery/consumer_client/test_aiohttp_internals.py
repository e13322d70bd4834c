"""aiohttp sends a request once where it is told so by its private name."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from promise_pub.delivery.consumer_client.aiohttp_internals import disable_retries


@pytest.mark.parametrize("disabled", [True, False])
async def test_a_request_whose_connection_breaks_is_sent_once_where_retries_are_disabled(disabled: bool) -> None:
    """`ClientSession._retry_connection`."""
    requests = 0

    async def answer_the_first_of_each_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""):
            await reader.readuntil(b"\r\n\r\n")
            requests += 1
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(answer_the_first_of_each_connection, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, aiohttp.ClientSession() as http:
        if disabled:
            disable_retries(http)
        async with http.get(url):
            pass
        if disabled:
            with pytest.raises(aiohttp.ClientError):
                await http.get(url)
            assert requests == 2
        else:
            async with http.get(url):
                pass
            assert requests == 3, "it is of use: otherwise the request is sent again"
