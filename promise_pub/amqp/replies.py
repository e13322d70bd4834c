"""Reasons of failed requests and ended connections: refusals last until somebody changes something, losses may pass.

AMQP's reply codes tell them apart, on a channel and on a connection alike: a missing right closes the channel with 403,
a wrong password the connection.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import aiormq.exceptions

from promise_pub.errors import BrokerError, BrokerLost, BrokerRefused, QueueGone

# access-refused (no right, a wrong password), not-found (an exchange), resource-locked (somebody else's queue),
# precondition-failed (a message too large, among others), not-allowed (a vhost that does not exist, a limit reached).
# Everything else is a loss: 320 connection-forced, from a broker that shuts down or whose operator closes connections;
# 541 internal-error, also from a vhost that is still starting; 501 to 506 and 540, protocol errors that the next
# connection may be spared; and every end without a reason.
REFUSALS = frozenset({403, 404, 405, 406, 530})
# Two refusals may pass once a connection is lost. Until the broker has missed its heartbeats it counts the dead one
# against a limit on connections or channels; and old brokers call a vhost that is starting "down" under code 530. Both
# stand at the end of the text: before it are names of users and vhosts, not always in quotes, which may hold any words.
_MAY_PASS = re.compile(r"(limit \([\d,]+\) is reached|limit of \([\d,]+\)|' is down)$")
_NOT_ALLOWED = 530

_CODES: Mapping[type[BaseException], int] = {
    aiormq.exceptions.AuthenticationError: 403,
    aiormq.exceptions.ProbableAuthenticationError: 403,
    aiormq.exceptions.ChannelAccessRefused: 403,
    aiormq.exceptions.ChannelNotFoundEntity: 404,
    aiormq.exceptions.ChannelLockedResource: 405,
    aiormq.exceptions.ChannelPreconditionFailed: 406,
    aiormq.exceptions.ConnectionNotAllowed: _NOT_ALLOWED,
}
"""aiormq has classes for some codes, and puts the others into ConnectionClosed or ChannelClosed, with the text."""

# The bytes aiormq waits for when "HTTP/1." stands where a frame should begin: usually RabbitMQ's management page.
_HTTP = int.from_bytes(b"P/1.", "big") + 1
_CLOSED = (aiormq.exceptions.ConnectionClosed, aiormq.exceptions.ChannelClosed)


def refusal(error: BaseException | None, prefix: str) -> BrokerRefused | None:
    """Returns the refusal behind aiormq's error, the broker's own words after `prefix`; None for a loss."""
    code = _CODES.get(type(error)) if error else None
    if code is None and isinstance(error, _CLOSED):
        code = error.args[0]
    if code not in REFUSALS:
        return None
    words = _words(error)
    passes = code == _NOT_ALLOWED and bool(_MAY_PASS.search(words))
    return BrokerRefused(f"{prefix}: {words}", passes=passes)


def end_of_connection(error: BaseException | None) -> BrokerError:
    """Returns why a connection ended that had been opened: a refusal or a loss."""
    if refused := refusal(error, "The broker refused"):
        return refused
    why = "no answer" if isinstance(error, TimeoutError) else reason(error)
    return BrokerLost(f"The connection to the broker was lost{f' ({why})' if why else ''}")


def end_of_request(error: BaseException | None) -> BrokerError:
    """Returns why a request about a queue failed: the queue does not exist, or see `end_of_connection`."""
    if isinstance(error, aiormq.exceptions.ChannelNotFoundEntity):
        return QueueGone()
    return end_of_connection(error)


def reason(error: BaseException | None) -> str:
    """Returns why a connection was lost, in the broker's or the system's words; "" when neither gave a reason.

    It holds no number that differs from one loss to the next, because equal reasons are counted together.
    """
    cause = error and error.__cause__
    if isinstance(cause, asyncio.IncompleteReadError):
        if cause.expected == _HTTP:
            return "it answers in HTTP, not in AMQP, whose port is usually 5672"
        # aiormq's own text counts the missing bytes.
        return "it hung up"
    if error is None or isinstance(error, RuntimeError):
        # aiormq's own text names its objects, with their addresses.
        return ""
    if isinstance(error, _CLOSED):
        # It is an OSError too, whose number is not the system's.
        return _words(error)
    cause = cause if isinstance(cause, OSError) else error
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return "it does not speak TLS on this port; its TLS port is usually 5671"
    number = None if isinstance(cause, ssl.SSLError) else getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return getattr(cause, "strerror", None) or str(cause)


def _words(error: BaseException | None) -> str:
    return str(error.args[-1]) if isinstance(error, _CLOSED) and error.args else str(error)


@contextmanager
def translated(judge: Callable[[BaseException | None], BrokerError]) -> Iterator[None]:
    """Turns aiormq's errors about a connection that ends, or cannot be opened, into what `judge` makes of them."""
    try:
        yield
    except Exception as error:
        if not _is_aiormqs(error):
            raise
        raise judge(error) from error
    except asyncio.CancelledError:
        # aiormq also cancels tasks that wait for something it closes; then this task itself was not cancelled.
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        raise judge(None) from None


def _is_aiormqs(error: Exception) -> bool:
    # aiormq raises RuntimeError for something closed, and a bare Exception when it knows no reason.
    known = isinstance(error, aiormq.exceptions.AMQPError | OSError | RuntimeError)
    return known or type(error) is Exception
