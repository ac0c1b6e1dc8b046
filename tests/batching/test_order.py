"""A front under a fake clock: requests come with and without deadlines, leave, run out of time; workers finish and die."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from inference_server.batching.deadlines import Deadlines
from inference_server.batching.queue import HORIZON_SECONDS, SLACK, Queue
from inference_server.batching.window import Window
from inference_server.messages import DONE, SENT, WAITING, ScoringRequest
from inference_server.scoring import wire
from tests.batching.making import make

MOST_REQUESTS, MOST_BYTES = 12, 200
MAX_ROWS, MAX_BYTES = 4, 60
RUN_SECONDS = 0.5  # of any batch


def rows_of(request: ScoringRequest) -> int:
    return 1 + request.body_bytes // 10


def due(request: ScoringRequest) -> float:
    return request.deadline or request.arrived + HORIZON_SECONDS


class Front(RuleBasedStateMachine):
    """Two workers. Time stops at each timer, as an event loop would have it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.queue = Queue(MOST_REQUESTS, MOST_BYTES)
        self.deadlines = Deadlines()
        self.held: list[list[ScoringRequest]] = [[], []]
        self.timer = float("inf")
        self.returned: set[ScoringRequest] = set()  # they were at a worker that died
        self.admitted: list[ScoringRequest] = []
        self.ended: dict[ScoringRequest, str] = {}

    @initialize(delay=st.sampled_from([0.0, 0.1, 1.0]))
    def set_window(self, delay: float) -> None:
        self.window = Window(delay, MAX_ROWS, lambda rows: RUN_SECONDS)

    # ------------------------------------------------------------ what happens

    @rule(size=st.integers(0, 50), timeout=st.sampled_from([0.0, 0.0, 0.3, 2.0, 20.0]))
    def arrive(self, size: int, timeout: float) -> None:
        request = make(size, self.now + timeout if timeout else 0.0, self.now)
        fits = self.queue.fits(size)
        assert self.queue.admit(request) == fits
        if fits:
            self.admitted.append(request)
            if timeout:
                self.deadlines.add(request)
        self.dispatch()

    @precondition(lambda self: len(self.ended) < len(self.admitted))
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        alive = [request for request in self.admitted if request not in self.ended]
        self.end(data.draw(st.sampled_from(alive)), "left")

    @rule(worker=st.integers(0, 1))
    def finish(self, worker: int) -> None:
        batch, self.held[worker] = self.held[worker], []
        for request in batch:
            if request.state != DONE:
                self.end(request, "answered")
        self.dispatch()

    @rule(worker=st.integers(0, 1), started=st.integers(0, 2))
    def die(self, worker: int, started: int) -> None:
        batch, self.held[worker] = self.held[worker], []
        for request in batch[:started]:
            if request.state != DONE:
                self.end(request, "failed")
        self.returned.update(batch[started:])
        self.queue.put_back(batch[started:])
        self.dispatch()

    @rule(seconds=st.sampled_from([0.01, 0.2, 3.0]))
    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            first = self.deadlines.next()
            rings = min(self.timer, until, first if first is not None else until)
            self.now = max(self.now, rings)
            for request in self.deadlines.expired(self.now):
                self.end(request, "late")
            if self.timer <= self.now:
                self.dispatch()
            if self.now >= until:
                return

    # ------------------------------------------------------------ the front's part

    def end(self, request: ScoringRequest, how: str) -> None:
        assert request not in self.ended
        self.ended[request] = how
        waited = request.state == WAITING
        request.state = DONE
        if waited:
            self.queue.left(request)
            assert request.body == []

    def dispatch(self) -> None:
        self.timer = float("inf")
        for batch in self.held:
            if batch or not len(self.queue):
                continue
            rows = sum(map(rows_of, self.waiting()))
            leave = self.window.leave(self.queue, rows, self.now)
            assert (leave.reason == wire.FULL) == (rows >= MAX_ROWS)
            if leave.at > self.now:
                self.timer = leave.at
                return
            self.take(batch)

    def take(self, batch: list[ScoringRequest]) -> None:
        before = self.waiting()
        first = self.queue.first()
        taken = self.queue.take_rows(MAX_ROWS, MAX_BYTES, rows_of)
        assert taken
        assert taken[0] is first
        if len(taken) > 1:
            assert sum(map(rows_of, taken)) <= MAX_ROWS
            assert sum(request.body_bytes for request in taken) <= MAX_BYTES
        for request in taken:
            assert request in before
            for other in before:
                if other not in taken and not {request, other} & self.returned:
                    assert due(request) <= due(other)
            request.state = SENT
        batch += taken

    def waiting(self) -> list[ScoringRequest]:
        held = {request for batch in self.held for request in batch}
        return [request for request in self.admitted if request not in self.ended and request not in held]

    # ------------------------------------------------------------ what always holds

    @invariant()
    def nobody_is_lost_and_the_bounds_hold(self) -> None:
        waiting = self.waiting()
        assert len(self.queue) == len(waiting)
        assert self.queue.bytes == sum(request.body_bytes for request in waiting)
        assert all(request.state == WAITING for request in waiting)
        assert len(self.queue._waiting) + len(self.queue._timed) <= 2 * len(waiting) + SLACK
        if waiting:
            assert self.queue.arrived() == min(request.arrived for request in waiting)

    @invariant()
    def nobody_waits_past_the_window_for_an_idle_worker(self) -> None:
        waiting = self.waiting()
        if waiting and not all(self.held):
            oldest = min(request.arrived for request in waiting)
            assert self.now < self.timer <= oldest + self.window.max_delay

    def teardown(self) -> None:
        left = self.waiting()
        assert set(self.queue.take(1000)) == set(left)
        assert len(self.queue) == self.queue.bytes == 0


TestFront = Front.TestCase
TestFront.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


def test_one_without_a_deadline_is_passed_only_by_those_due_before_its_horizon() -> None:
    queue = Queue(0, 0)
    plain = make(arrived=10.0)
    queue.admit(plain)
    sooner, later = make(deadline=10.1, arrived=10.05), make(deadline=10.0 + HORIZON_SECONDS, arrived=10.06)
    for request in (later, sooner):
        queue.admit(request)
    assert queue.take(3) == [sooner, plain, later]


def test_it_does_not_starve_behind_a_stream_of_urgent_ones() -> None:
    queue = Queue(0, 0)
    plain = make(arrived=0.0)
    queue.admit(plain)
    urgent: list[ScoringRequest] = []
    now = 0.0
    while now < 2 * HORIZON_SECONDS:
        for _ in range(2):
            urgent.append(make(deadline=now + 1.0, arrived=now))
            queue.admit(urgent[-1])
        (taken,) = queue.take(1)
        if taken is plain:
            break
        taken.state = SENT
        now += 0.1
        for request in urgent:  # as a front does, it answers those whose time is over
            if request.deadline <= now and request.state == WAITING:
                request.state = DONE
                queue.left(request)
    assert now <= HORIZON_SECONDS


@given(st.lists(st.floats(1, 100), max_size=50))
def test_of_those_with_deadlines_the_earliest_is_first(asked: list[float]) -> None:
    queue = Queue(0, 0)
    for deadline in asked:
        queue.admit(make(deadline=deadline))
    assert [request.deadline for request in queue.take(100)] == sorted(asked)


def test_those_given_back_keep_their_order_before_their_equals() -> None:
    queue = Queue(0, 0)
    first, second = make(deadline=5.0), make(deadline=5.0)
    third = make(deadline=5.0)
    queue.admit(third)
    queue.put_back([first, second])
    assert queue.take(3) == [first, second, third]


def test_most_of_the_clients_leave_and_the_others_are_all_served() -> None:
    queue = Queue(0, 0)
    requests = [make(deadline=place % 7 + 1.0 if place % 2 else 0.0) for place in range(1000)]
    for request in requests:
        queue.admit(request)
    for place, request in enumerate(requests):
        if place % 5:
            request.state = DONE
            queue.left(request)
    taken: list[ScoringRequest] = []
    while batch := queue.take_rows(32, 10**9, lambda request: 1):
        taken += batch
    assert len(queue) == queue.bytes == 0
    assert set(taken) == {request for request in requests if request.state != DONE}


def test_a_large_request_goes_alone_and_is_not_passed_over() -> None:
    queue = Queue(0, 0)
    small, large, next_small = make(1), make(100), make(1)
    for request in (small, large, next_small):
        queue.admit(request)
    assert queue.take_rows(MAX_ROWS, MAX_BYTES, rows_of) == [small]
    assert queue.take_rows(MAX_ROWS, MAX_BYTES, rows_of, force=False) == []
    assert queue.take_rows(MAX_ROWS, MAX_BYTES, rows_of) == [large]
    assert queue.take_rows(MAX_ROWS, MAX_BYTES, rows_of, force=False) == [next_small]


def test_bytes_end_a_batch_as_rows_do() -> None:
    queue = Queue(0, 0)
    requests = [make(25) for _ in range(5)]
    for request in requests:
        queue.admit(request)
    assert queue.take_rows(100, 60, lambda request: 1) == requests[:2]
    assert queue.take_rows(1, 60, lambda request: 1) == requests[2:3]


def test_a_deadline_ends_the_window_in_time_for_the_run() -> None:
    queue = Queue(0, 0)
    window = Window(3.0, 8, lambda rows: RUN_SECONDS)
    assert window.leave(queue, 0, 100.0).at == float("inf")
    queue.admit(make(arrived=100.0))
    assert window.leave(queue, 1, 100.0) == (103.0, wire.DEADLINE)
    queue.admit(make(arrived=100.5, deadline=102.0))
    assert window.leave(queue, 2, 100.5) == (102.0 - RUN_SECONDS, wire.DEADLINE)
    assert window.leave(queue, 8, 100.5) == (100.5, wire.FULL)
    assert Window(0.0, 8, lambda rows: RUN_SECONDS).leave(queue, 2, 100.5) == (100.5, wire.IDLE)
