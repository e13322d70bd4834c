from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from promise_pub.features.events.sources.given_file import GivenFile

MODIFIED = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)


def given(encoding: str = "utf-8") -> GivenFile:
    return GivenFile(ZoneInfo("Europe/Zurich"), MODIFIED, encoding)


@pytest.mark.parametrize(
    ("encoding", "raw", "text", "repaired"),
    [
        ("utf-8", None, "", 0),
        ("utf-8", "Zürich".encode(), "Zürich", 0),
        ("latin-1", b"Z\xfcrich", "Zürich", 0),
        ("utf-8", b"Z\xfcrich\0", "Z�rich�", 1),
        ("utf-8", b"\xed\xa0\x80", "���", 1),
        ("cp1252", b"\x81", "�", 1),
    ],
)
def test_text_that_cannot_be_read_or_stored_is_replaced_and_counted(
    encoding: str, raw: bytes | None, text: str, repaired: int
) -> None:
    file = given(encoding)

    assert (file.text(raw), file.repaired) == (text, repaired)


def test_the_day_of_the_last_change_is_that_of_the_file_s_zone() -> None:
    assert given().modified.day == 21


def test_an_encoding_that_is_none_is_refused() -> None:
    with pytest.raises(LookupError):
        given("utf-9")
