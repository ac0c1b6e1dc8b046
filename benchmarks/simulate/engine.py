"""A server under a fake clock: the batching code that serves, with workers that take what a table says."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.simulate.tables import Table
from inference_server.batching.admission import Admission, Limits, Load
from inference_server.batching.hold import Hold
from inference_server.batching.queue import Queue
from inference_server.batching.rows import Rows
from inference_server.batching.timing import BatchTime
from inference_server.messages import DONE, SENT, Answer, Head, ScoringRequest

HEAD = cast(Head, SimpleNamespace())
BODY_BYTES = 600


@dataclass(frozen=True)
class Plan:
    """What is simulated."""

    table: Table
    max_rows: int
    workers: int = 1
    delay: float = 0.0  # max_queue_delay, in seconds
    learned: bool = False  # the delay is learned
    timeout: float = 0.0  # seconds a request may take; 0: for ever
    limits: Limits | None = None  # None: nobody is refused
    noise: float = 0.0  # by how much batches differ from the table (standard deviation, relative)
    patience: float = 0.0  # mean seconds after which a client that leaves has left; 0: all stay
    leavers: float = 0.0  # share of clients that leave
    cancels: bool = True  # requests whose callers have left are not run
    seed: int = 1


@dataclass
class Outcome:
    """What came of it. Times in seconds."""

    latencies: list[float] = field(default_factory=list)  # of those answered in time, in order of answers
    late: int = 0  # let in, and out of time before their answer
    refused: int = 0
    left: int = 0
    ran_for_nobody: int = 0
    batches: int = 0
    ends: float = 0.0
    wait_error: float = 0.0  # of the predicted waits, relative, at p90
    delay: float = 0.0  # the learned one at the end
    waiting: int = 0  # in the queue at the end

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.latencies) / self.ends


class Place:
    """One worker: what it runs, and what was sent ahead."""

    def __init__(self) -> None:
        self.running: list[ScoringRequest] = []
        self.began = 0.0
        self.ahead: list[ScoringRequest] = []


class Simulation:
    """Made for one run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = 0.0
        self.outcome = Outcome()
        self.queue = Queue(0, 0)
        self.rows = Rows()
        self.timing = BatchTime()
        self.hold = (
            Hold(plan.delay, plan.max_rows, self.timing.predict) if plan.delay or plan.learned else None
        )
        self.admission = Admission(
            plan.limits or Limits(), plan.max_rows, self.timing.predict, lambda: self.timing.seen > 0
        )
        self.places = [Place() for _ in range(plan.workers)]
        self._chance = random.Random(plan.seed)
        self._events: list[tuple[float, int, Callable[..., None], Any]] = []
        self._count = 0
        self._timer = float("inf")
        self._in_flight = 0

    def run(self, arrivals: Sequence[float]) -> Outcome:
        """All requests, until the last is answered."""
        for at in arrivals:
            self._at(at, self._arrive, None)
        while self._events:
            self.now, _, call, argument = heapq.heappop(self._events)
            call(argument)
        outcome = self.outcome
        outcome.ends = self.now
        outcome.wait_error = self.admission.accuracy.error()
        outcome.delay = self.hold.delay if self.hold is not None else 0.0
        outcome.waiting = len(self.queue)
        return outcome

    def _at(self, at: float, call: Callable[..., None], argument: object) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, call, argument))

    # ------------------------------------------------------------ the front

    def _arrive(self, _: None) -> None:
        plan = self.plan
        request = ScoringRequest(HEAD, [], BODY_BYTES, self.now, self._answered)
        if plan.timeout:
            request.deadline = self.now + plan.timeout
        if plan.limits is not None and not self._admitted(request):
            self.outcome.refused += 1
            return
        self.queue.admit(request)
        self._in_flight += 1
        if request.deadline:
            self._at(request.deadline, self._expire, request)
        if self.hold is not None:
            self.hold.arrived(self.now)
        if plan.leavers and self._chance.random() < plan.leavers:
            self._at(self.now + self._chance.expovariate(1 / plan.patience), self._leave, request)
        self._dispatch(None)

    def _admitted(self, request: ScoringRequest) -> bool:
        load = self.load()
        if self.admission.refuse(self.now, request.deadline, 1, load):
            return False
        self.admission.accuracy.expect(request, self.admission.forecast(1, load))
        return True

    def load(self) -> Load:
        """What the pool would tell."""
        ahead = sum(len(place.ahead) for place in self.places)
        waiting = self.rows.of_many(len(self.queue), self.queue.bytes) + ahead
        return Load(self._in_flight, waiting, [self._busy(place) for place in self.places])

    def _busy(self, place: Place) -> float:
        if not place.running:
            return 0.0
        return max(0.0, place.began + self.timing.predict(len(place.running)) - self.now)

    def _leave(self, request: ScoringRequest) -> None:
        state = request.state
        if state == DONE:
            return
        self.outcome.left += 1
        self._in_flight -= 1
        if self.plan.cancels:
            request.state = DONE
            if state != SENT:
                self.queue.left(request)
        else:
            request.lost = 1  # here: nobody waits for it

    def _expire(self, request: ScoringRequest) -> None:
        state = request.state
        if state == DONE:
            return
        self.outcome.late += 1
        self._in_flight -= 1
        request.state = DONE
        if state != SENT:
            self.queue.left(request)
            self.admission.accuracy.missed(request, self.now - request.arrived)

    def _dispatch(self, _: None) -> None:
        """Idle workers first, a fair share each; then a batch ahead for the others, who is free first before."""
        queue, most = self.queue, self.plan.max_rows
        held = self._holds()
        for ahead in (False, True):
            places = [place for place in self.places if bool(place.running) == ahead]
            if held:
                places = [place for place in places if place.ahead]
            while places and len(queue):
                place = min(places, key=lambda place: (len(place.ahead) >= most, self._busy(place)))
                rows = self.rows.of_many(len(queue), queue.bytes)
                room = most - len(place.ahead) if ahead else min(most, -(-rows // len(places)))
                place.ahead += (sent := queue.take_rows(room, 1 << 30, self.rows.of, force=not ahead))
                for request in sent:
                    request.state = SENT
                if not place.running:
                    self._start(place)
                places.remove(place)

    def _holds(self) -> bool:
        queue = self.queue
        if self.hold is None or not len(queue):
            return False
        until = self.hold.until(
            queue, self.rows.of_many(len(queue), queue.bytes), self.now, 1.0, self.plan.workers
        )
        if until:
            self._ring(until)
        return until > 0

    def _ring(self, at: float) -> None:
        if self._timer <= self.now or at < self._timer:
            self._timer = at
            self._at(at, self._dispatch, None)

    def _answered(self, answer: Answer) -> None:
        """Answers are counted where the batch ends."""

    # ------------------------------------------------------------ a worker

    def _start(self, place: Place) -> None:
        """Take everything that has come, at the latest moment."""
        batch = []
        for request in place.ahead:
            if request.state != DONE:
                batch.append(request)
            else:
                self.admission.accuracy.missed(request, self.now - request.arrived)
        place.ahead = []
        if not batch:
            return
        place.running = batch
        place.began = self.now
        takes = self.plan.table.seconds(len(batch))
        if self.plan.noise:
            takes *= max(0.2, self._chance.gauss(1, self.plan.noise))
        self._at(self.now + takes, self._end, place)

    def _end(self, place: Place) -> None:
        batch, place.running = place.running, []
        outcome = self.outcome
        outcome.batches += 1
        self.timing.observe(len(batch), self.now - place.began)
        self.rows.observe(len(batch), len(batch), sum(request.body_bytes for request in batch))
        for request in batch:
            if request.state == DONE or request.lost:
                outcome.ran_for_nobody += 1
            else:
                outcome.latencies.append(self.now - request.arrived)
                self._in_flight -= 1
            self.admission.accuracy.answered(
                request, place.began - request.arrived, self.now - request.arrived
            )
            request.state = DONE
        self._start(place)
        self._dispatch(None)
