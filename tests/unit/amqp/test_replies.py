"""A broker's last words: which refusals may pass by themselves, whatever the names in them are."""

from __future__ import annotations

import ssl

import pytest
from aiormq.exceptions import AMQPConnectionError, ChannelClosed, ConnectionNotAllowed

from promise_pub.amqp.replies import reason, refusal

PASSING = [
    "access to vhost '/' refused for user 'pub': connection limit (10) is reached",
    "access to vhost 'it's' refused for user 'pub': vhost connection limit (1) is reached",
    "connection refused for user 'pub': user connection limit (0) is reached",
    "connection refused: node connection limit (5000) is reached",
    "number of channels opened for user 'pub' has reached the maximum allowed user limit of (1)",
    "number of channels opened on node 'rabbit@here' has reached the maximum allowed limit of (15,000)",
    "access to vhost 'it's' refused for user 'pub': vhost 'it's' is down",
]
LASTING = [
    "access to vhost 'limits' refused for user 'pub'",
    "access to vhost 'x is down' refused for user 'limit (1) is reached'",
    "access to vhost '/' refused for user 'x is down'",
    "vhost limited not found",
    "vhost connection limit (1) is reached not found",
    "vhost 'x' is down not found",
    "attempt to reuse consumer tag 'limit'",
]


@pytest.mark.parametrize("words", PASSING + LASTING)
@pytest.mark.parametrize("where", ["connection", "channel"])
def test_a_limit_or_a_vhost_that_is_down_may_pass_and_a_name_with_such_words_may_not(where: str, words: str) -> None:
    said = f"NOT_ALLOWED - {words}"
    error = ConnectionNotAllowed(said) if where == "connection" else ChannelClosed(530, said)
    told = refusal(error, "The broker refused")
    assert told and told.message == f"The broker refused: {said}"
    assert told.passes is (words in PASSING)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("WRONG_VERSION_NUMBER", "it does not speak TLS on this port; its TLS port is usually 5671"),
        ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed"),
    ],
)
def test_a_port_without_tls_is_named_as_such(kind: str, words: str) -> None:
    error, cause = AMQPConnectionError(), ssl.SSLError(1, words)
    cause.reason = kind
    error.__cause__ = cause
    assert reason(error) == words
