"""Login sessions as signed text."""

from __future__ import annotations

import pytest
from itsdangerous import timed

from promise_pub.accounts.sessions import SessionSigner


def test_a_session_is_read_by_who_signed_it_until_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = timed.time.time()
    monkeypatch.setattr(timed.time, "time", lambda: now)
    ours = SessionSigner(b"k" * 32, hours=12)
    sealed = ours.sign(7, 2)
    session = ours.read(sealed)
    assert session and (session.user, session.generation) == (7, 2)
    assert ours.read(ours.sign(7, 2)) != session, "each has a name of its own"
    assert SessionSigner(b"x" * 32, hours=12).read(sealed) is None
    monkeypatch.setattr(timed.time, "time", lambda: now + 12 * 3600 - 1)
    assert ours.read(sealed)
    monkeypatch.setattr(timed.time, "time", lambda: now + 12 * 3600 + 2)
    assert ours.read(sealed) is None


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "W10.x.y", "\udcff", "x" * 10_000])
def test_what_was_not_signed_is_no_session(text: str) -> None:
    assert SessionSigner(b"k" * 32, hours=1).read(text) is None


def test_a_session_with_one_character_changed_is_none() -> None:
    ours = SessionSigner(b"k" * 32, hours=1)
    sealed = ours.sign(7, 2)
    for place, character in enumerate(sealed[:-1]):  # the last one holds bits that nobody reads
        other = "A" if character != "A" else "B"
        assert ours.read(sealed[:place] + other + sealed[place + 1 :]) is None
