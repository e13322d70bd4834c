from __future__ import annotations

from datetime import UTC, datetime

import pytest

from promise_pub.features.events.sources.types.session_log import SessionLog
from promise_pub.sources import Found
from tests.unit.features.events.sources.types.reading import check_every_cut, found_in, reasons_in

TIMED = b"aB: 11/20/26 09:00 ::: make\naB: 11/20/26 09:01.05 ::: for x in 1 2; do\n  echo $x\ndone\n"
FIELDED = (
    b"# 2026-11-20T09:05:00+0100\t#hyB\t/home/ann\t  501\t2026-11-20T09:04:58+0100\tlaptop\tann\t$$\tmake test\n"
    b"# 2026-11-20T10:00:00+0100\t#hyB\t/tmp\t502\t2026-11-20T09:59:00+0100\t$$\tls\t-l\n"
)


def test_a_command_is_an_event_at_its_time_in_the_file_s_zone() -> None:
    assert found_in(SessionLog(), TIMED, "Europe/Zurich") == [
        Found(datetime(2026, 11, 20, 8, 0, tzinfo=UTC), "make", data={"session": "aB"}),
        Found(datetime(2026, 11, 20, 8, 1, 5, tzinfo=UTC), "for x in 1 2; do\n  echo $x\ndone", data={"session": "aB"}),
    ]


@pytest.mark.parametrize(("clock", "second"), [(b"19:28", 0), (b"19:28.05", 5), (b"19:28:05", 5)])
def test_a_time_has_seconds_or_none(clock: bytes, second: int) -> None:
    (event,) = found_in(SessionLog(), b"oZ3: 06/08/10 " + clock + b" ::: cmd")

    assert event.at == datetime(2010, 6, 8, 19, 28, second, tzinfo=UTC)


def test_a_year_of_two_digits_is_of_the_last_century_from_69_on() -> None:
    content = b"a: 01/02/99 00:00 ::: x\na: 01/02/68 00:00 ::: y\n"

    assert [one.at.year for one in found_in(SessionLog(), content)] == [1999, 2068]


def test_a_command_with_fields_lasts_from_its_start_to_its_end() -> None:
    assert found_in(SessionLog(), FIELDED) == [
        Found(
            at=datetime(2026, 11, 20, 8, 4, 58, tzinfo=UTC),
            until=datetime(2026, 11, 20, 8, 5, tzinfo=UTC),
            text="make test",
            host="laptop",
            user="ann",
            data={"session": "hyB", "path": "/home/ann", "number": "501"},
        ),
        Found(
            at=datetime(2026, 11, 20, 8, 59, tzinfo=UTC),
            until=datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
            text="ls\t-l",
            data={"session": "hyB", "path": "/tmp", "number": "502"},
        ),
    ]


def test_a_command_with_a_host_and_no_user_and_one_without_a_start_are_read() -> None:
    (event,) = found_in(SessionLog(), b"# 2026-11-20T09:05:00Z\t#a\t\t1\t\tlaptop\t$$\tx")

    assert (event.host, event.user, event.at, event.until) == ("laptop", None, event.until, event.at)
    assert event.data == {"session": "a", "number": "1"}


def test_a_clock_that_was_set_back_has_no_command_end_before_it_began() -> None:
    (event,) = found_in(SessionLog(), b"# 2026-11-20T09:00:00Z\t#a\t/\t1\t2026-11-20T09:30:00Z\t$$\tx")

    assert event.at == event.until == datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "line",
    [
        b"aB: 02/30/26 09:00 ::: x",
        b"aB: 11/20/26 25:00 ::: x",
        b"aB: 11/20/26 09:00 :: x",
        b"aB: 11/20/69 09:00 ::: before 1970",
        b"# 2026-11-20T09:05:00Z\t#a\t/\t1\t2026-11-20T09:04:58Z\thost\tuser\tx",
        b"# 2026-11-20T09:05:00Z\t$$\tx",
        b"# 2026-13-20T09:05:00Z\t#a\t/\t1\t2026-11-20T09:04:58Z\t$$\tx",
        b"# 2026-11-20T09:05:00Z\t#a\t/\t1\tyesterday\t$$\tx",
    ],
)
def test_a_record_that_is_no_command_costs_itself(line: bytes) -> None:
    assert len(reasons_in(SessionLog(), TIMED + line + b"\n" + FIELDED)) == 1


def test_a_log_that_is_cut_anywhere_is_accounted_for() -> None:
    check_every_cut(SessionLog, TIMED + FIELDED)
