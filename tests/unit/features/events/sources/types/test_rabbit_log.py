from __future__ import annotations

from datetime import UTC, datetime

import pytest

from promise_pub.features.events.sources.types.rabbit_log import RabbitLog
from promise_pub.sources import Found, Ignored
from tests.unit.features.events.sources.types.reading import check_every_cut, found_in, read_file, reasons_in

MODERN = b"2026-11-20 09:00:00.123456+01:00 [info] <0.123.0> "


def test_a_record_is_an_event_with_its_level() -> None:
    assert found_in(RabbitLog(), MODERN + b"accepting AMQP connection\n") == [
        Found(
            datetime(2026, 11, 20, 8, 0, 0, 123456, UTC),
            "accepting AMQP connection",
            data={"level": "info", "pid": "0.123.0"},
        )
    ]


def test_times_of_older_logs_are_in_the_file_s_zone() -> None:
    (event,) = found_in(RabbitLog(), b"2026-11-20 09:00:00.123 [error] <0.1.0> x", "Europe/Zurich")

    assert event.at == datetime(2026, 11, 20, 8, 0, 0, 123000, UTC)


def test_a_record_may_have_no_process() -> None:
    assert found_in(RabbitLog(), b"2026-11-20 09:00:00+00:00 [debug] x")[0].data == {"level": "debug"}


def test_lines_without_a_time_belong_to_the_record_before() -> None:
    events = found_in(RabbitLog(), MODERN + b"closing\n{handshake_timeout}\n\n  more\n" + MODERN + b"next\n")

    assert [one.text for one in events] == ["closing\n{handshake_timeout}\n\n  more", "next"]


@pytest.mark.parametrize("line", [MODERN, MODERN[:-1], MODERN + b"  "])
def test_a_line_of_a_message_that_has_no_text_is_ignored(line: bytes) -> None:
    (record,) = read_file(RabbitLog(), line)

    assert isinstance(record.outcome, Ignored)


@pytest.mark.parametrize(
    "line",
    [
        b"2026-02-30 09:00:00.123456+01:00 [info] <0.1.0> x",
        b"2026-11-20 25:00:00.123456+01:00 [info] <0.1.0> x",
        b"2026-11-20 09:00:00.123456+99:99 [info] <0.1.0> x",
        b"0000-11-20 09:00:00.123456+01:00 [info] <0.1.0> x",
        b"2026-11-20 09:00:00.123456+01:00 info x",
        b"2026-11-20 09: cut",
    ],
)
def test_a_record_that_is_none_costs_itself(line: bytes) -> None:
    assert len(reasons_in(RabbitLog(), MODERN + b"one\n" + line + b"\n" + MODERN + b"two\n")) == 1


def test_a_log_that_is_cut_anywhere_is_accounted_for() -> None:
    check_every_cut(RabbitLog, MODERN + b"one\n two\n" + MODERN + b"\n" + MODERN + b"three")
