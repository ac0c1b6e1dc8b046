"""How a request becomes the arguments of run(), without any script."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.scoring.errors import BadInput
from inference_server.scoring.inflate import inflate
from inference_server.scoring.inputs import Parameters, is_json, parse_query, schema_arguments, text_arguments
from inference_server.scoring.request import Request

JSON = "application/json"


def meta(*headers: tuple[str, str]) -> bytes:
    lines = [
        "/score",
        "HTTP/1.1",
        "http",
        "h:1",
        "c:2",
        "id",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\n".join(lines).encode("latin-1")


def text(
    method: str = "POST", query: bytes = b"", body: bytes = b"", headers: Any = (), limit: int = 0
) -> str:
    arguments = text_arguments(Parameters(("data",), {}, False), limit)
    return arguments(Request(method, query, body, meta(*headers) if headers else b""))["data"]


def schema(
    body: bytes, content_type: str | None = JSON, method: str = "POST", query: bytes = b""
) -> dict[str, Any]:
    arguments = schema_arguments(Parameters(("a", "num"), {"a": 5}, False), 0)
    headers = [("content-type", content_type)] if content_type is not None else []
    return arguments(Request(method, query, body, meta(*headers)))


def refused(function: Any, *args: Any, **kwargs: Any) -> tuple[int, str]:
    with pytest.raises(BadInput) as caught:
        function(*args, **kwargs)
    answer = caught.value.answer
    assert answer.failed is False
    assert answer.content_type == JSON
    assert isinstance(answer.body, bytes)
    return answer.status, json.loads(answer.body)["message"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ""),
        (b'{"a":', '{"a":'),
        (b"\xef\xbb\xbf{}", "\ufeff{}"),
        ("é".encode(), "é"),
        (b"a=1&b=2", "a=1&b=2"),
    ],
)
def test_a_plain_script_gets_the_body_as_text(body: bytes, expected: str) -> None:
    assert text(body=body) == expected
    assert text(body=memoryview(body)) == expected  # type: ignore[arg-type]


def test_a_post_ignores_its_query_and_a_get_its_body() -> None:
    assert text(body=b"x", query=b"a=1") == "x"
    assert text("GET", query=b"a=1", body=b"x") == '{"a": 1}'


def test_a_body_that_is_not_utf8_is_refused_with_the_codecs_words() -> None:
    assert refused(text, body=b"\xff\xfe") == (
        400,
        "Input cannot be decoded as UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", "{}"),
        (b"x=1", '{"x": 1}'),
        (b"a=1&b=[1,2]&c=a&d=null", '{"a": 1, "b": [1, 2], "c": "a", "d": null}'),
        (b"a=&b&=3&&y=1&y=z", '{"a": "", "b": "", "": 3, "y": [1, "z"]}'),
        (b"y=1&y=2&y=3", '{"y": [1, 2, 3]}'),
        (b"y=[1]&y=2&y=3", '{"y": [[1], 2, 3]}'),
        (b"x=%E9&%E9=1&u=%C3%A9", '{"x": "%E9", "%E9": 1, "u": "\\u00e9"}'),
        (b"s=a+b&t=1;2", '{"s": "a b", "t": "1;2"}'),
        (b"n=NaN&big=1e400", '{"n": NaN, "big": Infinity}'),
        (b"raw=\xe9", '{"raw": "%E9"}'),
    ],
)
def test_a_get_hands_its_query_on_as_json(query: bytes, expected: str) -> None:
    assert text("GET", query=query) == expected


def test_a_query_nested_too_deep_stays_text() -> None:
    assert parse_query(b"x=" + b"[" * 100_000) == {"x": "[" * 100_000}


@given(st.binary(max_size=60))
def test_any_query_can_be_read(query: bytes) -> None:
    json.dumps(parse_query(query))


@pytest.mark.parametrize(
    "kind", [JSON, "application/json; charset=utf-8", "APPLICATION/JSON", "application/ld+json"]
)
def test_json_content_types(kind: str) -> None:
    assert is_json(kind)
    assert schema(b'{"num": 1}', kind) == {"a": 5, "num": 1}


@pytest.mark.parametrize(
    "kind", ["text/json", "application/jsonx", "", None, "application/x-www-form-urlencoded"]
)
def test_other_content_types_are_refused(kind: str | None) -> None:
    assert refused(schema, b'{"num": 1}', kind) == (415, "Expects Content-Type to be application/json")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "POST body is empty. Expecting a JSON dictionary."),
        (
            b"{",
            "POST body could not be decoded as JSON: "
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (b"[1]", "POST body should be a JSON dictionary."),
        (b"null", "POST body should be a JSON dictionary."),
        (b'{"a": 1}', "A value is not provided for the 'num' parameter."),
    ],
)
def test_schema_bodies_that_do_not_fit(body: bytes, message: str) -> None:
    assert refused(schema, body) == (400, message)


@pytest.mark.parametrize("body", [b"\xff", b'{"num": "\xff"}', b"[" * 100_000])
def test_schema_bodies_that_cannot_be_read_are_the_callers_fault(body: bytes) -> None:
    status, message = refused(schema, body)
    assert status == 400
    assert message.startswith("POST body could not be decoded as JSON: ")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_schema_body_may_be_any_unicode_encoding(encoding: str) -> None:
    assert schema('{"num": "é"}'.encode(encoding)) == {"a": 5, "num": "é"}


def test_schema_arguments_fill_in_defaults_and_leave_the_rest_out() -> None:
    assert schema(b'{"num": 1, "num": 2, "extra": 3}') == {"a": 5, "num": 2}
    assert schema(b"", None, "GET", b"num=[1]&a=x") == {"a": "x", "num": [1]}
    assert refused(schema, b"", None, "GET", b"") == (400, "A value is not provided for the 'num' parameter.")


def test_headers_are_handed_on_in_title_case() -> None:
    arguments = text_arguments(Parameters(("data",), {}, True), 0)
    headers = [
        ("host", "h"),
        ("x-3abc", "q"),
        ("x-multi", "a"),
        ("x-multi", "b"),
        ("x_forged", "no"),
        ("x-c", "a: b"),
    ]
    found = arguments(Request("POST", b"", b"hi", meta(*headers)))
    expected = {"Host": "h", "X-3Abc": "q", "X-Multi": "a,b", "X-C": "a: b"}
    assert found == {"data": "hi", "request_headers": expected}


def test_the_facts_of_a_request() -> None:
    request = Request("POST", b"", b"", meta(("x-a", "1")))
    facts = (
        request.target,
        request.version,
        request.scheme,
        request.server,
        request.client,
        request.request_id,
    )
    assert facts == ("/score", "HTTP/1.1", "http", "h:1", "c:2", "id")
    assert Request("POST", b"", b"").headers == []
    assert Request("POST", b"", b"").header("x-a") == ""


# ---------------------------------------------------------------- compressed bodies


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": [
        gzip.compress(b"hello", mtime=0),
        gzip.compress(b"hel", mtime=0) + gzip.compress(b"lo", mtime=0),
    ],
    "X-Gzip": [gzip.compress(b"hello", mtime=0)],
    " deflate ": [zlib.compress(b"hello"), raw_deflate(b"hello")],
    "identity": [b"hello"],
}


@pytest.mark.parametrize(
    ("coding", "body"), [(coding, body) for coding, bodies in PACKED.items() for body in bodies]
)
def test_compressed_bodies_are_inflated(coding: str, body: bytes) -> None:
    assert text(body=body, headers=[("content-encoding", coding)]) == "hello"
    assert inflate(body, coding, 5) == b"hello"
    if coding != "identity":
        assert refused(inflate, body, coding, 4)[0] == 413


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert refused(inflate, bomb, "gzip", 1000) == (
        413,
        "The request body is larger than 1000 bytes after decompression.",
    )


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "spoil", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"\0\0" + b, lambda b: b[:4]]
)
def test_corrupt_bodies_are_refused(coding: str, spoil: Any) -> None:
    whole = gzip.compress(b"hello") if coding == "gzip" else zlib.compress(b"hello")
    status, message = refused(inflate, spoil(whole), coding, 0)
    assert status == 400
    assert message.startswith(f"The request body could not be decompressed as {coding}: ")


def test_many_members_cost_little() -> None:
    members = gzip.compress(b"hello") * 1000
    assert inflate(members, "gzip", 0) == b"hello" * 1000
    began = time.process_time()
    assert refused(inflate, gzip.compress(b"") * 400_000, "gzip", 0) == (
        400,
        "The request body has more than 1000 gzip members. Compress it as one.",
    )
    assert time.process_time() - began < 1.0


def test_a_body_longer_than_what_is_fed_at_once() -> None:
    data = bytes(i * i % 251 for i in range(300_000))
    stored = gzip.compress(data, compresslevel=0)
    for body, whole in ((stored, data), (memoryview(stored + gzip.compress(data)), data * 2)):
        assert inflate(body, "gzip", 0) == whole
        assert inflate(body, "gzip", len(whole)) == whole
        assert refused(inflate, body, "gzip", len(whole) - 1)[0] == 413


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_unknown_codings_are_refused_and_the_known_named(coding: str) -> None:
    with pytest.raises(BadInput) as caught:
        inflate(b"x", coding, 0)
    assert caught.value.answer.status == 415
    assert caught.value.answer.headers == [("Accept-Encoding", "gzip, deflate")]


@given(st.binary(max_size=300), st.integers(1, 400))
def test_inflating_is_the_inverse_of_deflating_within_the_limit(data: bytes, limit: int) -> None:
    for coding, packed in (("gzip", gzip.compress(data)), ("deflate", zlib.compress(data))):
        if len(data) <= limit:
            assert inflate(packed, coding, limit) == data
        else:
            assert refused(inflate, packed, coding, limit)[0] == 413
