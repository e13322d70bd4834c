"""A broker's last words: a refusal, which lasts until somebody changes something, or a loss, which may pass.

Told apart by AMQP's reply codes, on a channel and on a connection alike. They are the same words in both places: who
may not publish has the channel closed with 403, whose password is wrong the connection.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import aiormq.exceptions

from promise_pub.errors import BrokerError, BrokerRefused

# access-refused (no right, a wrong password), not-found (an exchange), resource-locked (somebody else's queue),
# precondition-failed (a message too large, among others), not-allowed (a vhost that is not there, a limit reached).
# Everything else is a loss: 320 connection-forced, as a broker says that shuts down or whose operator closes
# connections; 541 internal-error, which is also a vhost that is still coming up after a restart; the codes of a talk
# gone wrong, 501 to 506 and 540, which the next connection may be spared; and every end without a word.
REFUSALS = frozenset({403, 404, 405, 406, 530})
# Two refusals may pass once a connection is lost. Until the broker has missed its heartbeats it counts the dead one
# against a limit on connections or channels; and old ones call a vhost that is coming up "down" under code 530. Both
# are said at the end: before it are names of users and vhosts, not always in quotes, which may have any words in them.
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
"""aiormq has classes for some codes, and puts the others into ConnectionClosed or ChannelClosed, with the words."""

# "HTTP/1." in the place of a frame's head: so many bytes aiormq then waits for. RabbitMQ's management page, usually.
_HTTP = int.from_bytes(b"P/1.", "big") + 1
_CLOSED = (aiormq.exceptions.ConnectionClosed, aiormq.exceptions.ChannelClosed)


def refusal(error: BaseException | None, prefix: str) -> BrokerRefused | None:
    """The refusal that aiormq's error tells, the broker's own words after `prefix`; None for a loss."""
    code = _CODES.get(type(error)) if error else None
    if code is None and isinstance(error, _CLOSED):
        code = error.args[0]
    if code not in REFUSALS:
        return None
    words = _words(error)
    passes = code == _NOT_ALLOWED and bool(_MAY_PASS.search(words))
    return BrokerRefused(f"{prefix}: {words}", passes=passes)


def reason(error: BaseException | None) -> str:
    """Says why a connection was lost, in the broker's or the system's words; "" where neither said anything.

    Never a number that differs from one loss to the next: equal reasons are counted together.
    """
    cause = error and error.__cause__
    if isinstance(cause, asyncio.IncompleteReadError):
        if cause.expected == _HTTP:
            return "it answers in HTTP, not in AMQP, whose port is usually 5672"
        return "it hung up"  # aiormq counts the bytes that are missing
    if error is None or isinstance(error, RuntimeError):
        return ""  # aiormq names its own objects, with their addresses
    if isinstance(error, _CLOSED):
        return _words(error)  # an OSError as well, whose number is no system's
    cause = cause if isinstance(cause, OSError) else error
    number = None if isinstance(cause, ssl.SSLError) else getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return getattr(cause, "strerror", None) or str(cause)


def _words(error: BaseException | None) -> str:
    return str(error.args[-1]) if isinstance(error, _CLOSED) and error.args else str(error)


@contextmanager
def translated(judge: Callable[[BaseException | None], BrokerError]) -> Iterator[None]:
    """Turns what aiormq raises of a connection that ends, or does not come about, into what `judge` makes of it."""
    try:
        yield
    except Exception as error:
        if not _is_aiormqs(error):
            raise
        raise judge(error) from error
    except asyncio.CancelledError:
        # aiormq also cancels those who wait on what it closes: that is not us being cancelled.
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        raise judge(None) from None


def _is_aiormqs(error: Exception) -> bool:
    """aiormq says RuntimeError of what is closed, and a bare Exception when it knows no reason."""
    known = isinstance(error, aiormq.exceptions.AMQPError | OSError | RuntimeError)
    return known or type(error) is Exception
