"""What the log says of requests: two lines for a scored one, one for others, none for probes, and nothing else."""

from __future__ import annotations

import re

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} I \[\d+\] "
LOCAL = r"127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "


def since(server: Server, mark: str) -> list[str]:
    """The lines of the log after the ones of the request with `mark` in its query."""
    lines = server.log().splitlines()
    return lines[max(at for at, line in enumerate(lines) if mark in line) + 1 :]


def test_lines_per_request(serve: Serve) -> None:
    server = serve()
    server.get("/score?mark")
    server.wait_log('"GET /score?mark HTTP/1.1" 200')
    server.ask("POST", "/score?a=1", b"x", {"User-Agent": "tester", "Referer": "http://r"})
    server.get("/swagger.json")
    server.get("/")
    for probe in ("/livez", "/readyz", "/startupz", "/metrics"):
        server.get(probe)
    server.ask("HEAD", "/")
    server.ask("PUT", "/score")
    server.get("/unknown")
    server.ask("POST", "/score", b"x", {"x-request-id": "a" * 101})
    server.get("/score?end")
    server.wait_log('"GET /score?end HTTP/1.1" 200')
    expected = [
        r"azmlinfsrv - POST /score\?a=1 200 \d+\.\d{3}ms 3",
        rf'gunicorn\.access - {LOCAL}"POST /score\?a=1 HTTP/1\.1" 200 3 "http://r" "tester"',
        r"azmlinfsrv - GET /swagger\.json 200 \d+\.\d{3}ms \d+",
        rf'gunicorn\.access - {LOCAL}"GET /swagger\.json HTTP/1\.1" 200 \d+ "-" "-"',
        rf'gunicorn\.access - {LOCAL}"HEAD / HTTP/1\.1" 200 \d "-" "-"',
        rf'gunicorn\.access - {LOCAL}"PUT /score HTTP/1\.1" 405 \d+ "-" "-"',
        rf'gunicorn\.access - {LOCAL}"GET /unknown HTTP/1\.1" 404 \d+ "-" "-"',
        rf'gunicorn\.access - {LOCAL}"POST /score HTTP/1\.1" 431 \d+ "-" "-"',
        r"azmlinfsrv - GET /score\?end 200 \d+\.\d{3}ms \d+",
        rf'gunicorn\.access - {LOCAL}"GET /score\?end HTTP/1\.1" 200 \d+ "-" "-"',
    ]
    lines = since(server, "?mark")
    assert len(lines) == len(expected), lines
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(STAMP + pattern, line), (line, pattern)


def test_without_access_lines(serve: Serve) -> None:
    server = serve("def init(): pass\ndef run(x): return x", "--no_access_log")
    before = server.log()
    server.ask("POST", "/score", b"quiet")
    server.raw(b"GET / HTTP/1.1\r\n\r\n")
    server.wait_log("Refused a request")
    assert len(server.log()[len(before) :].splitlines()) == 1
