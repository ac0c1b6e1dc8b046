"""Where the time of a request goes: in its answer, for who sits at the machine, and in `azmlinfsrv top`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference_server.telemetry.names import BATCH_REASONS, PHASES
from tests.end_to_end.conftest import Serve
from tests.end_to_end.lanes import Lane
from tests.end_to_end.load import Asking
from tests.end_to_end.running import Reply, Server, clean_environment, command, read_all, wait_for

SLEEPS = """
    import json, time

    def init():
        pass

    def run(data):
        time.sleep(json.loads(data))
        return "x" * 100
"""
BATCHES = """
    import json, time

    def init():
        pass

    def run_batch(items):
        time.sleep(0.05)
        return [json.loads(item)["data"] for item in items]
"""
ASKS = {"Server-Timing": "?"}
ENTRY = re.compile(r'(\w+);dur=(\d+\.\d{3})(?:;desc="([^"]*)")?')


def timing(reply: Reply) -> dict[str, float]:
    """Milliseconds by name, as the header has them."""
    return {name: float(value) for name, value, _ in entries(reply)}


def entries(reply: Reply) -> list[tuple[str, str, str]]:
    header = reply.headers["server-timing"]
    found = [ENTRY.fullmatch(part) for part in header.split(", ")]
    assert all(found), header
    return [(one[1], one[2], one[3] or "") for one in found if one]


def top(server: Server, *words: str) -> str:
    words = ("top", "--url", f"http://127.0.0.1:{server.port}", *words)
    done = subprocess.run(command(*words), env=clean_environment(), capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


@pytest.mark.parametrize("name", ["command", "asgi"])
def test_an_answer_says_where_its_time_went(name: str, tmp_path: Path) -> None:
    lane = Lane(name, tmp_path / name, SLEEPS, {})
    server = lane.server
    try:
        lane.wait_ready()
        assert "server-timing" not in lane.score("0").headers
        began = time.monotonic()
        reply = lane.score("0.05", Server_Timing="?")
        took = (time.monotonic() - began) * 1000
        parts = timing(reply)
        total = parts.pop("total")
        assert list(parts) == [phase for phase in PHASES if phase != "write"]
        assert sum(parts.values()) == pytest.approx(total, abs=0.02)
        assert 50 <= parts["run"] <= total <= took
        assert parts["run"] == pytest.approx(float(reply.headers["x-ms-run-fn-exec-ms"]), abs=0.01)
        assert 0 < parts["decode"] < 50 > parts["encode"] > 0

        assert list(timing(lane.score("no json", Server_Timing="?"))) == [*parts, "total"]
        assert "server-timing" not in lane.ask("OPTIONS", "/score", headers=ASKS).headers
        asked = server.get("/debug/requests").json()
        assert [one["status"] for one in asked["requests"]] == [200, 200, 500]
        slow = asked["requests"][1]
        assert sum(slow["phases_ms"].values()) == pytest.approx(slow["ms"], abs=0.01)
        assert slow["phases_ms"]["run"] == pytest.approx(parts["run"], abs=0.01)
        assert slow["id"] == reply.headers["x-request-id"]
    finally:
        server.stop()


def slow_body(server: Server) -> bytes:
    """A request that comes in three pieces."""
    with server.connect() as sock:
        for piece in (
            b"POST /score HTTP/1.1\r\nHost: a\r\n",
            b"Server-Timing: ?\r\nContent-Length: 3\r\n",
            b"",
        ):
            sock.sendall(piece)
            time.sleep(0.05)  # what is measured
        sock.sendall(b"Connection: close\r\n\r\n0.0")
        return read_all(sock)


def test_top_and_the_page_behind_it(serve: Serve) -> None:
    server = serve(SLEEPS)
    shown = top(server)
    assert "requests        0.0/s" in shown
    header = re.search(rb"\r\nServer-Timing: parse;dur=([\d.]+), queue;dur=([\d.]+)", slow_body(server))
    assert header is not None
    assert 100 < float(header[1]) < 10_000
    running = Asking(server, 2.0)
    wait_for(lambda: server.workers()[0]["in_hand"] == 1)
    shown = top(server, "--once")
    assert "in flight 1   answered 1" in shown
    (worker,) = (line.split() for line in shown.splitlines() if f" {server.worker_pids()[0]} " in line)
    assert worker[2:4] == ["busy", "1"]
    assert all(re.search(rf"(?m)^{phase} ", shown) for phase in PHASES)
    assert "of which parse" in shown

    for headers in ({"X-Forwarded-For": "10.0.0.7"}, {"Host": "models.example.com"}, {"Origin": "http://a"}):
        assert server.get("/debug/requests", headers=headers).status == 404
    assert server.ask("POST", "/debug/requests").status == 405
    assert running.reply().status == 200
    metrics = server.get("/metrics").body.decode()
    assert 'azmlinfsrv_phase_seconds_count{deployment="default",phase="parse"} 2.0' in metrics


def test_a_batch_says_why_it_left_and_what_it_held(serve: Serve) -> None:
    server = serve(BATCHES, "--max_batch_size", "4", "--server_timing")
    asking = [Asking(server, {"data": number}) for number in range(10)]
    replies = [one.reply() for one in asking]
    assert [reply.json() for reply in replies] == list(range(10))
    seen: dict[str, list[str]] = {"queue": [], "run": []}
    for reply in replies:
        for name, _, described in entries(reply):
            assert bool(described) == (name in seen)
            if described:
                seen[name].append(described)
    assert set(seen["queue"]) <= set(BATCH_REASONS.values())
    held = [re.fullmatch(r"(?:rows=(\d+) )?requests=(\d+)", text) for text in seen["run"]]
    assert max(int(one[2]) for one in held if one) > 1

    requests = server.get("/debug/requests").json()["requests"]
    calls = {one["batch"]["call"]: one["batch"]["requests"] for one in requests}
    assert sum(calls.values()) == 10
    shown = top(server)
    assert "batching  run_batch" in shown
    assert f"rows on average in {len(calls)} calls" in shown


def screen(server: Server, keys: bytes = b"", number: int = 0) -> tuple[int, bytes]:
    """`azmlinfsrv top` on a terminal, ended by keys or a signal: its exit code and all it wrote."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    words = command("top", "--interval", "0.1", "--url", f"http://127.0.0.1:{server.port}")
    environment = clean_environment(TERM="xterm", COLUMNS="100", LINES="40")
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    written = b""
    try:
        while written.count(b"\x1b[J") < 3:
            written += os.read(ours, 65536)
        if keys:
            os.write(ours, keys)
        else:
            process.send_signal(number)
        while not written.endswith(b"\x1b[?25h\x1b[?1049l"):
            written += os.read(ours, 65536)
        return process.wait(10), written
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is opened")
def test_the_live_view_leaves_the_terminal_as_it_was(serve: Serve) -> None:
    server = serve(SLEEPS)
    for keys, number in ((b"q", 0), (b"", signal.SIGINT), (b"", signal.SIGTERM)):
        code, written = screen(server, keys, number)
        assert code == 0
        assert written.startswith(b"\x1b[?1049h\x1b[?25l\x1b[H")
        assert b"1 of 1 worker(s) serve" in written
        assert b"Traceback" not in written
    assert "/debug/requests" not in server.log(), "asked every second: not in the log"
