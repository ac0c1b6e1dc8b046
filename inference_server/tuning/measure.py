"""One configuration after the other: start a server, let it settle, load it, read it off."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from inference_server.load.bodies import Body
from inference_server.load.figures import plural
from inference_server.load.requests import InTurn
from inference_server.load.target import target
from inference_server.tuning import search
from inference_server.tuning.facts import Budget, Configuration, Point
from inference_server.tuning.load import BadAnswer, Load, LoadFailed
from inference_server.tuning.running import Batching, Server

ANSWERS = 50  # at least, for a p99 to mean something; a slow script gets more time for them
STRETCH = 5  # times the usual time, at most, to get them
WARM_UP = 0.25  # of the usual time, before it is measured
SETTLE_SECONDS = 20.0  # for rows to be proven and batches to grow
STILL_SECONDS = 1.5  # without a larger batch being allowed, until that is taken for the largest
GROWTH = 1.1  # times as many rows in a call as before
STEP_SECONDS = 0.25
FIRST_START_SECONDS = 600.0
SLOWER_START = 5.0  # times the first start, and some seconds, for a later one
EXTRA_START_SECONDS = 15.0


class Stopped(Exception):
    """It makes no sense to go on: what went wrong, and the end of the server's log where it may say why."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


class Progress(Protocol):
    """Who shows what goes on."""

    def doing(self, text: str) -> None: ...

    def measured(self, point: Point) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What stays the same for all configurations."""

    arguments: Sequence[str]  # of the server
    environment: Mapping[str, str]
    bodies: Sequence[Body]
    budget: Budget
    seconds: float  # of one measurement
    until: float  # monotonic seconds; no measurement begins later, but the first
    folder: str  # for logs


class Bench:
    """Measures configurations. Raises Stopped and StartFailed."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self.batching: dict[int, Batching] = {}  # how the script was batched, by batch size
        self.limited = False  # the client was at its end at least once
        self.points: list[Point] = []  # all that was measured, in that order
        self._plan = plan
        self._progress = progress
        self._alike = len({body.content for body in plan.bodies}) == 1
        self._first_start = 0.0
        self._begun = False

    @property
    def out_of_time(self) -> bool:
        return self._begun and time.monotonic() > self._plan.until

    def measure(self, configuration: Configuration) -> search.Result:
        """Start a server and load it with one number of callers after the other."""
        plan = self._plan
        words = ["--worker_count", str(configuration.workers), "--max_batch_size", str(configuration.batch)]
        server = Server([*plan.arguments, *words], plan.environment, os.path.join(plan.folder, "server.log"))
        try:
            self._wait_ready(server, configuration)
            if not self._begun:
                self._check_bodies(server)
            merges = configuration.batch == 1 or self._settle(server, configuration)
            if not merges:
                return search.Result((), merges=False)
            return search.Result(self._ladder(server, configuration))
        except BadAnswer as error:
            name = plan.bodies[error.place].name
            raise Stopped(
                f"{name} was answered with {error.status} ({configuration}): {error.text.strip()}",
                server.tail(),
            ) from None
        except LoadFailed as error:
            raise Stopped(f"{error} ({configuration})", server.tail()) from None
        finally:
            server.stop()

    def _wait_ready(self, server: Server, configuration: Configuration) -> None:
        began = time.monotonic()
        limit = FIRST_START_SECONDS
        if self._first_start:
            limit = self._first_start * max(SLOWER_START, configuration.workers) + EXTRA_START_SECONDS
        server.wait_ready(
            configuration.workers, limit, lambda: self._progress.doing(f"{configuration}: starts")
        )
        self._first_start = self._first_start or time.monotonic() - began

    def _check_bodies(self, server: Server) -> None:
        """Send each body once."""
        count = len(self._plan.bodies)
        self._progress.doing(f"each of {plural(count, 'request')} once")
        with self._load(server, 1) as load:
            load.run(0, answers=count, longest=FIRST_START_SECONDS)

    def _settle(self, server: Server, configuration: Configuration) -> bool:
        """Load it until batches are as large as they get; False when requests are not merged at all."""
        until = time.monotonic() + SETTLE_SECONDS
        largest, since, before = 0.0, time.monotonic(), server.calls()
        callers = min(search.MOST_CALLERS, 2 * configuration.batch * configuration.workers)
        with self._load(server, callers) as load:
            while True:
                batching = self.batching[configuration.batch] = server.batching()
                if not batching.merges:
                    return False
                proven = batching.state == "on"
                if proven and batching.rows >= configuration.batch:
                    return True
                calls = server.calls()
                # equal requests share calls while nothing is known about different ones
                rows = batching.rows if proven else calls.mean_since(before) if self._alike else 0
                now, before = time.monotonic(), calls
                if rows > largest * GROWTH:
                    largest, since = rows, now
                if rows > 1 and now - since > STILL_SECONDS:
                    return True
                if now > until:
                    late = f"not all was compared within {SETTLE_SECONDS:.0f} s; batches may grow later"
                    self._progress.note(f"{configuration}: {late}")
                    return True
                self._progress.doing(f"{configuration}: answers are compared, alone and together")
                load.run(STEP_SECONDS)

    def _ladder(self, server: Server, configuration: Configuration) -> list[Point]:
        points: list[Point] = []
        steps = search.callers(configuration, self._plan.budget)
        callers = next(steps)
        while not self.out_of_time:
            points.append(self._point(server, configuration, callers))
            self.points.append(points[-1])
            self._begun = True
            self._progress.measured(points[-1])
            try:
                callers = steps.send(points[-1])
            except StopIteration:
                break
        return points

    def _point(self, server: Server, configuration: Configuration, callers: int) -> Point:
        self._progress.doing(f"{configuration}: {plural(callers, 'caller')}")
        seconds = self._plan.seconds
        with self._load(server, callers) as load:
            load.run(seconds * WARM_UP, answers=callers, longest=seconds * STRETCH)
            before = server.calls() if configuration.batch > 1 else None
            heard = load.run(seconds, answers=ANSWERS, longest=seconds * STRETCH)
            rows = server.calls().mean_since(before) if before else 0.0
        if not heard.latency.count:
            raise LoadFailed(f"no answer within {heard.seconds:.0f} s")
        self.limited = self.limited or heard.limited
        memory, worker = server.memory()
        p50, p99 = heard.latency.percentiles((0.50, 0.99))
        return Point(configuration, callers, heard.rate, p50 * 1000, p99 * 1000, memory, worker, rows)

    def _load(self, server: Server, callers: int) -> Load:
        where = target(f"http://127.0.0.1:{server.port}/score")
        return Load(where, InTurn(where, self._plan.bodies), callers)
