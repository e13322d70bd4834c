"""`/metrics`: figures for Prometheus. Each application has its own registry; what others measure is handed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from promise_pub import __version__
from promise_pub.concurrency import background
from promise_pub.http.intake.connections import Connections
from promise_pub.http.keys import Probe
from promise_pub.http.ops.service_checks import ServiceChecks

# Seconds: a page, an upload, a run that somebody waits for.
DURATION_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
# Seconds; the event loop should be late by no more than about 20 ms.
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
LAG_INTERVAL = 0.5  # seconds between measurements of how late the event loop is

# Methods and paths that clients make up would make series without end.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_OTHER = "other"

routes = web.RouteTableDef()


class Metrics:
    """The registry of one server: requests are counted as they are answered, collectors are asked at each scrape."""

    def __init__(
        self, probes: Mapping[str, Probe], connections: Connections, collectors: Sequence[Collector] = ()
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.service_checks = ServiceChecks(probes)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._snapshot = _Snapshot([*collectors, _ServerCollector(self.service_checks, connections)])
        self.registry.register(self._snapshot)
        self._requests = Counter(
            "promise_pub_http_requests",
            "Requests that were answered, by method, route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "promise_pub_http_request_duration_seconds",
            "Time from a request's header to the end of its response.",
            ["method", "route"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self._lag = Histogram(
            "promise_pub_event_loop_lag_seconds",
            "How late the event loop was for a timer, measured twice a second.",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )
        Gauge("promise_pub_build_info", "1, for this version.", ["version"], registry=self.registry).labels(
            __version__
        ).set(1)

    def count_request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Counts a response. `route` is the template of the path, None where none matched."""
        method, route = method if method in _METHODS else _OTHER, route or _OTHER
        self._requests.labels(method, route, str(status)).inc()
        self._durations.labels(method, route).observe(seconds)

    async def export(self, accept: str, names: Sequence[str]) -> tuple[bytes, str]:
        """Returns the metrics, or those of these names, in the format that `accept` asks for, and its content type.

        Encoding takes about 10 ms, most of it for the process's open files, and happens in a thread. What
        changes in the event loop is therefore collected before.
        """
        await self.service_checks.refresh()
        self._snapshot.take()
        encode, content_type = choose_encoder(accept)
        chosen = self.registry.restricted_registry(names) if names else self.registry
        return await asyncio.to_thread(encode, chosen), content_type

    async def measuring(self, _: web.Application) -> AsyncIterator[None]:
        """Measures the event loop's lag as long as the application runs; for its `cleanup_ctx`."""
        async with background(self._measure_lag()):
            yield
        await self.service_checks.close()

    async def _measure_lag(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + LAG_INTERVAL
            await asyncio.sleep(LAG_INTERVAL)
            self._lag.observe(max(0.0, clock() - due))


METRICS = web.AppKey("metrics", Metrics)


@routes.get("/metrics")
async def show_metrics(request: web.Request) -> web.Response:
    """The metrics as text, in Prometheus' format or OpenMetrics."""
    accept = ",".join(request.headers.getall("Accept", []))
    names = request.query.getall("name[]", [])
    text, content_type = await request.app[METRICS].export(accept, names)
    return web.Response(body=text, headers={"Content-Type": content_type})


class _Snapshot(Collector):
    """Metrics of other collectors at one moment, so that another thread can encode them."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = collectors
        self.take()

    def take(self) -> None:
        self._metrics = [metric for collector in self._collectors for metric in collector.collect()]

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _ServerCollector(Collector):
    """Services and connections."""

    def __init__(self, service_checks: ServiceChecks, connections: Connections) -> None:
        self._service_checks = service_checks
        self._connections = connections

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "promise_pub_service_up",
            "Whether broker, database, consumer and uploads folder were available when last checked.",
            labels=["service"],
        )
        checked = GaugeMetricFamily(
            "promise_pub_service_checked_timestamp_seconds",
            "When that was, in seconds since 1970.",
            labels=["service"],
        )
        for name, result in self._service_checks.results.items():
            up.add_metric([name], result.up)
            checked.add_metric([name], result.at)
        closed = CounterMetricFamily(
            "promise_pub_http_connections_closed",
            "Connections that the server closed to make room, by reason.",
            labels=["reason"],
        )
        for reason, count in self._connections.closed.items():
            closed.add_metric([reason], count)
        yield from (up, checked, closed, gauge("http_connections", "Open connections.", len(self._connections)))


def gauge(name: str, description: str, value: float) -> Metric:
    """Returns a gauge without labels; its name gets the prefix of all metrics here."""
    return GaugeMetricFamily(f"promise_pub_{name}", description, value=value)
