from __future__ import annotations

from datetime import UTC, datetime

import pytest

from promise_pub.features.events.sources.types.postgresql_log import PostgresqlLog
from promise_pub.sources import Found
from tests.unit.features.events.sources.types.reading import check_every_cut, found_in, reasons_in

AT = datetime(2026, 11, 20, 8, 0, 0, 250_000, UTC)
PLAIN = b"2026-11-20 08:00:00.250 UTC [42] "
DEBIAN = b"2026-11-20 08:00:00.250 UTC [42] ann@shop "


def test_a_message_is_an_event_with_its_severity() -> None:
    assert found_in(PostgresqlLog(), PLAIN + b"LOG:  database system is ready\n" + DEBIAN + b"FATAL:  no\n") == [
        Found(AT, "database system is ready", data={"severity": "LOG", "pid": 42}),
        Found(AT, "no", user="ann", data={"severity": "FATAL", "pid": 42, "database": "shop"}),
    ]


@pytest.mark.parametrize("prefix", [PLAIN, DEBIAN])
def test_details_and_the_statement_belong_to_their_message(prefix: bytes) -> None:
    log = (
        prefix
        + b"ERROR:  deadlock detected\n"
        + prefix
        + b"DETAIL:  Process 1 waits.\n\tProcess 2 waits.\n"
        + prefix
        + b"STATEMENT:  UPDATE a\n\tSET b = 'DETAIL:  no'\n"
        + prefix
        + b"LOG:  next\n"
    )

    first, second = found_in(PostgresqlLog(), log)
    assert (first.text, second.text) == ("deadlock detected", "next")
    assert first.data["detail"] == "Process 1 waits.\nProcess 2 waits."
    assert first.data["statement"] == "UPDATE a\nSET b = 'DETAIL:  no'"


def test_a_message_of_several_lines_is_one_event() -> None:
    (event,) = found_in(PostgresqlLog(), PLAIN + b"LOG:  statement: SELECT 1,\n\t\t2\n\t\n")

    assert event.text == "statement: SELECT 1,\n\t2\n"


@pytest.mark.parametrize(
    ("zone", "hour"), [(b"UTC", 9), (b"GMT", 9), (b"+03", 6), (b"-0330", 13), (b"+05:30", 4), (b"CET", 8), (b"EST", 8)]
)
def test_a_zone_of_letters_other_than_utc_is_the_file_s(zone: bytes, hour: int) -> None:
    (event,) = found_in(PostgresqlLog(), b"2026-11-20 09:30:00 " + zone + b" [1] LOG:  x", "Europe/Zurich")

    assert event.at.hour == hour


@pytest.mark.parametrize(
    "line",
    [
        b"2026-02-30 08:00:00.250 UTC [42] LOG:  x",
        b"2026-11-20 25:00:00.250 UTC [42] LOG:  x",
        b"0000-11-20 08:00:00.250 UTC [42] LOG:  x",
        b"2026-11-20 08:00:00.250 +99 [42] LOG:  x",
        PLAIN + b"LOG: one blank",
        PLAIN + b"without a severity",
    ],
)
def test_a_record_that_is_none_costs_itself(line: bytes) -> None:
    assert len(reasons_in(PostgresqlLog(), PLAIN + b"LOG:  one\n" + line + b"\n" + PLAIN + b"LOG:  two\n")) == 1


def test_details_without_their_message_are_rejected() -> None:
    assert len(reasons_in(PostgresqlLog(), PLAIN + b"DETAIL:  x\n" + PLAIN + b"LOG:  one\n")) == 1


def test_a_log_that_is_cut_anywhere_is_accounted_for() -> None:
    check_every_cut(PostgresqlLog, DEBIAN + b"LOG:  a\n\tb\n" + DEBIAN + b"STATEMENT:  c\n" + PLAIN + b"LOG:  d\n")
