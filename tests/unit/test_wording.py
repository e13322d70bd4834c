"""Numbers, times and states in people's words."""

from __future__ import annotations

from datetime import UTC, datetime

from promise_pub.web import wording


def test_a_time_is_told_in_utc_with_the_exact_one_for_scripts() -> None:
    told = wording.moment(datetime(2026, 11, 24, 9, 5, 7, 250_000, UTC))
    assert told == '<time datetime="2026-11-24T09:05:07.250Z">2026-11-24 09:05:07 UTC</time>'
    assert wording.moment(None) == "–"
