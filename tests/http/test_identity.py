"""The ids of a request, row by row of the table in the module."""

from __future__ import annotations

import os
import re
import uuid

import pytest

from inference_server.http.head import scan
from inference_server.http.identity import Identity, new_identity
from inference_server.http.limits import Limits

U = "U"  # a new UUID


def identity(*lines: bytes) -> Identity:
    raw = b"POST /score HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    return scan(raw, Limits()).identity()


def answered(made: Identity) -> dict[str, str]:
    """The id lines of the answer; whatever is a UUID reads `U`."""
    lines = made.lines.decode("latin-1").split("\r\n")
    assert lines.pop() == ""
    pairs = dict(line.split(": ", 1) for line in lines)
    assert len(pairs) == len(lines)
    return {name: U if re.fullmatch(r"[0-9a-f-]{36}", value) else value for name, value in pairs.items()}


def row(request: str, ms_request: str, ms_client: str) -> dict[str, str]:
    names = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")
    return {name: value for name, value in zip(names, (request, ms_request, ms_client), strict=True) if value}


A, B, C = b"x-request-id: A", b"X-MS-Request-Id: B", b"x-ms-client-request-id: C"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], row(U, U, "")),
        ([A], row("A", "A", "")),
        ([B], row(U, "B", "B")),
        ([C], row(U, "C", "C")),
        ([A, B], row("A", "B", "B")),
        ([A, C], row("A", "C", "C")),
        ([A, B, C], row("A", "B", "C")),
        ([B, C], row(U, "B", "C")),
        ([b"x-request-id:"], row("", "", "")),
        ([b"x-request-id:", B], row("", "B", "B")),
        ([A, b"x-ms-request-id:"], row("A", "A", "")),
        ([A, A], row("A,A", "A,A", "")),
        ([b"x-request-id:   a b  "], row("a b", "a b", "")),
        ([b"x-request-id: \xe9"], row("é", "é", "")),
        ([b"x_request_id: A"], row(U, U, "")),
        ([b"x-request-id: " + b"a" * 100], row("a" * 100, "a" * 100, "")),
        ([A, b"traceid: T"], {**row("A", "A", ""), "TraceId": "T"}),
        ([b"TraceId: A", b"TraceId: B"], {**row(U, U, ""), "TraceId": "A,B"}),
        ([A, b"trace-id: T", b"traceparent: T"], row("A", "A", "")),
    ],
)
def test_table(lines: list[bytes], expected: dict[str, str]) -> None:
    made = identity(*lines)
    assert answered(made) == expected
    assert not made.refusal
    assert made.deprecated == (B in lines)


def test_a_generated_id_is_used_for_both() -> None:
    made = identity()
    assert made.request_id == made.lines.decode().split("\r\n")[0].removeprefix("x-request-id: ")
    assert made.lines.decode().count(made.request_id) == 2


LONG = b"a" * 101
MS = "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"


@pytest.mark.parametrize(
    ("lines", "refusal", "expected"),
    [
        ([b"x-request-id: " + LONG], "x-request-id must not exceed 100 characters", {}),
        (
            [b"x-request-id: " + LONG, B, b"TraceId: T"],
            "x-request-id must not exceed 100 characters",
            {"TraceId": "T"},
        ),
        ([b"x-ms-request-id: " + LONG], MS, {"x-request-id": U}),
        ([A, b"x-ms-client-request-id: " + LONG], MS, {"x-request-id": "A"}),
        (
            [A, B, b"x-ms-client-request-id: " + LONG, b"TraceId: T"],
            MS,
            {"x-request-id": "A", "TraceId": "T"},
        ),
    ],
)
def test_too_long(lines: list[bytes], refusal: str, expected: dict[str, str]) -> None:
    made = identity(*lines)
    assert made.refusal == refusal
    assert answered(made) == expected


def test_uuids_are_of_version_4_and_never_repeat() -> None:
    made = [new_identity().request_id for _ in range(2000)]
    assert len(set(made)) == len(made)
    for text in made:
        read = uuid.UUID(text)
        assert str(read) == text
        assert read.version == 4
        assert read.variant == uuid.RFC_4122


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_makes_ids_of_its_own() -> None:
    new_identity()  # a block is waiting
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_identity().request_id.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = pipe.read()
    os.waitpid(child, 0)
    assert len(theirs) == 36
    assert theirs not in [new_identity().request_id for _ in range(256)]
