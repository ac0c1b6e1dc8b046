"""/metrics: what is counted while requests are answered, and how it becomes Prometheus text.

Counting must cost next to nothing: plain numbers and lists, touched by the event loop's thread alone. They
become metric families only when somebody asks, in a collector of our own; gauges are asked from whoever
knows at that moment.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from inference_server.lifecycle import ServerState, WorkerState
from inference_server.messages import HealthReport
from inference_server.telemetry import names
from inference_server.telemetry.access import Entry
from inference_server.telemetry.durations import NOTED, Durations
from inference_server.telemetry.phases import PhaseMetrics, Row, rows
from inference_server.telemetry.recent import Recent

SCORE_ROUTE = "/score"
ROUTE_LIMIT = 100  # a label value is for ever: whoever names more routes than this counts as "other"


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


class BatchMetrics:
    """The run() calls of workers that batch. Nothing is shown of a deployment that has none."""

    __slots__ = ("reasons", "requests", "rerun", "rows", "seconds")

    def __init__(self) -> None:
        self.reasons = dict.fromkeys(names.BATCH_REASONS, 0)
        self.rows = Durations(names.COUNT_BOUNDS)
        self.requests = Durations(names.COUNT_BOUNDS)
        self.seconds = Durations()
        self.rerun = 0

    def ran(self, requests: int, rows: int, seconds: float, reason: int) -> None:
        """One run() call; `rows` is 0 where they are not known."""
        self.reasons[reason] += 1
        self.requests.note(requests)
        if rows:
            self.rows.note(rows)
        self.seconds.note(seconds)
        if len(self.seconds.noted) >= NOTED:
            for numbers in (self.rows, self.requests, self.seconds):
                numbers.count()

    def again(self, count: int) -> None:
        """So many requests are run once more, each alone."""
        self.rerun += count


class DeploymentMetrics:
    """The scoring requests and workers of one deployment; made by `Metrics.deployment`."""

    __slots__ = (
        "_noted",
        "batches",
        "health",
        "in_flight",
        "name",
        "phases",
        "recent",
        "refusals",
        "restarts",
        "route",
        "timeouts",
        "wait_error",
    )

    def __init__(self, name: str, in_flight: Callable[[], int], health: Callable[[], HealthReport]) -> None:
        self.name = name
        self.in_flight = in_flight
        self.wait_error: Callable[[], float] = lambda: 0.0
        self.health = health
        self.route = RouteMetrics(SCORE_ROUTE, name)
        self.phases = PhaseMetrics()
        self.recent = Recent()
        self._noted: list[Row] = []
        self.timeouts = 0
        self.batches = BatchMetrics()
        self.refusals = dict.fromkeys(names.REFUSALS, 0)
        self.restarts = dict.fromkeys(names.RESTART_REASONS, 0)

    def count(self, entries: Sequence[Entry]) -> None:
        """Those of `entries` that are of the scoring route."""
        finished = rows(entries)
        self.recent.add(finished)
        self._noted += finished
        if len(finished) < len(entries):
            for _, status, _, _, _, seconds, bytes_out, request, answer, _ in entries:
                if request is None and answer is not None:
                    self.route.answered(status, seconds, 0, bytes_out)
        if len(self._noted) >= NOTED:
            self.settle()

    def settle(self) -> None:
        """Count what was noted since the last time."""
        noted, self._noted = self._noted, []
        if not noted:
            return
        self.phases.count(noted)
        route = self.route
        statuses, seconds, *_, sent, received, _, _ = zip(*noted, strict=True)
        for status, count in Counter(statuses).items():
            route.statuses[status] = route.statuses.get(status, 0) + count
        route.latency.add(seconds)
        route.sent += sum(sent)
        route.received += sum(received)

    def timed_out(self) -> None:
        """A run() call passed the scoring timeout."""
        self.timeouts += 1

    def refused(self, reason: str) -> None:
        """A request was refused with 429; `reason` as in `names.REFUSALS`."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

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
        self.recorded: Callable[[], Mapping[str, int]] = dict  # by outcome, while requests are recorded
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
        for deployment in deployments:
            deployment.settle()
        yield from _requests([*self._routes.values(), *(deployment.route for deployment in deployments)])
        yield from _scoring(deployments)
        yield from _batches(deployments)
        yield from _gauges(deployments)
        dropped = _counter(names.DROPPED_LINES)
        for stream, count in self._dropped_lines().items():
            dropped.add_metric([stream], count)
        yield dropped
        recorded = _counter(names.RECORDED)
        for outcome, count in self.recorded().items():
            recorded.add_metric([outcome], count)
        yield recorded
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
    queue, run, phase = map(_histogram, (names.QUEUE, names.RUN, names.PHASE))
    timeouts, restarts, refused = map(_counter, (names.TIMEOUTS, names.RESTARTS, names.REFUSED))
    for deployment in deployments:
        phases = deployment.phases.durations
        for name, buckets, total in deployment.phases.histograms():
            phase.add_metric([deployment.name, name], buckets, total)
        queue.add_metric([deployment.name], phases["queue"].buckets(), phases["queue"].total)
        run.add_metric([deployment.name], phases["run"].buckets(), phases["run"].total)
        timeouts.add_metric([deployment.name], deployment.timeouts)
        for reason, count in deployment.restarts.items():
            restarts.add_metric([deployment.name, reason], count)
        for reason, count in deployment.refusals.items():
            refused.add_metric([deployment.name, reason], count)
    yield from (queue, run, phase, timeouts, restarts, refused)


def _batches(deployments: Iterable[DeploymentMetrics]) -> Iterator[Family]:
    reasons, rerun, state = _counter(names.BATCHES), _counter(names.RERUN), _gauge(names.BATCHING)
    rows, requests, seconds = map(_histogram, (names.BATCH_ROWS, names.BATCH_REQUESTS, names.BATCH_SECONDS))
    for deployment in deployments:
        batching = deployment.health().batching
        if batching is None:
            continue
        batches = deployment.batches
        for reason, word in names.BATCH_REASONS.items():
            reasons.add_metric([deployment.name, word], batches.reasons[reason])
        for family, counted in (
            (rows, batches.rows),
            (requests, batches.requests),
            (seconds, batches.seconds),
        ):
            family.add_metric([deployment.name], counted.buckets(), counted.total)
        rerun.add_metric([deployment.name], batches.rerun)
        for word in names.BATCHING_STATES:
            state.add_metric([deployment.name, word], word == batching.state)
    yield from (reasons, rows, requests, seconds, rerun, state)


def _gauges(deployments: Iterable[DeploymentMetrics]) -> Iterator[Family]:
    in_flight, queued, error = map(_gauge, (names.IN_FLIGHT, names.QUEUED, names.WAIT_ERROR))
    ready, workers = _gauge(names.READY), _gauge(names.WORKERS)
    for deployment in deployments:
        report = deployment.health()
        in_flight.add_metric([deployment.name], deployment.in_flight())
        error.add_metric([deployment.name], deployment.wait_error())
        queued.add_metric([deployment.name], report.queued)
        ready.add_metric([deployment.name], report.state is ServerState.READY)
        states = [worker.state for worker in report.workers]
        for state in WorkerState:
            workers.add_metric([deployment.name, state.value], states.count(state))
    yield from (in_flight, queued, error, ready, workers)


def _counter(metric: names.Metric) -> CounterMetricFamily:
    return CounterMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)


def _gauge(metric: names.Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)


def _histogram(metric: names.Metric) -> HistogramMetricFamily:
    return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
