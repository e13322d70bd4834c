"""The figures at /metrics: what they count, what they look up, and that they wait for nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from promise_pub import __version__
from promise_pub.errors import BrokerUnreachable
from promise_pub.http.ops import metrics as http_metrics
from promise_pub.http.ops import service_checks
from promise_pub.http.ops.service_checks import ServiceChecks
from promise_pub.parameters import Mode, Parameters
from promise_pub.samples import Sample
from promise_pub.web.ops import metrics
from promise_pub.web.ops.metrics import publish_rate
from tests.fakes import until
from tests.listening import Site, figures_of, site

ROWS = b"Ann,ann@x\nBob,bob@x\nbad\n"
CSV = {"Content-Type": "text/csv", "Accept": "application/json"}


async def send(there: Site, query: str = "mode=batch") -> int:
    async with there.http.post(f"{there.url}/simulate/?{query}", data=ROWS, headers=CSV) as answer:
        await answer.read()
        return answer.status


async def test_runs_rows_and_latencies_are_told(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        before = await there.figures()
        assert before["promise_pub_runs_ended_total", "completed", "kept"] == 0
        assert before["promise_pub_rows_total", "confirmed"] == 0
        assert await send(there) == 200
        after = await there.figures()
        assert after["promise_pub_runs_ended_total", "completed", "kept"] == 1
        rows = {key[1]: value for key, value in after.items() if key[0] == "promise_pub_rows_total"}
        assert rows == {
            **dict.fromkeys(("returned", "nacked", "resent", "duplicates", "invalid"), 0),
            **dict.fromkeys(("published", "confirmed", "received", "saved"), 2),
            "read": 3,
            "rejected": 1,
        }
        assert after["promise_pub_confirm_latency_seconds_count",] == 2
        assert after["promise_pub_confirm_latency_seconds_bucket", "+Inf"] == 2
        buckets = [after["promise_pub_confirm_latency_seconds_bucket", str(bound)] for bound in metrics.CONFIRM_BUCKETS]
        assert buckets == sorted(buckets) and buckets[-1] <= 2
        assert after["promise_pub_runs_going",] == after["promise_pub_runs_waiting",] == 0
        assert after["promise_pub_build_info", __version__] == 1


async def test_a_run_that_goes_and_those_that_wait_are_told(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        async with there.house.consumer.holding("remove"):
            headers = CSV | {"Prefer": "respond-async"}
            for _ in range(2):
                async with there.http.post(f"{there.url}/simulate/", data=ROWS, headers=headers) as answer:
                    assert answer.status == 202
            await until(lambda: there.house.runs.current and there.house.runs.current.counts().confirmed)
            figures = await there.figures()
        assert figures["promise_pub_runs_going",] == figures["promise_pub_runs_waiting",] == 1
        assert figures["promise_pub_run_blocked",] == 0
        assert figures["promise_pub_rows_total", "confirmed"] == 2


async def test_requests_are_told_by_route_method_and_status_and_by_nothing_else(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as there:
        for method, path in (
            ("GET", "/runs?page=1"),
            ("GET", "/runs?page=2"),
            ("GET", "/runs/7b0e0a52-0000-4000-8000-000000000000"),
            ("GET", "/runs/none"),
            ("GET", "/nothing/at/all"),
            ("GET", "/static/style.css"),
            ("PROPFIND", "/"),
            ("PURGE", "/another"),
        ):
            async with there.http.request(method, f"{there.url}{path}"):
                pass
        broken = await there.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n")
        assert (await broken.rest()).startswith(b"HTTP/1.0 400")
        await broken.close()
        figures = await there.figures()
    counted = {key[1:]: value for key, value in figures.items() if key[0] == "promise_pub_http_requests_total"}
    assert counted == {
        ("GET", "/runs", "200"): 2,
        ("GET", "/runs/{id}", "404"): 2,
        ("GET", "other", "404"): 1,
        ("GET", "/static", "200"): 1,
        ("other", "other", "405"): 1,
        ("other", "other", "404"): 1,
        ("other", "other", "400"): 1,
    }
    seconds = "promise_pub_http_request_duration_seconds"
    assert figures[f"{seconds}_count", "GET", "/runs"] == 2
    assert figures[f"{seconds}_bucket", "+Inf", "GET", "/runs"] == 2


async def test_both_of_prometheus_formats_are_spoken_and_head_is_answered(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        url = there.url / "metrics"
        async with there.http.get(url) as answer:
            assert answer.content_type == "text/plain"
            names = {one.name for one in text_string_to_metric_families(await answer.text())}
        assert {"process_cpu_seconds", "python_info", "promise_pub_event_loop_lag_seconds"} <= names
        wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with there.http.get(url, headers=wanted) as answer:
            assert answer.content_type == "application/openmetrics-text"
            assert len([*open_metrics(await answer.text())]) >= len(names) - 5
        async with there.http.head(url) as answer:
            assert answer.status == 200
        async with there.http.get(url, params={"name[]": "promise_pub_runs_waiting"}) as answer:
            assert list(figures_of(await answer.text())) == [("promise_pub_runs_waiting",)]


async def test_each_application_has_figures_of_its_own(tmp_path: Path) -> None:
    async with site(tmp_path / "a") as one, site(tmp_path / "b") as other:
        assert await send(one) == 200
        assert (await other.figures())["promise_pub_rows_total", "read"] == 0


async def test_services_are_asked_now_and_then_however_often_the_figures_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"broker": 0, "database": 0, "consumer": 0}

    def probe(name: str, error: Exception | None = None) -> Any:
        async def ask() -> None:
            asked[name] += 1
            if error:
                raise error

        return ask

    probes = {name: probe(name) for name in asked} | {"broker": probe("broker", OSError())}
    probes["broker"] = probe("broker", BrokerUnreachable())
    monkeypatch.setattr(service_checks, "FRESH", 3600.0)
    async with site(tmp_path, probes=probes) as there:
        for _ in range(5):
            figures = await there.figures()
        assert asked == dict.fromkeys(asked, 1)
        up = {name: figures["promise_pub_service_up", name] for name in asked}
        assert up == {"broker": 0, "database": 1, "consumer": 1}
        at = figures["promise_pub_service_checked_timestamp_seconds", "consumer"]
        assert 1.7e9 < at
        monkeypatch.setattr(service_checks, "FRESH", 0.0)
        later = await there.figures()
        assert asked == dict.fromkeys(asked, 2)
        assert later["promise_pub_service_checked_timestamp_seconds", "consumer"] > at


async def test_a_service_that_does_not_answer_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_checks, "MAX_WAIT", 0.01)
    monkeypatch.setattr(service_checks, "PROBE_TIMEOUT", 3600.0)
    asked = 0

    async def hang() -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    async with site(tmp_path, probes={"broker": hang}) as there:
        for _ in range(3):
            figures = await there.figures()
        assert asked == 1 and ("promise_pub_service_up", "broker") not in figures


async def test_a_service_that_does_not_answer_in_time_is_away_and_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_checks, "PROBE_TIMEOUT", 0.01)
    monkeypatch.setattr(service_checks, "FRESH", 0.0)
    answers = False

    async def probe() -> None:
        if not answers:
            await asyncio.Event().wait()

    checks = ServiceChecks({"consumer": probe})
    await checks.refresh()
    assert not checks.results["consumer"].up
    answers = True
    await checks.refresh()
    assert checks.results["consumer"].up
    await checks.close()


async def test_a_probe_that_fails_as_nobody_foresaw_counts_as_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def probe() -> None:
        raise ValueError("why")

    checks = ServiceChecks({"consumer": probe})
    await checks.refresh()
    assert not checks.results["consumer"].up and "failed unexpectedly" in caplog.text


async def test_a_loop_that_is_kept_busy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_metrics, "LAG_INTERVAL", 0.01)
    async with site(tmp_path) as there:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.02)
        until_then = loop.time() + 0.06
        while loop.time() < until_then:
            pass
        await asyncio.sleep(0.02)
        figures = await there.figures()
    bucket = "promise_pub_event_loop_lag_seconds_bucket"
    assert figures[bucket, "+Inf"] > figures[bucket, "0.02"]


def sample(at: float, published: int) -> Sample:
    return Sample(at, published, published, published, None, None, None, None)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        ([], 0.0),
        ([(1.0, 50)], 0.0),
        ([(0.0, 0), (0.5, 50)], 100.0),
        ([(0.0, 0), (5.0, 500), (5.5, 500), (6.0, 500)], 0.0),
        ([(0.0, 0), (1.0, 1000), (1.6, 1000), (2.0, 3000)], 2000.0),
        ([(1.0, 5), (1.0, 9)], 0.0),
    ],
)
def test_a_rate_is_of_the_last_second(samples: list[tuple[float, int]], rate: float) -> None:
    assert publish_rate([sample(*one) for one in samples]) == rate


async def test_a_run_without_a_second_of_samples_has_the_rate_it_has_so_far(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as there:
        assert (await there.figures())["promise_pub_publish_rows_per_second",] == 0.0
        async with there.house.consumer.holding("remove"):
            run_id = there.house.runs.admit()
            async with there.house.uploads.receive(run_id) as upload:
                await upload.write(ROWS)
                file = await upload.finish("data.csv")
                run = await there.house.runs.submit(run_id, file, Parameters(mode=Mode.BATCH))
            await until(lambda: run.counts().confirmed == 2 and len(run.timeline.samples) > 1)
            run.sample()
            assert (await there.figures())["promise_pub_publish_rows_per_second",] > 0.0
