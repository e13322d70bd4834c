"""Jobs as pages, JSON and CSV; and who may see them."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.jobs.records import Reason, State
from promise_pub.features.jobs.report import JOB_COLUMNS, RUN_COLUMNS
from tests.fake_accounts import QUICK, FakeAccounts
from tests.jobs.fake_desk import NOW, a_job, a_run
from tests.unit.features.jobs.conftest import PAGE, Seen, opened
from tests.web_house import JSON, Client, House, check_described

EVIL = "<script>alert(1)</script>\x1b[31m\u202e"
REFRESH = '<noscript><meta http-equiv="refresh" content="2; url='


def table(text: str) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(text))]


def fill(seen: Seen) -> None:
    """A job with a run that goes on, one that waits and some that have ended; and one without any."""
    seen.desk.jobs |= {"sweep": a_job("sweep", schedule=None, title="Deletes old files.")}
    due = NOW - timedelta(hours=12)
    seen.desk.put(
        a_run(
            1, state=State.FAILED, reason=Reason.SCHEDULE, due=due, missed=2, error_code="x", error_message="No disk."
        ),
        a_run(2, state=State.COMPLETED, reason=Reason.RETRY, after=1, attempt=2, done=3, total=3, message="2026-11-25"),
        a_run(3, state=State.RUNNING, done=1, total=4, message="2026-01-01", arguments={"start": "2026-01-01"}),
        a_run(4, asked_by="ann"),
    )


async def test_jobs_are_listed_with_schedule_next_and_last_run_as_is_described(seen: Seen) -> None:
    fill(seen)
    told = await seen.json("/jobs")
    check_described(seen.client, "Jobs", told)
    sweep, usage = told["jobs"]
    assert (usage["schedule_words"], usage["next_due"]) == (
        "At 01:30 every day, Europe/Berlin",
        "2026-11-27T00:30:00.000Z",
    )
    assert (usage["running"]["id"], [run["id"] for run in usage["waiting"]], usage["last"]["id"]) == (3, [4], 2)
    assert (sweep["schedule"], sweep["next_due"], sweep["running"], sweep["last"]) == (None, None, None, None)
    text = await seen.text("/jobs")
    for words in ("At 01:30 every day", "Only when asked", "running", "1 of 4: 2026-01-01", "/jobs/usage/runs/2"):
        assert words in text
    answer = await seen.ask("GET", "/jobs?format=csv")
    rows = table(await answer.text())
    assert [*rows[0]] == [*JOB_COLUMNS] and [row["name"] for row in rows] == ["sweep", "usage"]
    assert (rows[1]["running"], rows[1]["last_state"]) == ("3", "completed")


async def test_what_is_not_as_usual_is_seen(seen: Seen) -> None:
    seen.desk.jobs = {
        "absent": a_job("absent", seen_at=NOW - timedelta(minutes=5)),
        "late": a_job("late", last_due=NOW - timedelta(days=2)),
        "paused": a_job("paused", paused=True),
        "usage": a_job(),
    }
    seen.desk.put(
        a_run(1, state=State.RUNNING, progressed_at=NOW - timedelta(minutes=11)),
        a_run(2, "late", State.COMPLETED, missed=1001),
    )
    text = await seen.text("/jobs")
    for words in ("no server has it now", "overdue", "paused", "stalled", "1,000+ due times missed"):
        assert words in text
    for name, words in (
        ("absent", "No server has it now"),
        ("late", "It is overdue."),
        ("paused", "It is paused"),
        ("usage", "Run 1 is stalled: no progress for 11 minutes."),
    ):
        assert words in await seen.text(f"/jobs/{name}")
    assert "Resume its schedule" in await seen.text("/jobs/paused")


async def test_without_jobs_the_page_says_how_to_have_some(seen: Seen) -> None:
    seen.desk.jobs = {}
    assert "No jobs yet." in await seen.text("/jobs")
    assert (await seen.json("/jobs"))["jobs"] == []


async def test_a_job_is_shown_with_its_runs_arguments_and_cookies(seen: Seen) -> None:
    fill(seen)
    seen.desk.kept["usage"] = {"next": "2026-11-26", "deep": [{"a": 1}]}
    told = await seen.json("/jobs/usage")
    check_described(seen.client, "JobWithRuns", told)
    assert [run["id"] for run in told["runs"]] == [4, 3, 2, 1]
    assert [one["name"] for one in told["job"]["arguments"]] == ["start", "end", "reset"]
    assert told["job"]["cookies"]["next"] == "2026-11-26"
    text = await seen.text("/jobs/usage")
    for words in (
        'name="start"',
        'type="checkbox" name="reset"',
        "start=2026-01-01",
        "No disk.",
        "2 due times missed before",
        "asked for by ann",
        "/jobs/usage/runs/3/cancel",
        "Pause its schedule",
        "&#34;2026-11-26&#34;",
    ):
        assert words in text, words
    rows = table(await (await seen.ask("GET", "/jobs/usage?format=csv")).text())
    assert [*rows[0]] == [*RUN_COLUMNS] and [row["id"] for row in rows] == ["4", "3", "2", "1"]
    elsewhere = await seen.json("/jobs/sweep")
    assert (elsewhere["job"]["arguments"], elsewhere["runs"]) == ([], [])
    assert "It has not been run yet." in await seen.text("/jobs/sweep")


async def test_of_many_runs_that_wait_the_first_are_shown(seen: Seen) -> None:
    seen.desk.put(*(a_run(n, arguments={"start": f"2026-01-{n:02}"}) for n in range(1, 16)))
    text = await seen.text("/jobs/usage")
    assert "/jobs/usage/runs/10/cancel" in text and "/jobs/usage/runs/11/cancel" not in text
    assert "5 more are waiting." in text
    assert len((await seen.json("/jobs/usage"))["job"]["waiting"]) == 15


async def test_every_run_is_found_once_by_following_the_links(seen: Seen) -> None:
    seen.desk.put(*(a_run(n, state=State.COMPLETED) for n in range(1, 26)))
    for format in ("json", "csv", "html"):
        found: list[int] = []
        url: str | None = f"/jobs/usage?limit=10&format={format}"
        while url:
            answer = await seen.ask("GET", url)
            if format == "json":
                found += [run["id"] for run in (await answer.json())["runs"]]
            elif format == "csv":
                found += [int(row["id"]) for row in table(await answer.text())]
            link = answer.links.get("next")
            url = f"{link['url'].relative()}&format={format}" if link else None
            assert url is None or "limit=10" in url
            assert ("first" in answer.links) == (answer.url.query.get("before") is not None)
        assert found == ([*range(25, 0, -1)] if format != "html" else [])
    text = await seen.text("/jobs/usage?limit=10&before=16")
    assert 'href="/jobs/usage?limit=10&amp;before=6"' in text and 'href="/jobs/usage?limit=10"' in text
    assert "There are no older runs." in await seen.text("/jobs/usage?before=1")


async def test_a_run_is_shown_as_is_described(seen: Seen) -> None:
    fill(seen)
    for number in (1, 2, 3, 4):
        check_described(seen.client, "JobRun", await seen.json(f"/jobs/usage/runs/{number}"))
    failed, again, going = [await seen.text(f"/jobs/usage/runs/{number}") for number in (1, 2, 3)]
    assert "Next try" in failed and 'href="/jobs/usage/runs/2"' in failed and "Next try" not in again
    assert "No disk." in failed and "2 due times missed before" in failed and "cancel" not in failed
    assert 'href="/jobs/usage/runs/1">run 1<' in again and "tried again, try 2" in again
    assert '<progress max="4" value="1"' in going and 'action="/jobs/usage/runs/3/cancel"' in going
    (row,) = table(await (await seen.ask("GET", "/jobs/usage/runs/3?format=csv")).text())
    assert (row["id"], row["done"], row["total"]) == ("3", "1", "4")


async def test_pages_are_loaded_again_each_two_seconds_while_something_goes_on(seen: Seen) -> None:
    paths = ("/jobs", "/jobs/usage", "/jobs/usage/runs/1")
    seen.desk.put(a_run(1, state=State.RUNNING))
    for path in paths:
        assert f'{REFRESH}{path}"' in await seen.text(path) and "live.js" in await seen.text(path)
    seen.desk.put(a_run(1, state=State.COMPLETED))
    for path in paths:
        assert REFRESH not in await seen.text(path) and "live.js" not in await seen.text(path)
    seen.desk.put(a_run(1, state=State.RUNNING, cancelling=True))
    assert "being cancelled" in await seen.text(paths[2]) and 'id="cancel"' not in await seen.text(paths[2])


async def test_words_of_others_are_escaped(seen: Seen) -> None:
    seen.desk.jobs = {"usage": a_job(title=EVIL, schedule=EVIL, zone=EVIL)}
    seen.desk.kept["usage"] = {EVIL: EVIL}
    more = {"arguments": {EVIL: EVIL}, "message": EVIL, "asked_by": EVIL, "error_message": EVIL, "error_code": EVIL}
    seen.desk.put(a_run(1, state=State.FAILED, **more), a_run(2, state=State.RUNNING, done=1, **more))
    for path in ("/jobs", "/jobs/usage", "/jobs/usage/runs/1", "/jobs/usage/runs/2"):
        text = await seen.text(path)
        assert "<script>alert" not in text and "\x1b" not in text and "\u202e" not in text, path
        assert "\x1b" not in await (await seen.ask("GET", path, headers=JSON)).text()
    rows = table(await (await seen.ask("GET", "/jobs/usage?format=csv")).text())
    assert rows[0]["message"].startswith("<script>")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/jobs?page=2", 400, "bad_parameter"),
        ("/jobs/none", 404, "job_not_found"),
        ("/jobs/No%00ne", 404, "job_not_found"),
        (f"/jobs/{'x' * 300}", 404, "job_not_found"),
        ("/jobs/usage?before=x", 400, "bad_parameter"),
        ("/jobs/usage?before=0", 400, "bad_parameter"),
        (f"/jobs/usage?before={2**63}", 400, "bad_parameter"),
        ("/jobs/usage?limit=501", 400, "bad_parameter"),
        ("/jobs/usage?limit=1&limit=2", 400, "bad_parameter"),
        ("/jobs/usage?start=2026-01-01", 400, "bad_parameter"),
        ("/jobs/usage/runs/99", 404, "job_run_not_found"),
        ("/jobs/usage/runs/x", 404, "job_run_not_found"),
        ("/jobs/usage/runs/-1", 404, "job_run_not_found"),
        (f"/jobs/usage/runs/{2**63}", 404, "job_run_not_found"),
        ("/jobs/sweep/runs/1", 404, "job_run_not_found"),
        ("/jobs/usage/runs/1?before=2", 400, "bad_parameter"),
    ],
)
async def test_wrong_questions_are_answered_in_the_format_that_is_asked_for(
    seen: Seen, path: str, status: int, code: str
) -> None:
    seen.desk.jobs |= {"sweep": a_job("sweep")}
    seen.desk.put(a_run(1, state=State.COMPLETED))
    answer = await seen.ask("GET", path, headers=JSON)
    assert (answer.status, (await answer.json())["code"]) == (status, code)
    shown = await seen.ask("GET", path)
    assert shown.status == status and "<h1>" in await shown.text()


async def test_an_unknown_format_names_those_that_are_known(seen: Seen) -> None:
    for path in ("/jobs", "/jobs/usage", "/jobs/usage/runs/1"):
        answer = await seen.ask("GET", f"{path}?format=xml")
        assert answer.status == 400 and "html, json, csv" in await answer.text()


async def test_a_database_that_is_away_is_told(seen: Seen) -> None:
    seen.desk.trouble = DatabaseUnavailable()
    for path in ("/jobs", "/jobs/usage", "/jobs/usage/runs/1"):
        assert (await seen.ask("GET", path, headers=JSON)).status == 503


async def test_jobs_are_for_operators(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]], seen: Seen
) -> None:
    house, accounts = House(tmp_path / "closed"), FakeAccounts()
    authenticator = Authenticator(accounts, SessionSigner(b"k" * 32, hours=12), Passwords(QUICK), LoginAttempts())
    tokens = {role: (await accounts.add_token(role.value, role, 1))[0] for role in Role}
    async with house.runs:
        told = Seen(seen.desk, await aiohttp_client(house.app(opened(seen.desk), authenticator=authenticator)))
        for role, status in ((Role.VIEWER, 403), (Role.OPERATOR, 200)):
            bearer = {"Authorization": f"Bearer {tokens[role]}"}
            for kind in (PAGE, JSON):
                for path in ("/jobs", "/jobs/usage"):
                    assert (await told.ask("GET", path, headers=kind | bearer)).status == status
            home = await (await told.ask("GET", "/", headers=PAGE | bearer)).text()
            assert ('href="/jobs"' in home) is (role is Role.OPERATOR)
            for path in ("/jobs/usage/run", "/jobs/usage/pause", "/jobs/usage/resume", "/jobs/usage/runs/1/cancel"):
                answer = await told.post(path, headers=JSON | bearer)
                assert (answer.status == 403) is (role is Role.VIEWER), path
        assert (await seen.desk.run(1)).asked_by == "operator"
        assert (await told.ask("GET", "/jobs", headers=JSON)).status == 401
