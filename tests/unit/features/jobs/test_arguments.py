"""Arguments of a run are read before it is queued, and those that are wrong are named."""

from __future__ import annotations

from datetime import date

import pytest

from promise_pub.errors import BadParameter
from promise_pub.features.jobs.arguments import read_arguments
from promise_pub.jobs import Argument, Job, Work, read_flag


def read_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadParameter(f"A day is needed, as in 2026-01-31, not {text!r}.") from None


async def nothing(_: Work) -> None: ...


DAYS = Job(
    name="days",
    title="Takes days.",
    run=nothing,
    arguments=(
        Argument(name="start", help="The first day.", read=read_day),
        Argument(name="end", help="The last day.", read=read_day),
        Argument(name="reset", help="Begins anew.", read=read_flag, is_flag=True),
    ),
)


def test_arguments_are_kept_as_they_are_read_in_the_order_of_the_job() -> None:
    read = read_arguments(DAYS, {"reset": "ON", "start": "20260131"})
    assert [*read.items()] == [("start", "2026-01-31"), ("reset", "yes")]
    assert read_arguments(DAYS, {}) == {}


@pytest.mark.parametrize("text", ["10", "monday", "01/02/2019", "2019", ""])
def test_no_day_is_guessed(text: str) -> None:
    with pytest.raises(BadParameter, match="start: A day is needed"):
        read_arguments(DAYS, {"start": text})


def test_unknown_arguments_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(BadParameter, match="The job days takes start, end, reset, not 'begin'"):
        read_arguments(DAYS, {"begin": "2026-01-31"})
    with pytest.raises(BadParameter, match="takes no argument, not 'start'"):
        read_arguments(Job(name="none", title="Takes none.", run=nothing), {"start": "2026-01-31"})
