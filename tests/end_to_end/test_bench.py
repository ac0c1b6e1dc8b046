"""`azmlinfsrv bench` against our own server, and against servers that misbehave."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from inference_server.cli import main
from inference_server.load.target import target
from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server, clean_environment, command
from tests.load.raw_servers import FAILED, OK, always, closes, listening, resets, silent
from tests.tools import require_tool

SCRIPT = """
    import json
    def init():
        pass
    def run(data):
        return sum(json.loads(data)["data"])
"""
QUICK = ("-d", "300ms", "--warm_up", "50ms")


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module(SCRIPT)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with requests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "requests").mkdir()
    for number in range(3):
        (tmp_path / "requests" / f"{number}.json").write_text(json.dumps({"data": [number, 1]}))
    (tmp_path / "sample-request.json").write_text('{"data": [1]}')
    return tmp_path


def found(path: str = "out.json") -> dict[str, Any]:
    result: dict[str, Any] = json.loads(Path(path).read_text())
    return result


def test_levels_table_json_and_picture(server: Server, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{server.port}"
    words = [url, "-r", "requests", "-c", "1,4", "--rate", "50", *QUICK, "--json", "out.json"]
    assert main(["bench", *words, "--plot", "load.png"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert f"POST {url}/score: 3 requests of 16 B" in out
    assert "closed loop, 1 / 4 callers; open loop, 50 requests a second; 0.3 s each" in out
    for level in ("1 caller", "4 callers", "50 req/s"):
        assert re.search(rf"^{level} +[\d,.]+ +[\d.]+ .s .* 0 +[\d.]+ .?B$", out, re.MULTILINE), level
    assert re.search(r"^run +[\d.]+ .s +[\d.]+ .s +[\d.]+ .s$", out, re.MULTILINE)  # a column for each level
    document = found()
    assert (document["schema"], document["exit_code"], document["servers"]) == (1, 0, [f"{url}/score"])
    assert [body["bytes"] for body in document["request"]["bodies"]] == [16, 16, 16]
    one, four, open_loop = [level["results"][0] for level in document["levels"]]
    assert (document["levels"][1]["callers"], document["levels"][2]["rate"]) == (4, 50)
    for result in (one, four, open_loop):
        assert result["statuses"] == {"200": result["requests"]}
        assert result["failed"] == 0
        latency = result["latency_ms"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
        assert result["connections_opened"] <= 4
    assert open_loop["requests"] == 15
    assert four["rate"] == pytest.approx(four["requests"] / 0.3, rel=0.2)
    assert {"queue", "channel", "run", "total"} <= set(four["server_timing"]["phases_ms"])
    assert Path("load.png").read_bytes().startswith(b"\x89PNG")


def test_two_servers_in_turn(server: Server, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One that answers, and one that takes 20 ms to."""

    def slow(connection: socket.socket) -> None:
        while connection.recv(65536):
            time.sleep(0.02)
            connection.sendall(OK)

    with listening(slow) as port:
        words = [f"127.0.0.1:{server.port}", "--compare", f"127.0.0.1:{port}", "-c", "2", "--turns", "3"]
        code = main(["bench", *words, *QUICK, "--json", "out.json", "--plot", "both.svg"])
    out, _ = capfd.readouterr()
    assert code == 0, out
    assert f"  B  http://127.0.0.1:{port}/score" in out
    assert re.search(r"^2 callers +A .*\n +B ", out, re.MULTILINE)
    (level,) = found()["levels"]
    assert [len(result["turns"]) for result in level["results"]] == [3, 3]
    assert level["results"][1]["server_timing"] is None
    rate = level["compared"]["rate"]
    assert 0 < rate["low"] <= rate["value"] <= rate["high"]
    assert rate["value"] < 1 < level["compared"]["p50"]["value"]
    assert "</svg>" in Path("both.svg").read_text()


def test_json_alone_on_standard_output(server: Server, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [
        f"127.0.0.1:{server.port}",
        "-n",
        "10",
        "--json",
        "-",
        "--max_p99",
        "0.001",
        "--no_server_timing",
    ]
    assert main(["bench", *words]) == 1
    out, err = capfd.readouterr()
    result = json.loads(out)["levels"][0]["results"][0]
    assert (result["requests"], result["server_timing"]) == (10, None)
    assert json.loads(out)["exit_code"] == 1
    assert re.search(r"^8 callers: p99 is .*, more than 0.001 ms\.$", err, re.MULTILINE)


def test_a_script_that_fails_is_not_loaded_unless_asked_for(
    server: Server, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("bad.json").write_text('{"data": ["a"]}')
    url = f"http://127.0.0.1:{server.port}"
    assert main(["bench", url, "-r", "bad.json"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    start = f"azmlinfsrv bench: error: the first request (bad.json) to {url}/score was answered with 500: "
    assert line.startswith(start)
    assert line.endswith("; --max_errors 100 loads it nevertheless")
    words = [
        "bench",
        url,
        "-r",
        "requests/0.json",
        "-r",
        "bad.json",
        "-n",
        "20",
        "-c",
        "1",
        "--json",
        "out.json",
    ]
    assert main([*words, "--max_errors", "49"]) == 1
    assert main([*words, "--max_errors", "50%"]) == 0
    out, _ = capfd.readouterr()
    assert "10 of 20 requests failed  200: 10   500: 10" in out
    assert re.search(r"^  500 \(bad\.json\): .*scoring script", out, re.MULTILINE)
    result = found()["levels"][0]["results"][0]
    assert result["failures"][0]["body"] == "bad.json"


@pytest.mark.parametrize(
    ("handle", "kind"),
    [
        (resets, "reset"),
        (closes, "closed"),
        (silent, "timeout"),
        (always(FAILED), "500"),
        (always(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", close=True), "wrong length"),
    ],
)
def test_servers_in_trouble(handle: Any, kind: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with listening(handle) as port:
        words = ["bench", f"127.0.0.1:{port}", "--timeout", "200ms", "-n", "4", "-c", "2", "--warm_up", "0"]
        assert main([*words, "--max_errors", "99"]) == 1
        out, _ = capfd.readouterr()
        assert f"4 of 4 requests failed  {kind}: 4" in out
        assert main(words) == 1
        out, err = capfd.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1
        assert f"{kind}" in err


def test_the_key_is_sent_and_never_shown(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def handle(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            known = b"\r\nAuthorization: Bearer s3cret\r\n" in data
            connection.sendall(OK if known else b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    monkeypatch.setenv("THE_KEY", "s3cret")
    with listening(handle) as port:
        words = ["bench", f"127.0.0.1:{port}", "-n", "5", "--warm_up", "0", "--json", "out.json"]
        assert main(words) == 1
        assert "was answered with 401: ; --key_env or --key_file sends a key" in capfd.readouterr().err
        assert main([*words, "--key_env", "THE_KEY"]) == 0
    shown = "".join(capfd.readouterr()) + Path("out.json").read_text()
    assert "s3cret" not in shown
    assert found()["request"]["headers"] == ["Authorization"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_shows_what_it_has(server: Server, here: Path, number: int) -> None:
    """On a terminal, where the line that changes says when it is under way."""
    pty = pytest.importorskip("pty")
    main_end, other_end = pty.openpty()
    words = [f"http://127.0.0.1:{server.port}", "-c", "2,4", "-d", "60s", "--json", "out.json"]
    process = subprocess.Popen(
        command("bench", *words),
        cwd=here,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=other_end,
        text=True,
    )
    os.close(other_end)
    try:
        seen = ""
        until = time.monotonic() + 30
        while not re.search(r"[█░]{10} .* s  2 callers  [\d,.]+ req/s  p50 .* p99 .* 0 failed", seen):
            ready, _, _ = select.select([main_end], [], [], max(0.0, until - time.monotonic()))
            assert ready, seen
            seen += os.read(main_end, 4096).decode()
        process.send_signal(number)
        out, _ = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
        os.close(main_end)
    assert process.returncode == 130
    assert re.search(r"^2 callers +[1-9]", out, re.MULTILINE)
    assert "4 callers" not in out.partition("──")[2]
    assert "Interrupted: this is what was measured until then." in out
    assert "\x1b" not in out
    (level,) = found()["levels"]
    assert level["results"][0]["interrupted"]


@pytest.mark.system
def test_https(serve: Serve, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    openssl = require_tool("openssl")
    how = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    made = [
        openssl,
        *how.split(),
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
    ]
    subprocess.run(made, check=True, capture_output=True)
    flags = ("--certfile", str(here / "cert.pem"), "--keyfile", str(here / "key.pem"))
    server = serve(SCRIPT, *flags, wait=False)
    server.wait_log("ready for serving traffic", 30)
    words = [
        "bench",
        f"https://localhost:{server.port}",
        "-n",
        "40",
        "--rate",
        "400",
        "-c",
        "4",
        "--warm_up",
        "0",
    ]
    assert main([*words, "-r", "big.bin"]) == 2
    Path("big.json").write_text(json.dumps({"data": [1] * 200_000}))
    assert main(words) == 1
    assert "had no answer: TLS (self" in capfd.readouterr().err
    assert main([*words, "--insecure"]) == 0
    assert main([*words, "--cacert", "cert.pem", "-r", "big.json", "-r", "requests"]) == 0
    assert main([*words[:1], f"https://127.0.0.1:{server.port}", "--cacert", "cert.pem"]) == 1
    assert "TLS (" in capfd.readouterr().err
    assert target(f"https://localhost:{server.port}").tls is not None


def test_a_log_has_a_line_now_and_then(server: Server, here: Path) -> None:
    words = [f"127.0.0.1:{server.port}", "-c", "1", "-d", "5500ms", "--warm_up", "0"]
    done = subprocess.run(
        command("bench", *words),
        cwd=here,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(r"  5\.\d s  1 caller  [\d,]+ req/s  p50 .*s  p99 .*s  0 failed", line)
