from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from promise_pub.features.events.sources.given_file import GivenFile
from promise_pub.features.events.sources.types.auth_log import AuthLog
from promise_pub.sources import Found, Ignored, NoRecord
from tests.unit.features.events.sources.types.reading import check_every_cut, found_in, read_file, reasons_in

AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
MODERN = b"2026-11-20T09:00:00+01:00 web sshd[12]: "


def told(line: bytes, zone: str = "UTC", year: int = 2026) -> Found | Ignored:
    record = AuthLog.record.fullmatch(line)
    assert record
    return AuthLog().event(record, GivenFile(ZoneInfo(zone), datetime(2026, 11, 20, tzinfo=UTC), year=year))


def who(text: str) -> tuple[str | None, object]:
    (event,) = found_in(AuthLog(), MODERN + text.encode())
    return event.user, event.data.get("address")


@pytest.mark.parametrize(
    ("line", "microsecond"),
    [
        (b"Nov 20 09:00:00 web sudo[7]: text: more", 0),
        (b"<86>Nov 20 09:00:00.25 web sudo[7]: text: more", 250_000),
        (b"2026-11-20T09:00:00.000001+01:00 web sudo[7]: text: more", 1),
        (b"2026-11-20T08:00:00Z web sudo[7]: text: more", 0),
    ],
)
def test_a_record_without_a_year_and_one_of_iso_tell_the_same(line: bytes, microsecond: int) -> None:
    assert told(line, "Europe/Zurich") == Found(
        AT.replace(microsecond=microsecond), "sudo: text: more", host="web", data={"process": "sudo", "pid": "7"}
    )


@pytest.mark.parametrize("structured", ["-", r'[a@1 b="]"][c x="\"]"]'])
def test_a_record_of_rfc_5424_is_read_with_its_structured_data(structured: str) -> None:
    event = told(f"<38>1 2026-11-20T08:00:00Z web app 7 ID47 {structured} \ufeffhello".encode())

    data = {"process": "app", "pid": "7", "message_id": "ID47"}
    assert event == Found(
        AT, "app: hello", host="web", data=data if structured == "-" else {**data, "structured": structured}
    )


def test_a_record_of_rfc_5424_may_leave_out_all_that_it_may() -> None:
    assert told(b"1 2026-11-20T08:00:00Z web - - - -") == Found(AT, "", host="web")


def test_a_day_of_one_digit_has_a_blank_before_it() -> None:
    event = told(b"Jan  3 00:00:00 web su: x", year=2025)

    assert isinstance(event, Found) and event.at == datetime(2025, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "month"),
    [
        (b"Nov 20 09:00:00 web x", b"Nov"),
        (b"<86>Jan  3 09:00:00 web x", b"Jan"),
        (MODERN, None),
        (b"May I come in", None),
    ],
)
def test_the_month_is_found_where_there_is_no_year(line: bytes, month: bytes | None) -> None:
    found = AuthLog.month.match(line)

    assert (found and found[1]) == month


@pytest.mark.parametrize("rest", [b"CRON[5]: session opened", b"CRON: x"])
def test_what_cron_does_is_ignored(rest: bytes) -> None:
    assert told(b"2026-11-20T08:00:00Z web " + rest) == Ignored("cron")


def test_a_record_that_only_speaks_of_cron_is_not_ignored() -> None:
    assert [one.text for one in found_in(AuthLog(), MODERN + b"user CRON")] == ["sshd: user CRON"]


@pytest.mark.parametrize(
    ("rest", "text", "data"),
    [
        (b"last message repeated 3 times", "last message repeated 3 times", {"repeated": 3}),
        (
            b"su: message repeated 2 times: [ bad su]",
            "su: message repeated 2 times: [ bad su]",
            {"process": "su", "repeated": 2},
        ),
        (b"exiting on signal 15", "exiting on signal 15", {}),
        (b"", "", {}),
    ],
)
def test_a_record_may_have_no_process_and_stand_for_others(rest: bytes, text: str, data: object) -> None:
    assert told(b"2026-11-20T08:00:00Z web " + rest) == Found(AT, text, host="web", data=data)


@pytest.mark.parametrize(
    ("text", "user", "address"),
    [
        ("Accepted publickey for ann from 10.0.0.1 port 50022 ssh2: ED25519 SHA256:x", "ann", "10.0.0.1"),
        ("Failed password for root from ::1 port 22 ssh2", "root", "::1"),
        ("Failed password for invalid user bob from 10.0.0.9 port 22 ssh2", "bob", "10.0.0.9"),
        ("Failed none for invalid user  from 10.0.0.9 port 22 ssh2", None, "10.0.0.9"),
        ("Invalid user bob from 10.0.0.9 port 22", "bob", "10.0.0.9"),
        ("Invalid user bob from 10.0.0.9", "bob", "10.0.0.9"),
        ("Connection closed by 10.0.0.9 port 22 [preauth]", None, "10.0.0.9"),
        ("Connection closed by authenticating user ann 10.0.0.9 port 22 [preauth]", "ann", "10.0.0.9"),
        ("Connection reset by invalid user bob 10.0.0.9 port 22", "bob", "10.0.0.9"),
        ("Disconnected from user ann 10.0.0.9 port 22", "ann", "10.0.0.9"),
        ("Received disconnect from 10.0.0.9 port 22:11: bye", None, "10.0.0.9"),
        ("Connection from 10.0.0.9 port 22 on 10.0.0.1 port 22", None, "10.0.0.9"),
        ("pam_unix(sshd:session): session opened for user ann(uid=1000) by (uid=0)", "ann", None),
        ("pam_unix(sshd:session): session closed for user ann", "ann", None),
        ("message repeated 2 times: [ Failed password for root from 10.0.0.9 port 22 ssh2]", "root", "10.0.0.9"),
        ("Server listening on 0.0.0.0 port 22.", None, None),
    ],
)
def test_a_line_of_sshd_tells_who_came_from_where(text: str, user: str | None, address: str | None) -> None:
    assert who(text) == (user, address)


def test_a_name_that_looks_like_the_end_of_a_line_does_not_hide_the_address() -> None:
    assert who("Invalid user a from 1.2.3.4 port 1 from 10.0.0.9 port 22") == ("a from 1.2.3.4 port 1", "10.0.0.9")


def test_only_sshd_tells_users_so() -> None:
    (event,) = found_in(AuthLog(), b"2026-11-20T08:00:00Z web app: Invalid user bob from 10.0.0.9 port 22")

    assert (event.user, event.data) == (None, {"process": "app"})


def test_a_line_that_begins_with_a_blank_belongs_to_the_one_before() -> None:
    events = found_in(AuthLog(), MODERN + b"one\n two\n\tthree\n" + MODERN + b"four\n")

    assert [one.text for one in events] == ["sshd: one\n two\n\tthree", "sshd: four"]


@pytest.mark.parametrize(
    "line",
    [
        b"Nov 31 09:00:00 web x: y",
        b"Nov  0 09:00:00 web x: y",
        b"Feb 29 09:00:00 web x: y",
        b"Nov 20 25:00:00 web x: y",
        b"Nov 20 09:00:60 web x: y",
        b"2026-02-30T09:00:00Z web x: y",
        b"2026-11-20T09:00:00+99:99 web x: y",
        b"0000-11-20T09:00:00Z web x: y",
        b"1969-11-20T09:00:00Z web x: y",
    ],
)
def test_a_time_that_is_none_costs_its_record(line: bytes) -> None:
    with pytest.raises(NoRecord):
        told(line)


@pytest.mark.parametrize(
    "line",
    [
        b"MMM 20 09:00:00 web x: y",
        b"Nov 20 09:00:00",
        b"Nov 20 09:00 web x: y",
        b"a line",
        b"\0" * 20,
        b"2026-11-20T09:00:00Z",
    ],
)
def test_a_line_that_is_no_record_costs_itself(line: bytes) -> None:
    assert len(reasons_in(AuthLog(), MODERN + b"one\n" + line + b"\n" + MODERN + b"two\n")) == 1


def test_a_log_without_a_year_that_is_known_is_not_guessed() -> None:
    log = MODERN + b"one\nNov 20 09:00:00 web x: y\n"

    assert reasons_in(AuthLog(), log) == ["the year is not known"]


def test_a_log_that_is_cut_anywhere_is_accounted_for() -> None:
    log = (
        MODERN
        + b"one\n two\n"
        + b"<38>1 2026-11-20T08:00:00Z web app 7 - - x\n"
        + b"rubbish\n\n"
        + MODERN
        + "Zürich\n".encode()
    )
    check_every_cut(AuthLog, log)
    assert len(read_file(AuthLog(), log)) == 5
