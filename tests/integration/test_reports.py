"""Reports of real runs, verified: what the server hands out proves the file that was sent, and finds what was changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from promise_pub.cli.verify import verify
from promise_pub.delivery.evidence.blocks import MAX_BLOCKS
from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts
from tests.web_parts import ServerUnderTest, people, serving, settings, until

JSON = {"Accept": "application/json"}
QUICK = "?timeout=0&mode=batch"


@pytest.fixture
async def chosen(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Settings]:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        yield settings(rabbit, database, consumer, tmp_path)


class Options:
    """The options of the command."""

    def __init__(self, report: Path, file: Path) -> None:
        self.report, self.file, self.format, self.quiet = report, file, "json", False


@pytest.fixture
def verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command on a report and a file: its exit code, and what it says."""

    async def run(report: str, content: bytes) -> tuple[int, list[str]]:
        (tmp_path / "report.json").write_text(report, encoding="utf-8")
        (tmp_path / "sent.csv").write_bytes(content)
        capsys.readouterr()
        options: Any = Options(tmp_path / "report.json", tmp_path / "sent.csv")
        code = await verify(options)
        return code, json.loads(capsys.readouterr().out)["explanation"]

    return run


async def report_of(server: ServerUnderTest, run_id: str) -> str:
    reply = await server.get(f"/runs/{run_id}/report.json")
    assert reply.status == 200
    assert reply.headers["Content-Disposition"] == f'attachment; filename="report-{run_id}.json"'
    return str(reply.text)


EXPORT = 'id;mail;name\r\n1;zoe@x;"Zoë; Müller"\r\n2;€@x;"B\r\no"\r\n\r\n3;zoe@x;again\r\nbad\r\n'.encode("cp1252")
AS_EXPORTED = {"header": "true", "delimiter": ";", "encoding": "cp1252"}


async def test_a_report_proves_the_file_that_was_sent(chosen: Settings, verified: Any) -> None:
    async with serving(chosen) as server:
        run = (await server.send(EXPORT, QUICK, **AS_EXPORTED)).json
        report = await report_of(server, run["id"])
        assert {key: json.loads(report)[key] for key in run} == run, "the run's JSON, and more"
        assert len(json.loads(report)["blocks"]["hashes"]) == run["rows"]["read"] == 4
        for told in (report, json.dumps(run)):
            code, said = await verified(told, EXPORT)
            assert (code, said) == (
                0,
                ["This is the file of that run, byte for byte, and its rows give the digest of the report."],
            )
        changed = EXPORT.replace(b"again", b"agaln")
        code, said = await verified(report, changed)
        assert code == 3
        assert said[1] == (
            'The first difference is row 3 on line 6, which holds here: {"id": "3", "mail": "zoe@x", "name": "agaln"}'
        )
        code, said = await verified(json.dumps(run), changed)
        assert code == 3 and said[1].endswith(f"/runs/{run['id']}/report.json.")


async def test_the_digest_of_a_run_in_several_sessions_is_proven(chosen: Settings, verified: Any) -> None:
    content = people(12_000)
    async with serving(chosen) as server:
        headers = JSON | {"Prefer": "respond-async", "Content-Type": "text/csv"}
        answer = await server.ask("POST", "/simulate/?mode=live&timeout=1&rate=4000", data=content, headers=headers)
        path = answer.headers["Location"]

        async def look(state: str) -> Any:
            run = (await server.get(path, headers=JSON)).json
            return run if run["state"] == state else None

        async def has_digest() -> bool:
            run = (await server.get(path, headers=JSON)).json
            return bool(run["digest"] and run["session"]["saved"])

        await until(has_digest)
        await server.ask("POST", f"{path}/cancel", headers=JSON)
        cancelled = await until(lambda: look("cancelled"))
        code, said = await verified(json.dumps(cancelled), content)
        assert code == 0 and said[1].endswith("the run was cancelled after they were published.")
        without = json.loads(await report_of(server, cancelled["id"]))
        assert without["blocks"] is None and "cancelled" in without["no_blocks"]
        await server.ask("POST", f"{path}/resume", headers=JSON)
        run = await until(lambda: look("completed"))
        after = run["earlier_sessions"][-1]["last_row"]
        assert 0 < after < 12_000
        code, said = await verified(await report_of(server, run["id"]), content)
        assert code == 0 and said[1] == f"It covers rows {after + 1:,} to 12,000, those of the run's last session."


async def test_a_large_file_is_told_in_blocks(chosen: Settings, verified: Any) -> None:
    content = people(20_000)
    async with serving(chosen) as server:
        run = (await server.send(content, QUICK)).json
        report = await report_of(server, run["id"])
        assert len(json.loads(report)["blocks"]["hashes"]) <= MAX_BLOCKS and len(report) < 200_000
        code, said = await verified(report, content.replace(b"Name 12345,", b"Name 12345 ,"))
        assert code == 3
        assert said[1] == (
            "The first difference is among the records from row 12,346 on line 12,346, to row 12,350 on line 12,350."
        )


async def test_where_the_file_is_gone_the_report_says_so(chosen: Settings, verified: Any) -> None:
    async with serving(chosen) as server:
        runs = [(await server.send(people(5), QUICK)).json["id"] for _ in range(3)]
        folder = Path(chosen.server.uploads)
        (folder / f"{runs[0]}.csv").unlink()
        (folder / f"{runs[1]}.csv").write_bytes(people(4))
        known = await report_of(server, runs[2])
        (folder / f"{runs[2]}.csv").unlink()
        told = [json.loads(await report_of(server, run)) for run in runs]
        assert [one["no_blocks"] for one in told] == [
            "The stored file is missing.",
            "The stored file has another length than the upload.",
            None,
        ]
        assert json.loads(known) == told[2], "what was worked out once is known"
        assert (await verified(json.dumps(told[0]), people(5)))[0] == 0


async def test_many_who_ask_at_once_get_the_same(chosen: Settings) -> None:
    async with serving(chosen) as server:
        run = (await server.send(people(20_000), QUICK)).json
        replies = await asyncio.gather(*(server.get(f"/runs/{run['id']}/report.json", headers=JSON) for _ in range(60)))
        assert {reply.status for reply in replies} <= {200, 503}
        assert len({reply.text for reply in replies if reply.status == 200}) == 1
        for reply in replies:
            assert reply.status == 200 or reply.json["code"] == "too_many_waiting"


@pytest.mark.parametrize("kind", ["html", "json"])
async def test_a_report_of_no_run_is_not_found(chosen: Settings, kind: str) -> None:
    async with serving(chosen) as server:
        for run_id in (str(uuid4()), "nothing"):
            reply = await server.get(f"/runs/{run_id}/report.{kind}", headers=JSON)
            assert (reply.status, reply.json["code"]) == (404, "run_not_found")


async def test_a_run_in_progress_has_a_report_that_says_so(chosen: Settings, verified: Any) -> None:
    async with serving(chosen) as server:
        headers = JSON | {"Prefer": "respond-async", "Content-Type": "text/csv"}
        path = (await server.ask("POST", "/simulate/?rate=100", data=people(900), headers=headers)).headers["Location"]

        async def publishes() -> bool:
            return bool((await server.get(path, headers=JSON)).json["rows"]["confirmed"])

        await until(publishes)
        page = await server.get(f"{path}/report.html")
        assert "it has not ended" in page.text and page.headers["Cache-Control"] == "no-store"
        told = (await server.get(f"{path}/report.json")).json
        assert told["blocks"] is None and "publishing" in told["no_blocks"]
        await server.ask("POST", f"{path}/cancel", headers=JSON)
