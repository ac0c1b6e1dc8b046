"""/metrics: what is counted while requests are answered, and how it becomes Prometheus text.

Counting must cost next to nothing: plain numbers and lists, touched by the event loop's thread alone. They
become metric families only when somebody asks, in a collector of our own; gauges are asked from whoever
knows at that moment.
"""

from __future__ import annotations

import platform
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from inference_server.lifecycle import ServerState, WorkerState
from inference_server.messages import HealthReport
from inference_server.telemetry import names
from inference_server.telemetry.access import Entry
from inference_server.telemetry.names import DURATION_BOUNDS

SCORE_ROUTE = "/score"
NOTED = 1024  # durations that are noted before they are counted
ROUTE_LIMIT = 100  # a label value is for ever: whoever names more routes than this counts as "other"


class Durations:
    """How often something took how long: one count per bound of DURATION_BOUNDS, one above them, and the sum.

    What is noted is counted later, many at a time: to sort a thousand and cut them at the bounds costs less
    than to find the place of each.
    """

    __slots__ = ("counts", "note", "noted", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(DURATION_BOUNDS) + 1)
        self.total = 0.0
        self.noted: list[float] = []
        self.note = self.noted.append  # one duration in seconds

    def count(self) -> None:
        """Count what was noted since the last time."""
        noted = self.noted
        noted.sort()
        before = 0
        for place, bound in enumerate(DURATION_BOUNDS):
            at = bisect_right(noted, bound)
            self.counts[place] += at - before
            before = at
        self.counts[-1] += len(noted) - before
        self.total += sum(noted)
        noted.clear()

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound."""
        self.count()
        cumulated, sum_ = [], 0
        for bound, count in zip((*map(str, DURATION_BOUNDS), "+Inf"), self.counts, strict=True):
            sum_ += count
            cumulated.append((bound, float(sum_)))
        return cumulated


class RouteMetrics:
    """The requests of one route that does not score; made by `Metrics.route`."""

    __slots__ = ("deployment", "latency", "received", "route", "sent", "statuses")

    def __init__(self, route: str, deployment: str = "") -> None:
        self.route = route
        self.deployment = deployment
        self.statuses: dict[int, int] = {}
        self.latency = Durations()
        self.received = 0
        self.sent = 0

    def answered(self, status: int, latency_s: float, bytes_in: int = 0, bytes_out: int = 0) -> None:
        """One answer; `latency_s` in seconds from the request's arrival."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.latency.note(latency_s)
        if len(self.latency.noted) >= NOTED:
            self.latency.count()
        self.received += bytes_in
        self.sent += bytes_out


class DeploymentMetrics:
    """The scoring requests and workers of one deployment; made by `Metrics.deployment`."""

    __slots__ = ("health", "in_flight", "name", "queue", "restarts", "route", "run", "timeouts")

    def __init__(self, name: str, in_flight: Callable[[], int], health: Callable[[], HealthReport]) -> None:
        self.name = name
        self.in_flight = in_flight
        self.health = health
        self.route = RouteMetrics(SCORE_ROUTE, name)
        self.queue = Durations()
        self.run = Durations()
        self.timeouts = 0
        self.restarts = dict.fromkeys(names.RESTART_REASONS, 0)

    def count(self, entries: Iterable[Entry]) -> None:
        """Those of `entries` that are of the scoring route."""
        route = self.route
        statuses = route.statuses
        latency, queue, run = route.latency, self.queue, self.run
        for _, status, _, _, _, seconds, bytes_out, request, answer in entries:
            if answer is None:
                continue
            statuses[status] = statuses.get(status, 0) + 1
            latency.note(seconds)
            route.sent += bytes_out
            if request is not None:
                route.received += request.body_bytes
                if request.sent:
                    queue.note(request.sent - request.arrived)
            if answer.exec_ms is not None:
                run.note(answer.exec_ms * 0.001)
        if len(latency.noted) >= NOTED:
            for durations in (latency, queue, run):
                durations.count()

    def timed_out(self) -> None:
        """A run() call passed the scoring timeout."""
        self.timeouts += 1

    def restarted(self, reason: str) -> None:
        """A worker was replaced; `reason` is one of few words, as in `names.RESTART_REASONS`."""
        self.restarts[reason] = self.restarts.get(reason, 0) + 1


class Metrics(Collector):
    """All metrics of this process, in a registry of its own.

    `dropped_lines` gives, by stream, how many log lines were dropped.
    """

    def __init__(self, version: str, dropped_lines: Callable[[], Mapping[str, int]] = dict) -> None:
        self._version = version
        self._dropped_lines = dropped_lines
        self._routes: dict[str, RouteMetrics] = {}
        self._deployments: dict[str, DeploymentMetrics] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def route(self, route: str) -> RouteMetrics:
        """The counters of a route that does not score, to be kept by whoever answers it.

        Routes are labels, so only a fixed set may be named: all unknown paths together are "other".
        """
        known = self._routes.get(route)
        if known is None:
            if len(self._routes) >= ROUTE_LIMIT:
                route = "other"
            known = self._routes.setdefault(route, RouteMetrics(route))
        return known

    def deployment(
        self, name: str, in_flight: Callable[[], int], health: Callable[[], HealthReport]
    ) -> DeploymentMetrics:
        """The counters of a deployment; the two callables are asked whenever /metrics is read."""
        made = self._deployments[name] = DeploymentMetrics(name, in_flight, health)
        return made

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The body of /metrics and its content type; OpenMetrics for a client whose Accept asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Family]:
        """Called by the client library, once per reading."""
        deployments = self._deployments.values()
        yield from _requests([*self._routes.values(), *(deployment.route for deployment in deployments)])
        yield from _scoring(deployments)
        yield from _gauges(deployments)
        dropped = _counter(names.DROPPED_LINES)
        for stream, count in self._dropped_lines().items():
            dropped.add_metric([stream], count)
        yield dropped
        build = _gauge(names.BUILD)
        build.add_metric([platform.python_version(), self._version], 1)
        yield build


def _requests(routes: Iterable[RouteMetrics]) -> Iterator[Family]:
    requests, latency = _counter(names.REQUESTS), _histogram(names.LATENCY)
    received, sent = _counter(names.RECEIVED), _counter(names.SENT)
    for route in routes:
        labels = [route.deployment, route.route]
        for status, count in sorted(route.statuses.items()):
            requests.add_metric([*labels, str(status)], count)
        latency.add_metric(labels, route.latency.buckets(), route.latency.total)
        received.add_metric(labels, route.received)
        sent.add_metric(labels, route.sent)
    yield from (requests, latency, received, sent)


def _scoring(deployments: Iterable[DeploymentMetrics]) -> Iterator[Family]:
    queue, run = _histogram(names.QUEUE), _histogram(names.RUN)
    timeouts, restarts = _counter(names.TIMEOUTS), _counter(names.RESTARTS)
    for deployment in deployments:
        queue.add_metric([deployment.name], deployment.queue.buckets(), deployment.queue.total)
        run.add_metric([deployment.name], deployment.run.buckets(), deployment.run.total)
        timeouts.add_metric([deployment.name], deployment.timeouts)
        for reason, count in deployment.restarts.items():
            restarts.add_metric([deployment.name, reason], count)
    yield from (queue, run, timeouts, restarts)


def _gauges(deployments: Iterable[DeploymentMetrics]) -> Iterator[Family]:
    in_flight, queued = _gauge(names.IN_FLIGHT), _gauge(names.QUEUED)
    ready, workers = _gauge(names.READY), _gauge(names.WORKERS)
    for deployment in deployments:
        report = deployment.health()
        in_flight.add_metric([deployment.name], deployment.in_flight())
        queued.add_metric([deployment.name], report.queued)
        ready.add_metric([deployment.name], report.state is ServerState.READY)
        states = [worker.state for worker in report.workers]
        for state in WorkerState:
            workers.add_metric([deployment.name, state.value], states.count(state))
    yield from (in_flight, queued, ready, workers)


def _counter(metric: names.Metric) -> CounterMetricFamily:
    return CounterMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)


def _gauge(metric: names.Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)


def _histogram(metric: names.Metric) -> HistogramMetricFamily:
    return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
