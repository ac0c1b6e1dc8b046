from __future__ import annotations

import logging
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.scoring.logs import RootAccessFilter
from inference_server.telemetry.access import AccessLog, Entry, LoggedAccess, NoAccess, about, open_access
from inference_server.telemetry.output import Writer

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} I \[4711\] "
CLOCK = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"


def lines_of(*entries: Entry) -> list[str]:
    reader, end = os.pipe()
    log = AccessLog(Writer(end), 4711)
    log.write(entries)
    os.close(end)
    log._writer.write(b"END\n")
    return os.read(reader, 1 << 16).decode().removesuffix("END\n").splitlines(keepends=True)


def asked(
    host: str = "127.0.0.1",
    request_line: bytes = b"POST /score?a=1 HTTP/1.1",
    referer: bytes = b"",
    agent: bytes = b"curl/8.5.0",
    status: int = 200,
    length: int | None = 12,
    sent: int = 0,
    scored: bool = True,
    seconds: float = 0.00314159,
) -> Entry:
    return (
        about(host, request_line, referer, agent),
        status,
        length,
        sent,
        scored,
        seconds,
        0,
        None,
        None,
        0.0,
    )


def test_a_scoring_request_leaves_its_two_lines() -> None:
    first, second = lines_of(asked())
    assert re.fullmatch(STAMP + r"azmlinfsrv - POST /score\?a=1 200 3\.142ms 12\n", first)
    assert re.fullmatch(
        STAMP
        + r"gunicorn\.access - 127\.0\.0\.1 - - "
        + CLOCK
        + r' "POST /score\?a=1 HTTP/1\.1" 200 12 "-" "curl/8\.5\.0"\n',
        second,
    )


def test_a_streamed_answer_has_no_length_but_what_was_sent() -> None:
    first, second = lines_of(asked(length=None, sent=77))
    assert first.endswith(" 3.142ms N/A\n")
    assert ' 200 77 "-" ' in second


def test_other_routes_leave_the_access_line_and_probes_none() -> None:
    (line,) = lines_of(asked(request_line=b"GET /nowhere HTTP/1.1", status=404, scored=False))
    assert '"GET /nowhere HTTP/1.1" 404 12' in line
    assert lines_of(asked(request_line=b"GET / HTTP/1.1", scored=False)) == []
    assert len(lines_of(asked(request_line=b"GET /?x HTTP/1.1", scored=False))) == 1
    assert len(lines_of(asked(request_line=b"HEAD / HTTP/1.1", scored=False))) == 1
    assert len(lines_of(asked(request_line=b"GET / HTTP/1.0", scored=False))) == 1


def test_many_requests_of_one_turn_are_written_together_and_kept_apart() -> None:
    lines = lines_of(*[asked(length=number, agent=b"a%d" % (number % 3)) for number in range(50)])
    assert len(lines) == 100
    assert [int(line.split()[-1]) for line in lines[::2]] == list(range(50))
    assert [line.split('"')[-2] for line in lines[1::2]] == [f"a{number % 3}" for number in range(50)]


def test_what_a_caller_sends_cannot_forge_a_line() -> None:
    first, second = lines_of(
        asked(
            request_line=b'POST /score?x="\\\x1b\n HTTP/1.1',
            agent=b'x" 200 1 "-" "y\r\n2026-01-31 fake',
            referer=b"\xe9\x00",
        )
    )
    assert 'POST /score?x=\\"\\\\\\x1b\\x0a 200' in first
    assert '"\\xe9\\x00" "x\\" 200 1 \\"-\\" \\"y\\x0d\\x0a2026-01-31 fake"' in second


@given(st.binary(max_size=700), st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_make_printable_lines(line: bytes, referer: bytes, agent: bytes) -> None:
    for text in lines_of(asked(request_line=line, referer=referer, agent=agent)):
        assert text.endswith("\n")
        assert text[:-1].isprintable()
        assert text.isascii()


def test_with_a_logging_json_the_lines_are_records(caplog: pytest.LogCaptureFixture) -> None:
    log = LoggedAccess(4711)
    with caplog.at_level(logging.INFO):
        log.write([asked(), asked(length=None, sent=5, scored=False)])
    server, access, streamed = caplog.records
    assert (server.name, server.getMessage()) == ("azmlinfsrv", "POST /score?a=1 200 3.142ms 12")
    assert access.name == "gunicorn.access"
    assert re.fullmatch(
        rf'127\.0\.0\.1 - - {CLOCK} "POST /score\?a=1 HTTP/1\.1" 200 12 "-" "curl/8\.5\.0"',
        access.getMessage(),
    )
    assert isinstance(access.args, dict)
    assert {"s": "200", "U": "/score", "q": "a=1", "m": "POST", "D": "3141"}.items() <= access.args.items()
    assert ' 200 5 "-"' in streamed.getMessage()


def test_the_filter_drops_probes_only() -> None:
    def record(message: str) -> logging.LogRecord:
        return logging.LogRecord("gunicorn.access", logging.INFO, "", 0, message, None, None)

    keep = RootAccessFilter().filter
    assert not keep(record('127.0.0.1 - - "GET / HTTP/1.1" 200 7'))
    assert keep(record('127.0.0.1 - - "GET /score HTTP/1.1" 200 7'))


def test_the_kind_of_log_follows_the_settings() -> None:
    writer = Writer(os.open(os.devnull, os.O_WRONLY))
    assert isinstance(open_access(None, "info", writer, 1), AccessLog)
    assert isinstance(open_access(None, "WARNING", writer, 1), NoAccess)
    assert isinstance(open_access("logging.json", "WARNING", writer, 1), LoggedAccess)
