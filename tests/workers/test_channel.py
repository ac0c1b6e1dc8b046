"""Both ends of the channel: records cut anywhere, bodies of any size, and a worker that dies at any step."""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_server.scoring import channel as scoring_channel
from inference_server.scoring import wire
from inference_server.scoring.channel import Channel, FrontGone, record
from inference_server.workers.channel import READ_BYTES, FrontChannel
from inference_server.workers.page import Page
from inference_server.workers.process import make_page

DONE_CELL = 6  # not used by the channel: where a test's worker counts what it has put


class Front:
    """A FrontChannel, what it was told, and the loop it lives in."""

    def __init__(self, sock: socket.socket, page: mmap.mmap | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        self.seen: list[tuple[int, int, bytes, bytes]] = []
        self.batches = 0
        self.ended = 0
        self.page = Page(page) if page is not None else None
        self.channel = FrontChannel(sock, self.loop, self._record, self._batch, self._eof)

    def _record(
        self,
        kind: int,
        flags: int,
        content: int,
        seq: int,
        status: int,
        exec_ms: float,
        decode_us: float,
        encode_us: float,
        headers: bytes,
        body: bytes,
    ) -> None:
        self.seen.append((kind, seq, bytes(headers), bytes(body)))

    def _batch(self) -> None:
        self.batches += 1

    def _eof(self) -> None:
        self.ended += 1

    def fetch(self) -> None:
        assert self.page is not None
        if data := self.page.unsent(self.channel.received):
            self.channel.feed_ahead(data)

    def run_until(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        async def wait() -> None:
            end = time.monotonic() + seconds
            while not done():
                assert time.monotonic() < end
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(wait())


@contextmanager
def connected(page: mmap.mmap | None = None) -> Iterator[tuple[Front, socket.socket]]:
    ours, theirs = socket.socketpair()
    front = Front(ours, page)
    try:
        yield front, theirs
    finally:
        front.channel.close()
        front.loop.close()
        theirs.close()


def answer(seq: int, headers: bytes, body: bytes) -> bytes:
    return record(wire.ANSWER, seq, headers=len(headers), body=len(body)) + headers + body


SIZES = st.one_of(
    st.integers(0, 200), st.sampled_from([READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 3 * READ_BYTES])
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 60), SIZES), min_size=1, max_size=8), st.data())
def test_records_cut_anywhere_are_put_together(shapes: list[tuple[int, int]], data: Any) -> None:
    expected = [
        (wire.ANSWER, seq, b"h" * headers, bytes([seq + 1]) * body)
        for seq, (headers, body) in enumerate(shapes)
    ]
    stream = b"".join(answer(seq, headers, body) for _, seq, headers, body in expected)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    with connected() as (front, _):
        for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            front.channel.feed(stream[begin:end])
        assert front.seen == expected


def test_every_cut_of_two_small_records() -> None:
    stream = answer(1, b"A: b\r\n", b"body") + answer(2, b"", b"")
    for cut in range(len(stream) + 1):
        with connected() as (front, _):
            front.channel.feed(stream[:cut])
            front.channel.feed(stream[cut:])
            assert [seen[1:] for seen in front.seen] == [(1, b"A: b\r\n", b"body"), (2, b"", b"")]


@pytest.mark.parametrize("with_page", [True, False])
def test_answers_of_all_sizes_arrive_whole_and_in_order(with_page: bool) -> None:
    page = make_shared() if with_page else None
    sizes = [0, 10, 5_000_000, 1, wire.OUTBOX_BYTES, wire.OUTBOX_BYTES + 1, 70_000, 0, 3] * 3
    with connected(page) as (front, theirs):
        worker = Channel(theirs, page)

        def work() -> None:
            for seq, size in enumerate(sizes):
                worker.put(record(wire.ANSWER, seq, body=size), b"", bytes([seq]) * size)
            worker.flush()

        thread = threading.Thread(target=work)
        thread.start()
        front.run_until(lambda: len(front.seen) == len(sizes))
        thread.join()
        assert [(seq, body) for _, seq, _, body in front.seen] == [
            (seq, bytes([seq]) * size) for seq, size in enumerate(sizes)
        ]
        assert front.channel.received == worker.cells[wire.SENT]


def test_requests_of_all_sizes_arrive_whole_and_in_order() -> None:
    bodies = [[b""], [], [b"a", b"", b"b"], [b"x" * 300_000, b"y"], [b"z" * 1000] * 2000, [b"", b""]]
    with connected() as (front, theirs):
        worker = Channel(theirs, None)
        got: list[tuple[int, bytes, bytes, bytes]] = []

        def work() -> None:
            while (each := worker.next()).kind != wire.STOP:
                got.append((each.seq, each.query, each.meta, bytes(each.body)))

        thread = threading.Thread(target=work)
        for seq, pieces in enumerate(bodies):
            size = sum(map(len, pieces))
            head = wire.TO_WORKER.pack(wire.SCORE, 1, seq, 1, 2, size) + b"qmm"
            front.channel.send([head, *pieces], len(head) + size)
        stop = wire.TO_WORKER.pack(wire.STOP, 0, 0, 0, 0, 0)
        front.channel.send([stop], len(stop))
        thread.start()  # only now: until here the socket has filled, and the rest waits in the front
        front.run_until(lambda: not thread.is_alive())
        assert got == [(seq, b"q", b"mm", b"".join(pieces)) for seq, pieces in enumerate(bodies)]


def test_controls_of_a_stream_are_told_from_requests() -> None:
    with connected() as (front, theirs):
        worker = Channel(theirs, None)
        for kind, seq, size in [
            (wire.CREDIT, 4, 9),
            (wire.SCORE, 5, 0),
            (wire.CREDIT, 3, 7),
            (wire.CLOSE, 3, 0),
        ]:
            front.channel.send([data := wire.TO_WORKER.pack(kind, 1, seq, 0, 0, size)], len(data))
        credit = worker.next_control(3, wait=False)
        assert credit is not None
        assert (credit.kind, credit.size) == (wire.CREDIT, 7)
        close = worker.next_control(3, wait=True)
        assert close is not None
        assert close.kind == wire.CLOSE
        assert worker.next_control(3, wait=False) is None
        assert worker.next().seq == 5
        front.channel.close()
        with pytest.raises(FrontGone):
            worker.next()


def test_drain_takes_what_a_dead_worker_left_in_the_socket() -> None:
    with connected() as (front, theirs):
        theirs.sendall(answer(1, b"", b"one") + answer(2, b"", b"two") + answer(3, b"", b"cut off")[:-2])
        theirs.close()
        front.channel.drain()
        assert [seq for _, seq, _, _ in front.seen] == [1, 2]
        assert not front.channel.open
        front.channel.send([b"x"], 1)  # to nobody, and no error


def test_the_end_is_told_once_and_after_all_records() -> None:
    with connected() as (front, theirs):
        theirs.sendall(answer(1, b"", b"one"))
        theirs.close()
        front.run_until(lambda: front.ended > 0)
        front.channel.read_now()
        assert (len(front.seen), front.ended) == (1, 1)


def test_a_forked_child_of_the_script_writes_nothing() -> None:
    page = make_shared()
    with connected(page) as (front, theirs):
        worker = Channel(theirs, page)
        worker.put(answer(1, b"", b"mine"))
        if (child := os.fork()) == 0:
            worker.put(answer(2, b"", b"not mine"))
            worker.flush()
            os._exit(0)
        os.waitpid(child, 0)
        worker.put(answer(3, b"", b"mine"))
        worker.flush()
        front.run_until(lambda: len(front.seen) == 2)
        assert [seq for _, seq, _, _ in front.seen] == [1, 3]


# ---------------------------------------------------------------- a worker that dies at any step


def make_shared() -> mmap.mmap:
    page, descriptor = make_page()
    os.close(descriptor)
    return page


def write_answers(sock: socket.socket, page: mmap.mmap, sizes: list[int]) -> None:
    worker = Channel(sock, page)
    for seq, size in enumerate(sizes):
        worker.put(record(wire.ANSWER, seq, body=size), b"", bytes([seq]) * size)
        worker.cells[DONE_CELL] = seq + 1
        if seq % 3 == 2:
            worker.flush()
    worker.flush()


def dies_after(steps: int, every: str) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that kills this process at its n-th line or opcode within the channel's module."""
    left = steps

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != scoring_channel.__file__:
            return None
        frame.f_trace_opcodes = every == "opcode"
        if event == every:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def results_of_a_death(steps: int, every: str, sizes: list[int]) -> tuple[bool, int, list[tuple[int, bytes]]]:
    """Whether it died, how many answers it had finished, which ones the front has in the end."""
    page = make_shared()
    with connected(page) as (front, theirs):
        child = os.fork()
        if child == 0:
            try:
                sys.settrace(dies_after(steps, every))
                write_answers(theirs, page, sizes)
            finally:
                os._exit(0)
        theirs.close()
        status = 0

        def ended() -> bool:
            nonlocal status
            pid, status = os.waitpid(child, os.WNOHANG)
            return bool(pid)

        front.run_until(ended)
        front.channel.drain()
        front.fetch()
        finished = memoryview(page)[: wire.OUTBOX].cast("Q")[DONE_CELL]
        return os.WIFSIGNALED(status), finished, [(seq, body) for _, seq, _, body in front.seen]


@pytest.mark.parametrize("every", ["line", "opcode"])
def test_no_finished_answer_is_lost_or_repeated_whenever_the_worker_dies(every: str) -> None:
    sizes = [3, 200, 0, 70_000, 5, wire.OUTBOX_BYTES + 10, 1, 150_000, 150_000, 4]
    steps, stride, deaths = 1, 1 if every == "line" else 7, 0
    while True:
        died, finished, seen = results_of_a_death(steps, every, sizes)
        assert seen == [(seq, bytes([seq]) * sizes[seq]) for seq in range(len(seen))], steps
        assert finished <= len(seen) <= finished + 1, steps
        if not died:
            break
        deaths += 1
        steps += stride
    assert len(seen) == len(sizes)
    assert deaths > 100


def test_answers_fetched_from_the_page_of_a_living_worker_come_once_and_in_order() -> None:
    page = make_shared()
    count = 30_000
    with connected(page) as (front, theirs):
        child = os.fork()
        if child == 0:
            try:
                worker = Channel(theirs, page)
                for seq in range(count):
                    worker.put(answer(seq, b"", b"%d" % seq * (seq % 40)))
                    if seq % 97 == 0:
                        worker.flush()
                worker.flush()
            finally:
                os._exit(0)
        theirs.close()
        chance = random.Random(1)
        fetched = 0
        while front.channel.open:
            before = len(front.seen)
            front.fetch()
            fetched += len(front.seen) - before
            if chance.random() < 0.5:
                front.loop.run_until_complete(asyncio.sleep(0))
        os.waitpid(child, 0)
        assert [seq for _, seq, _, _ in front.seen] == list(range(count))
        assert all(body == b"%d" % seq * (seq % 40) for _, seq, _, body in front.seen)
        assert fetched  # some came through the page
