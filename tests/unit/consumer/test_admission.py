"""Addresses that need a token of the consumer, and texts that may be one."""

from __future__ import annotations

import pytest

from promise_pub.consumer.admission import resolve_exposure
from promise_pub.errors import ConfigurationError
from promise_pub.http.security import Exposure
from promise_pub.settings import model
from promise_pub.settings.model import ConsumerSettings

TOKEN = "a-token-of-the-tests"
REST = {"rabbit": {"host": "b"}, "database": {"dbname": "d", "user": "u", "password": ""}}


@pytest.mark.parametrize("host", ["127.0.0.1", "LocalHost", "::1"])
@pytest.mark.parametrize("token", ["", TOKEN])
async def test_on_loopback_it_answers_to_the_name_it_has(host: str, token: str) -> None:
    settings = ConsumerSettings(host=host, port=0, token=token)
    assert await resolve_exposure(settings) == Exposure(loopback=True, hosts=frozenset({host.lower()}))


async def test_beyond_loopback_it_needs_a_token() -> None:
    with pytest.raises(ConfigurationError, match=r"^\[consumer\] token: must be set where host is no loopback address"):
        await resolve_exposure(ConsumerSettings(host="0.0.0.0", port=0))
    assert await resolve_exposure(ConsumerSettings(host="0.0.0.0", port=0, token=TOKEN)) == Exposure(loopback=False)


@pytest.mark.parametrize("wrong", ["short", "a token of the tests", f"{TOKEN}\N{SNOWMAN}", "x" * 201])
def test_a_token_that_no_header_carries_or_that_can_be_guessed_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\[consumer\] token: must be 16 to 200 letters") as caught:
        model.cast({**REST, "consumer": {"host": "h", "port": "1", "token": wrong}})
    assert wrong not in str(caught.value)


def test_a_token_is_not_in_what_settings_show() -> None:
    settings = model.cast({**REST, "consumer": {"host": "h", "port": "1", "token": TOKEN}})
    assert settings.consumer.token == TOKEN and TOKEN not in repr(settings)
