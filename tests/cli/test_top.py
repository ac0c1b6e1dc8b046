from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

from inference_server.cli import main
from inference_server.cli.top_history import Call, History, percentile, sizes
from inference_server.cli.top_view import picture, rendered
from inference_server.telemetry.names import PHASES


def request(ms: float = 10.0, status: int = 200, ago: float = 0.0, **batch: Any) -> dict[str, Any]:
    phases = dict.fromkeys(PHASES, 0.0) | {"queue": ms * 0.75, "run": ms * 0.25}
    found = {
        "id": f"id-{ms:g}",
        "client_id": "",
        "status": status,
        "ended_s_ago": ago,
        "ms": ms,
        "phases_ms": phases,
    }
    return {**found, "batch": batch} if batch else found


def said(finished: int, *requests: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An answer of the server."""
    worker = {"worker": 1, "pid": 4711, "state": "busy", "in_hand": 3, "restarts": 2}
    found = {
        "status": "ready",
        "reason": "1 of 1 worker(s) serve",
        "queued": 12,
        "in_flight": 15,
        "finished": finished,
        "statuses": {"200": finished},
        "memory_bytes": {"4711": 50 * 1024**2},
        "workers": [{**worker, "last_error": "killed by signal 9", "reason": "busy with 3 request(s)"}],
        "requests": list(requests),
    }
    return {**found, **more}


def text(history: History, width: int = 200) -> str:
    plain = lambda piece, *styles: piece  # noqa: E731
    return "\n".join(rendered(line, width, plain) for line in picture(history, "http://here"))


def test_rates_are_those_between_two_answers() -> None:
    history = History()
    history.add(said(100), 50.0)
    history.add(said(300, statuses={"200": 290, "429": 10}), 52.0)
    assert history.rates() == {"200": 95.0, "429": 5.0}
    for second in range(53, 80):
        history.add(said(300, statuses={"200": 290, "429": 10}), float(second))
    assert history.rates() == {}, "what was long ago is not now"


def test_asked_once_the_last_requests_tell_the_rate() -> None:
    history = History()
    history.add(said(1000, *(request(ago=age / 10) for age in range(20, 0, -1))), 50.0)
    assert history.rates() == {"200": 10.0}, "twenty in the last two seconds, and more before"
    history = History()
    history.add(said(3, request(ago=100), request(ago=5), request(ago=1)), 50.0)
    assert history.rates() == {"200": 0.2}


def test_a_server_that_began_anew_is_another_one() -> None:
    history = History()
    history.add(said(100, request()), 1.0)
    history.add(said(5, request(3.0), request(4.0)), 2.0)
    assert history.latencies() == [3.0, 4.0]
    assert history.finished == 5


def test_requests_that_shared_a_call_are_one_batch() -> None:
    history = History()
    shared: dict[str, Any] = {"call": 0, "requests": 2, "rows": 7, "reason": "full"}
    other: dict[str, Any] = {"call": 1, "requests": 1, "rows": 0, "reason": "idle"}
    history.add(said(3, request(**shared), request(**shared), request(**other)), 1.0)
    history.add(said(4, request(**shared)), 2.0)
    assert list(history.calls) == [Call(2, 7, "full"), Call(1, 0, "idle"), Call(2, 7, "full")]
    assert sizes(history.calls) == [("1", 1), ("2", 0), ("3-4", 0), ("5-8", 2)]
    assert sizes([]) == []


@pytest.mark.parametrize(("part", "value"), [(0.5, 2), (0.51, 3), (0.99, 4), (0.01, 1)])
def test_percentiles(part: float, value: float) -> None:
    assert percentile([1, 2, 3, 4], part) == value


def test_the_picture() -> None:
    history = History()
    batch: dict[str, Any] = {"call": 0, "requests": 2, "rows": 32, "reason": "full"}
    batching = {"way": "rows", "state": "on", "reason": "proven", "agreed": 200, "repro": "/tmp/pair.json"}
    history.add(said(1000, request(8.0, **batch), request(40.0), batching=batching), 1.0)
    shown = text(history)
    for part in (
        "http://here  ready  1 of 1 worker(s) serve",
        "12     in flight 15   answered 1,000",
        "p50 8.00 ms   p90 40.00 ms   p99 40.00 ms   max 40.00 ms",
        "rows on (200 answers agreed): proven",
        "/tmp/pair.json",
        "32.0 rows on average in 1 calls; held no more because: full 100%",
        "    17-32 ████████████████████████ 1",
        "50.0 MiB         2  busy with 3 request(s)",
        "killed by signal 9",
        "slowest   40.00 ms, of which queue 30.00 ms: id-40 (200)",
    ):
        assert part in shown
    (queue,) = (line for line in shown.splitlines() if line.startswith("queue"))
    assert queue.split()[1:] == ["6.00", "ms", "30.00", "ms", "75%", "██████████████████"]
    assert max(map(len, text(history, 40).splitlines())) == 40


def test_a_server_that_has_served_nobody_has_a_picture_too() -> None:
    history = History()
    history.add(said(0, queued=0, workers=[], status="unavailable"), 1.0)
    assert "0.0/s" in text(history)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--url", "ftp://here"], "expects an address such as http://127.0.0.1:5001, got 'ftp://here'"),
        (["--url", "http://"], "expects an address"),
        (["--url", "here:port"], "expects an address"),
        (["--interval", "0"], "expects seconds from 0.1 to 3600, got '0'"),
        (["--interval", "soon"], "expects seconds"),
        (["word"], "unrecognized arguments: word"),
    ],
)
def test_a_wrong_command_line(words: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *words]) == 2
    assert message in capfd.readouterr().err


def test_no_server(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert main(["top", "--once", "--url", url]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"azmlinfsrv top: error: no server answers at {url} (")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\n\r\n",
            "is answered with 404: it is open on the server's own machine only",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "is not azmlinfsrv"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", "is not azmlinfsrv"),
        (b"SSH-2.0\r\n", "no server answers"),
    ],
)
def test_another_server(answer: bytes, message: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "inference_server", "top", "--once", "--url", url]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as top:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
            _, err = top.communicate(timeout=20)
    assert top.returncode == 1
    assert message in err.decode()
