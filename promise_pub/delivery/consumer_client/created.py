"""Sessions in answers to `/create/` that are none themselves: which one is named, and whether one may have been made."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from promise_pub.errors import ConsumerError, ConsumerGarbage, ConsumerRefused
from promise_pub.records import SessionView

# A session's uuid wherever an answer has it under its name: nested, or cut off.
UUID_KEY = re.compile(r'"uuid"\s*:\s*("(?:[^"\\]|\\.)*"|\d+)')
UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
UUID_WITHIN = 64 * 1024  # characters in which it is looked for; more would hold the event loop
UUID_LIMIT = 1000  # characters of one that the consumer can still be asked to remove
_JSON, _MARKUP = ("{", "["), ("<",)
_BEHIND_A_PROXY = (502, 504)  # somebody was asked, and broke off or took too long


def session_named_in(text: str, error: ConsumerError) -> SessionView | None:
    """Finds the session that an answer names which is none itself.

    It is the one of the key `uuid`, or the only UUID of a plain text. Elsewhere a UUID may be that of a request.
    """
    text = text[:UUID_WITHIN]
    found = UUID_KEY.search(text)
    plain = not isinstance(error, ConsumerRefused) and not _begins(text, *_JSON, *_MARKUP)
    with suppress(ValueError):
        named = {str(json.loads(found[1]))} if found else set(UUID.findall(text) if plain else ())
        if len(named) == 1 and is_text(uuid := named.pop()) and 0 < len(uuid) <= UUID_LIMIT:
            return SessionView(uuid)
    return None


def may_have_made_one(text: str, error: ConsumerError) -> bool:
    """Tells whether an answer that names no session may stand for one all the same.

    A proxy that waited in vain has asked; success without a session is one that cannot be read; and a server that failed
    may speak of one by a UUID. A complaint in plain text made none.
    """
    if isinstance(error, ConsumerRefused):
        failed = error.status >= 500 and UUID.search(text[:UUID_WITHIN])
        return error.status in _BEHIND_A_PROXY or bool(failed)
    return isinstance(error, ConsumerGarbage) or not text.strip() or _begins(text, *_JSON)


def is_text(value: str) -> bool:
    """JSON can spell half a character, and NUL, which neither AMQP's names nor PostgreSQL take."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _begins(text: str, *marks: str) -> bool:
    return text.lstrip().startswith(marks)
