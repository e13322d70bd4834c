"""Figures for Prometheus, at /metrics. Each application has its own; those of runs are looked up when they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from promise_pub import __version__
from promise_pub.delivery.queue.runs import Runs
from promise_pub.features.visits.recorder import Recorder
from promise_pub.http.connections import CONNECTIONS, Connections
from promise_pub.http.keys import Probe
from promise_pub.http.probing import Probing
from promise_pub.records import Sample, State, Verdict

CONFIRMS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
# Seconds: a page, an upload, a run that somebody waits for.
ANSWERS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
LAGS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
)  # seconds; about 20 ms are promised
LAG_EVERY = 0.5  # seconds between looks at how late the event loop is
RATE_OVER = 1.0  # seconds at least, of a run's work, that its rate is taken over

# What others call themselves or what they ask for makes no series: those would be without end.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_OTHER = "other"
_ENDINGS: Sequence[tuple[State, Verdict | None]] = [
    *((State.COMPLETED, verdict) for verdict in Verdict),
    *((state, None) for state in (State.FAILED, State.CANCELLED, State.INTERRUPTED)),
]

routes = web.RouteTableDef()


class Metrics:
    """Everything that is measured. Answers are counted as they are given, all else is looked up."""

    def __init__(
        self,
        runs: Runs,
        probes: Mapping[str, Probe],
        connections: Connections,
        recorder: Recorder | None = None,
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.probing = Probing(probes)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        looks: list[Collector] = [_RunFigures(runs), _ServerFigures(self.probing, connections)]
        if recorder:
            looks.append(_VisitFigures(recorder))
        self._seen = _Seen(looks)
        self.registry.register(self._seen)
        self._answers = Counter(
            "promise_pub_http_requests",
            "Requests that were answered, by method, route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "promise_pub_http_request_duration_seconds",
            "How long it took from a request's header to the end of its answer.",
            ["method", "route"],
            buckets=ANSWERS,
            registry=self.registry,
        )
        self._lag = Histogram(
            "promise_pub_event_loop_lag_seconds",
            "How late the event loop was for an appointment, twice a second.",
            buckets=LAGS,
            registry=self.registry,
        )
        Gauge("promise_pub_build_info", "1, for this version.", ["version"], registry=self.registry).labels(
            __version__
        ).set(1)

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """A request was answered so. `route` is a template, where one was found."""
        method, route = method if method in _METHODS else _OTHER, route or _OTHER
        self._answers.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def written(self, accept: str, names: Sequence[str]) -> tuple[bytes, str]:
        """The figures, or those of these names, in the format that is asked for, and what it is called.

        Written in a thread: it takes some 10 ms, most of them for the process's open files. What changes in the
        event loop is looked up before.
        """
        await self.probing.refresh()
        self._seen.look()
        encode, content_type = choose_encoder(accept)
        chosen = self.registry.restricted_registry(names) if names else self.registry
        return await asyncio.to_thread(encode, chosen), content_type

    async def measuring(self, _: web.Application) -> AsyncIterator[None]:
        """Keeps appointments with the event loop, as long as the application lives."""
        task = asyncio.create_task(self._measure_lag())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await self.probing.close()

    async def _measure_lag(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self._lag.observe(max(0.0, clock() - due))


METRICS = web.AppKey("metrics", Metrics)


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """The figures as text, Prometheus' own or OpenMetrics, as is asked for."""
    accept = ",".join(request.headers.getall("Accept", []))
    names = request.query.getall("name[]", [])
    text, content_type = await request.app[METRICS].written(accept, names)
    return web.Response(body=text, headers={"Content-Type": content_type})


class _Seen(Collector):
    """What others saw when they looked last: to be told from another thread."""

    def __init__(self, looks: Iterable[Collector]) -> None:
        self._looks = looks
        self.look()

    def look(self) -> None:
        self._metrics = [metric for one in self._looks for metric in one.collect()]

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _RunFigures(Collector):
    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def collect(self) -> Iterable[Metric]:
        tally, current = self._runs.tally, self._runs.current
        ended = CounterMetricFamily(
            "promise_pub_runs_ended",
            "Runs that ended, by state and verdict.",
            labels=["state", "verdict"],
        )
        for state, verdict in _ENDINGS:
            ended.add_metric([state.value, verdict.value if verdict else "none"], tally.ended[state, verdict])
        rows = CounterMetricFamily(
            "promise_pub_rows",
            "Rows by fate: what became of them in the file, at the broker, and, as it tells, at the consumer.",
            labels=["fate"],
        )
        for fate, count in tally.rows().items():
            rows.add_metric([fate], count)
        samples = current.samples if current else ()
        yield from (
            ended,
            rows,
            self._latency(),
            _gauge("runs_waiting", "Runs that wait for their turn.", self._runs.waiting),
            _gauge("runs_going", "1 while a run goes.", current is not None),
            _gauge(
                "run_blocked",
                "1 while the broker does not read what the run publishes.",
                current is not None and current.blocked,
            ),
            _gauge("publish_rows_per_second", "Rows the run publishes now.", rate_of(samples)),
        )

    def _latency(self) -> Metric:
        """The sum is exact; some confirms that took up to 2 % longer than a bound count below it."""
        latency = self._runs.tally.latency()
        counts = latency.up_to([bound * 1000 for bound in CONFIRMS])
        buckets = [(str(bound), float(count)) for bound, count in zip(CONFIRMS, counts, strict=True)]
        return HistogramMetricFamily(
            "promise_pub_confirm_latency_seconds",
            "From writing a row to its publisher confirm.",
            buckets=[*buckets, ("+Inf", float(latency.count))],
            sum_value=latency.sum / 1000,
        )


def rate_of(samples: Sequence[Sample]) -> float:
    """Rows published a second, over the last second of a run's work or what its samples tell nearest to that."""
    if len(samples) < 2:
        return 0.0
    last = samples[-1]
    first = next((one for one in samples[-2::-1] if last.at - one.at >= RATE_OVER), samples[0])
    return (last.published - first.published) / (last.at - first.at) if last.at > first.at else 0.0


class _ServerFigures(Collector):
    def __init__(self, probing: Probing, connections: Connections) -> None:
        self._probing = probing
        self._connections = connections

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "promise_pub_service_up",
            "Whether broker, database, consumer and the folder of uploads were there when last asked.",
            labels=["service"],
        )
        checked = GaugeMetricFamily(
            "promise_pub_service_checked_timestamp_seconds",
            "When that was, in seconds since 1970.",
            labels=["service"],
        )
        for name, look in self._probing.seen.items():
            up.add_metric([name], look.up)
            checked.add_metric([name], look.at)
        closed = CounterMetricFamily(
            "promise_pub_http_connections_closed",
            "Connections that were closed because they only took up room, by reason.",
            labels=["reason"],
        )
        for reason, count in self._connections.closed.items():
            closed.add_metric([reason], count)
        yield from (up, checked, closed)
        yield _gauge("http_connections", "Connections there are.", len(self._connections))


class _VisitFigures(Collector):
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def collect(self) -> Iterable[Metric]:
        recorded = self._recorder.recorded
        hits = CounterMetricFamily(
            "promise_pub_page_hits",
            "Pages that were shown and noted, by what became of the note.",
            labels=["fate"],
        )
        hits.add_metric(["written"], recorded.written)
        hits.add_metric(["lost"], recorded.lost)
        yield hits
        yield _gauge("page_hits_waiting", "Notes that wait for the database.", recorded.waiting)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"promise_pub_{name}", text, value=value)


def set_up(
    app: web.Application,
    runs: Runs,
    probes: Mapping[str, Probe],
    recorder: Recorder | None = None,
) -> None:
    """Has the application measure; its connections are there already."""
    app[METRICS] = measured = Metrics(runs, probes, app[CONNECTIONS], recorder)
    app.cleanup_ctx.append(measured.measuring)
