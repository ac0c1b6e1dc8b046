"""Generators as answers: sent as they come, held back by a slow reader, closed when nobody reads any more."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server, wait_for
from tests.end_to_end.talk import Talk, post
from tests.tools import require_module

SCRIPT = """
    import asyncio, json, time

    def init():
        pass

    def note(word):
        with open("notes", "a") as notes:
            notes.write(word + " ")

    def numbers(ask):
        try:
            for number in range(ask["count"]):
                yield ask["item"] * ask.get("times", 1)
                time.sleep(ask.get("gap", 0))
                if number + 1 == ask.get("raise"):
                    raise ValueError("in the middle")
        finally:
            note("closed")
            if "fail" in ask:
                raise ValueError("in finally")

    async def later(ask):
        for item in numbers(ask):
            await asyncio.sleep(0)
            yield item

    def run(data):
        ask = json.loads(data)
        if "count" not in ask:
            time.sleep(ask.get("sleep", 0))
            return ask
        item = ask["item"]
        ask["item"] = item.encode() if ask.get("bytes") else item
        return later(ask) if ask.get("async") else numbers(ask)
"""


def ask(**what: object) -> bytes:
    return post(json.dumps(what).encode())


def notes(server: Server) -> str:
    path = server.folder / "notes"
    return path.read_text() if path.exists() else ""


def free(server: Server) -> bool:
    """Whether every worker waits for requests."""
    return {worker["state"] for worker in server.workers()} == {"ready"}


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no VmRSS")


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module(SCRIPT)


@pytest.mark.parametrize("how", [{}, {"async": True}])
@pytest.mark.parametrize(
    ("item", "more", "content_type", "body"),
    [
        ("né", {}, "text/plain; charset=utf-8", "nénéné".encode()),
        ("né", {"bytes": True}, "application/octet-stream", "nénéné".encode()),
        ([1], {}, "application/x-ndjson", b"[1]\n" * 3),
    ],
)
def test_generators_are_streamed(
    server: Server,
    item: object,
    more: dict[str, object],
    content_type: str,
    body: bytes,
    how: dict[str, bool],
) -> None:
    reply = server.score({"count": 3, "item": item, **more, **how})
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["content-type"] == content_type
    assert reply.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in reply.headers
    assert float(reply.headers["x-ms-run-fn-exec-ms"]) >= 0


def test_each_item_leaves_at_once(server: Server) -> None:
    """Token by token, as a language model answers: no item waits for the one after it."""
    with Talk(server) as talk:
        talk.send(ask(count=3, item="token", gap=0.4))
        began = time.monotonic()
        talk.head()
        for number in range(3):
            assert talk.chunk() == b"token"
            assert time.monotonic() - began < 0.4 * number + 0.3
        assert talk.chunk() == b""
        talk.send(ask(next=1))
        assert talk.reply().json() == {"next": 1}


def test_a_stream_to_http_1_0_ends_with_the_connection(server: Server) -> None:
    with Talk(server) as talk:
        talk.send(
            ask(count=3, item="x")
            .replace(b"HTTP/1.1", b"HTTP/1.0")
            .replace(b"Host", b"Connection: keep-alive\r\nHost")
        )
        reply = talk.reply()
        assert (reply.status, reply.headers["connection"], reply.body) == (200, "close", b"xxx")
        assert "transfer-encoding" not in reply.headers


def test_the_log_shows_no_length_for_a_stream(server: Server) -> None:
    server.ask("POST", "/score?stream-length", json.dumps({"count": 2, "item": "12345"}))
    server.wait_log('"POST /score?stream-length HTTP/1.1" 200 10')
    line = next(line for line in server.log().splitlines() if "POST /score?stream-length 200" in line)
    assert line.endswith("ms N/A")


@pytest.mark.parametrize("how", [{}, {"async": True}])
def test_a_generator_that_raises_midway_cuts_the_answer(server: Server, how: dict[str, bool]) -> None:
    with Talk(server) as talk:
        talk.send(ask(count=5, item="x", **{"raise": 2}, **how))
        assert talk.head()[0] == 200
        assert [talk.chunk(), talk.chunk()] == [b"x", b"x"]
        with pytest.raises((EOFError, ConnectionResetError)):
            talk.chunk()
    server.wait_log("ValueError: in the middle")
    assert server.score({"next": 1}).json() == {"next": 1}


def test_a_generator_that_raises_at_once_is_a_plain_failure(server: Server) -> None:
    reply = server.score({"count": 1, "item": "x", "times": "no number"})
    assert reply.status == 500
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert "transfer-encoding" not in reply.headers


@pytest.mark.parametrize("how", [{}, {"async": True}, {"fail": True}])
@pytest.mark.parametrize("reset", [True, False])
def test_a_client_that_leaves_closes_the_generator(server: Server, how: dict[str, bool], reset: bool) -> None:
    before = notes(server).count("closed")
    talk = Talk(server)
    talk.send(ask(count=1000, item="x", gap=0.02, **how))
    talk.head()
    assert talk.chunk() == b"x"
    if reset:
        talk.reset()
    else:
        talk.close()
    wait_for(lambda: notes(server).count("closed") == before + 1, 3, "the generator's finally ran")
    wait_for(lambda: free(server), 3, "the worker is free")
    assert server.score({"next": 1}).json() == {"next": 1}


def test_memory_is_bounded_by_the_reader(server: Server) -> None:
    """200 MB that nobody reads fast: neither process holds more than a little of it."""
    front, worker = server.front_pid(), server.worker_pids()[0]
    before = resident(front), resident(worker)
    with Talk(server, timeout=30) as talk:
        talk.send(ask(count=2000, item="x" * 1000, times=100, bytes=True))
        talk.head()
        total = 0
        for _ in range(20):  # slowly at first
            total += len(talk.chunk())
            time.sleep(0.01)
            grown = resident(front) - before[0], resident(worker) - before[1]
            assert max(grown) < 8_000_000, grown
        while chunk := talk.chunk():
            total += len(chunk)
        grown = resident(front) - before[0], resident(worker) - before[1]
        assert max(grown) < 8_000_000, grown
        assert total == 200_000_000
    assert free(server)


def test_slow_readers_and_readers_that_stopped(serve: Serve) -> None:
    """Two streams on two workers: one reader takes 2 MB/s, the other nothing after the head."""
    server = serve(SCRIPT, "--write_timeout", "2", "--worker_count", "2")
    with Talk(server, receive_buffer=4096, timeout=20) as slow, Talk(server, receive_buffer=4096) as stopped:
        slow.send(ask(count=4000, item="x" * 10_000))
        slow.head()
        stopped.send(ask(count=100_000, item="x" * 10_000))
        stopped.head()
        wait_for(lambda: [worker["state"] for worker in server.workers()] == ["busy", "busy"])
        total = 0
        began = time.monotonic()
        while time.monotonic() < began + 5:
            for _ in range(100):
                total += len(slow.chunk())
            time.sleep(0.5)
        assert notes(server).count("closed") == 1, "the one who stopped was cut, the slow one was not"
        assert server.score({"next": 1}).json() == {"next": 1}
        while chunk := slow.chunk():
            total += len(chunk)
        assert total == 40_000_000
    wait_for(lambda: free(server))


def test_head_of_a_stream_in_raw_mode(serve: Serve) -> None:
    require_module("flask")
    script = """
        from azureml_inference_server_http.api.aml_request import rawhttp
        from azureml_inference_server_http.api.aml_response import AMLResponse

        def init():
            pass

        def items():
            try:
                while True:
                    yield b"x" * 1000
            finally:
                open("closed", "w").close()

        @rawhttp
        def run(request):
            return AMLResponse(items(), 201)
    """
    server = serve(script)
    with Talk(server) as talk:
        talk.send(b"HEAD /score HTTP/1.1\r\nHost: a\r\n\r\n")
        assert talk.reply("HEAD").status == 201
        wait_for(lambda: (server.folder / "closed").exists())
        talk.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert talk.reply("GET").status == 200
    wait_for(lambda: free(server))


def test_a_worker_that_dies_midway_cuts_the_answer(serve: Serve) -> None:
    script = """
        import os

        def init():
            pass

        def run(data):
            yield "one"
            yield "two"
            os._exit(1)
    """
    server = serve(script)
    with Talk(server) as talk:
        talk.send(post(b""))
        assert talk.head()[0] == 200
        assert [talk.chunk(), talk.chunk()] == [b"one", b"two"]
        with pytest.raises((EOFError, ConnectionResetError)):
            talk.chunk()
    wait_for(lambda: free(server))


HANGS = """
    import json, time

    def init():
        pass

    def run(data):
        if json.loads(data) == "hang":
            return hang()
        return data

    def hang():
        yield "first"
        time.sleep(600)
"""


def hangs(server: Server) -> Talk:
    talk = Talk(server)
    talk.send(post(b'"hang"'))
    talk.head()
    assert talk.chunk() == b"first"
    return talk


def test_a_generator_that_hangs_is_ended_by_the_worker_timeout(serve: Serve) -> None:
    server = serve(HANGS, env={"WORKER_TIMEOUT": "1"})
    with hangs(server):
        assert server.score("next").json() == '"next"'
    assert "a generator made no progress" in server.log()


def test_a_generator_that_hangs_when_its_reader_has_left_is_ended_like_a_run(serve: Serve) -> None:
    server = serve(HANGS, "--stall_grace_ms", "200", env={"SCORING_TIMEOUT_MS": "500"})
    hangs(server).close()
    assert server.score("next").json() == '"next"'
    assert server.workers()[0]["restarts"] == 1


def test_a_large_item_is_bounded_by_the_reader_too(serve: Serve) -> None:
    server = serve("def init(): pass\n\ndef run(data):\n    yield 'x' * 100_000_000\n    yield 'end'\n")
    front = server.front_pid()
    before = resident(front)
    with Talk(server, receive_buffer=4096) as talk:
        talk.send(post(b"1"))
        talk.head()
        total = len(talk.chunk())
        assert resident(front) - before < 16 << 20
        while chunk := talk.chunk():
            total += len(chunk)
    assert total == 100_000_003
