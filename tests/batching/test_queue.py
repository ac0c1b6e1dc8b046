"""The queue and the deadlines against what they promise, with operations in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inference_server.batching.deadlines import SLACK, Deadlines
from inference_server.batching.queue import FRAME_SECONDS, Queue
from inference_server.messages import DONE, SENT, WAITING, ScoringRequest
from tests.batching.making import make

MOST_REQUESTS = 8
MOST_BYTES = 100


class AnyOrder(RuleBasedStateMachine):
    """A plain list of those that wait stands beside the queue; both must always say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue(MOST_REQUESTS, MOST_BYTES)
        self.waiting: list[ScoringRequest] = []
        self.held: list[ScoringRequest] = []  # at workers, in the order they were taken
        self.admitted = 0
        self.finished = 0

    @rule(size=st.integers(0, 60))
    def admit(self, size: int) -> None:
        request = make(size)
        bytes_waiting = sum(each.body_bytes for each in self.waiting)
        fits = len(self.waiting) < MOST_REQUESTS and (not bytes_waiting or bytes_waiting + size <= MOST_BYTES)
        assert self.queue.admit(request) == fits
        if fits:
            self.waiting.append(request)
            self.admitted += 1

    @rule(count=st.integers(0, 5))
    def take(self, count: int) -> None:
        taken = self.queue.take(count)
        assert taken == self.waiting[:count]
        del self.waiting[:count]
        for request in taken:
            request.state = SENT
        self.held += taken

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def answer(self, data: Any) -> None:
        request = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        request.state = DONE
        self.finished += 1

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def leave_while_at_a_worker(self, data: Any) -> None:
        data.draw(st.sampled_from(self.held)).state = DONE

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def put_back(self, data: Any) -> None:
        count = data.draw(st.integers(1, len(self.held)))
        back, self.held = self.held[-count:], self.held[:-count]
        self.queue.put_back(back)
        wanted = [request for request in back if request.state != DONE]
        self.finished += len(back) - len(wanted)
        self.waiting[:0] = wanted

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        request = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        request.state = DONE
        self.queue.left(request)
        assert request.body == []
        self.finished += 1

    @invariant()
    def agrees(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert self.queue.bytes == sum(request.body_bytes for request in self.waiting)
        assert all(request.state == WAITING for request in self.waiting)
        assert self.admitted == len(self.waiting) + len(self.held) + self.finished

    def teardown(self) -> None:
        assert self.queue.take(len(self.queue) + 5) == self.waiting
        assert len(self.queue) == self.queue.bytes == 0


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_body_larger_than_the_limit_is_taken_when_nothing_else_waits() -> None:
    queue = Queue(0, 10)
    assert queue.admit(make(50))
    assert not queue.admit(make(1))


def test_without_limits_everything_is_taken() -> None:
    queue = Queue(0, 0)
    assert all(queue.admit(make(10)) for _ in range(1000))


def test_those_who_left_do_not_pile_up_behind_one_that_waits() -> None:
    queue = Queue(0, 0)
    first = make()
    queue.admit(first)
    for _ in range(10 * SLACK):
        request = make()
        queue.admit(request)
        request.state = DONE
        queue.left(request)
    assert len(queue) == 1
    assert len(queue._waiting) <= SLACK + 2
    assert queue.take(5) == [first]


@given(st.lists(st.floats(0, 10), max_size=300), st.integers(0, 50), st.integers(1, 8))
def test_a_frame_is_a_millisecond_and_a_fair_share(seconds: list[float], in_hand: int, free: int) -> None:
    queue = Queue(0, 0)
    for _ in range(20):
        queue.admit(make())
    for each in seconds:
        queue.learn(each)
    count = queue.frame(in_hand, free)
    assert count <= -(-20 // free)
    if not in_hand:
        assert count >= 1
    if seconds and min(seconds) == max(seconds) > FRAME_SECONDS:
        assert queue.frame(1, free) <= 0


def test_frames_grow_with_what_is_learned() -> None:
    queue = Queue(0, 0)
    for _ in range(1000):
        queue.admit(make())
    assert queue.frame(0, 1) == 1
    for _ in range(5000):
        queue.learn(0.0)  # as a clock too coarse for it shows
    assert 100 <= queue.frame(0, 1) <= 1000
    for _ in range(100):
        queue.learn(0.005)
    assert queue.frame(0, 1) == 1


@given(
    st.lists(st.tuples(st.floats(1, 100), st.booleans()), max_size=200),
    st.lists(st.floats(0, 101), max_size=10).map(sorted),
)
def test_deadlines_come_once_in_time_and_never_for_the_answered(
    asked: list[tuple[float, bool]], looks: list[float]
) -> None:
    deadlines = Deadlines()
    requests = []
    for deadline, answered in asked:
        request = make(deadline=deadline)
        deadlines.add(request)
        requests.append(request)
        if answered:
            request.state = DONE
    seen: list[ScoringRequest] = []
    for now in [*looks, 101.0]:
        late = deadlines.expired(now)
        assert [request.deadline for request in late] == sorted(request.deadline for request in late)
        assert all(request.deadline <= now for request in late)
        seen += late
        following = deadlines.next()
        assert following is None or following > now
    assert sorted(map(id, seen)) == sorted(id(r) for r in requests if r.state != DONE)


def test_answered_requests_are_forgotten_behind_an_early_deadline() -> None:
    deadlines = Deadlines()
    deadlines.add(make(deadline=1.0))
    for _ in range(10_000):
        request = make(deadline=2.0)
        deadlines.add(request)
        request.state = DONE
    assert len(deadlines) < 10 * SLACK
    assert deadlines.next() == 1.0
