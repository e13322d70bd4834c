"""Patterns of topics, as AMQP has them: words between dots, `*` for one word, `#` for any number of words. Pure.

A topic without a character has no words, as for RabbitMQ; a word may be empty, as the second of `a..b`.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate
from operator import or_

from promise_pub.errors import BadParameter

MAX_BYTES = 255  # of a routing key, and so of a pattern
_WILDCARDS = {"*": r"\.[^.]*", "#": r"(?:\.[^.]*)*"}


def check_pattern(pattern: str) -> str:
    """Returns the pattern. Raises BadParameter where no topic could match it."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in pattern):
        raise BadParameter("A topic cannot have control characters.")
    if len(pattern.encode()) > MAX_BYTES:
        raise BadParameter(f"A topic has at most {MAX_BYTES} bytes.")
    return pattern


def is_exact(pattern: str) -> bool:
    """Tells whether a pattern has no wildcards, so that it matches one topic alone."""
    return not _WILDCARDS.keys() & _words(pattern)


def matches(pattern: str, topic: str) -> bool:
    """Tells whether a topic matches, in time that grows with the product of their words at most."""
    words = _words(topic)
    # Element n tells whether the words of the pattern so far match the first n words of the topic.
    reached = [True] + [False] * len(words)
    for wanted in _words(pattern):
        if wanted == "#":
            reached = [*accumulate(reached, or_)]
        else:
            reached = [False] + [before and wanted in ("*", word) for before, word in zip(reached, words, strict=False)]
    return reached[-1]


def pattern_as_regex(pattern: str) -> str:
    """Returns a regular expression of PostgreSQL for a topic with a dot before every word.

    It has no group to remember, so PostgreSQL matches it in time linear in the topic.
    """
    return "^" + "".join(_WILDCARDS.get(word) or rf"\.{re.escape(word)}" for word in _words(pattern)) + "$"


def _words(text: str) -> list[str]:
    return text.split(".") if text else []
