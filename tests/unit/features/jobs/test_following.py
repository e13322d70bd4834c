"""A run that is followed to its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from promise_pub.errors import DatabaseError, DatabaseUnavailable
from promise_pub.features.jobs.following import follow_run
from promise_pub.features.jobs.records import JobRun, Reason, State
from promise_pub.retries import Backoff
from tests.jobs.fake_desk import FakeDesk, a_job, a_run

AT_ONCE = Backoff(0.0, 0.0, jitter=0.0)


class Course(FakeDesk):
    """A desk that changes each time that it is asked for a run."""

    def __init__(self, *changes: Callable[[Course], None]) -> None:
        super().__init__(a_job())
        self._changes = [*changes]

    async def run(self, id: int) -> JobRun:
        if self._changes:
            self._changes.pop(0)(self)
        return await super().run(id)


def puts(*runs: JobRun) -> Callable[[Course], None]:
    return lambda desk: desk.put(*runs)


def fails(desk: Course) -> None:
    desk.trouble = DatabaseUnavailable("The database is away.")


def passes(desk: Course) -> None:
    desk.trouble = None


async def follow(desk: FakeDesk) -> tuple[JobRun, list[str], list[str]]:
    told: list[str] = []
    complaints: list[str] = []

    def tell(run: JobRun, _: datetime) -> None:
        told.append(f"{run.id} {run.state} {run.done}")

    end = await follow_run(desk, a_run(1), tell, complaints.append, AT_ONCE)
    return end, told, complaints


async def test_each_look_is_told_until_the_run_has_ended() -> None:
    running = a_run(1, state=State.RUNNING, done=1)
    end, told, _ = await follow(Course(puts(a_run(1)), puts(running), puts(a_run(1, state=State.FAILED, done=2))))
    assert end.state is State.FAILED and told == ["1 waiting None", "1 running 1", "1 failed 2"]


async def test_the_run_that_goes_on_for_one_that_was_cut_off_is_followed() -> None:
    cut, other = a_run(1, state=State.INTERRUPTED), a_run(2, state=State.RUNNING)
    successor = a_run(3, state=State.COMPLETED, reason=Reason.RESUMED, after=1)
    end, told, _ = await follow(Course(puts(cut, other, successor)))
    assert end.id == 3 and told == ["1 interrupted None", "3 completed None"]
    end, told, _ = await follow(Course(puts(cut, other)))
    assert end.id == 1, "its tries were all used"


async def test_a_database_that_is_away_is_complained_of_once_and_waited_for() -> None:
    done = puts(a_run(1, state=State.COMPLETED))
    end, told, complaints = await follow(Course(puts(a_run(1)), fails, fails, passes, done))
    assert end.state is State.COMPLETED and complaints == ["The database is away."]


async def test_what_does_not_pass_is_raised() -> None:
    desk = FakeDesk(a_job())
    desk.trouble = DatabaseError("No such table.")
    with pytest.raises(DatabaseError, match="No such table"):
        await follow(desk)
