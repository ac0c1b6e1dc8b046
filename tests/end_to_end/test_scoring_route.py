"""The scoring route by the contract, the same over every way that leads to it."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.lanes import NAMES, Lane, Lanes
from tests.end_to_end.running import Reply, alive, wait_for

JSON = "application/json"
HTML = "text/html; charset=utf-8"
BYTES = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL = "An unexpected internal error occurred. Check the logs for more info."
NOT_ALLOWED = "The method is not allowed for the requested URL."
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

STRING = """
    import datetime, decimal, time
    import numpy, pandas
    from azureml_inference_server_http.api.aml_response import AMLResponse

    def init():
        pass

    def items(*values):
        yield from values

    def run(data, request_headers):
        if data.startswith("return "):
            return eval(data[len("return "):])
        if data.startswith("exec "):
            exec(data[len("exec "):])
        if data == "headers":
            return request_headers
        return data
"""

SCHEMA = """
    import numpy
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
    from inference_schema.schema_decorators import input_schema, output_schema

    def init():
        pass

    @input_schema("rows", NumpyParameterType(numpy.array([[1.0, 2.0]])))
    @input_schema("factor", StandardPythonParameterType(2))
    @output_schema(StandardPythonParameterType([1.0]))
    def run(rows, factor, note="none"):
        return {"sums": (rows.sum(axis=1) * factor).tolist(), "note": note}
"""

RAW = """
    import flask
    from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
    from azureml_inference_server_http.api.aml_response import AMLResponse

    def init():
        pass

    @rawhttp
    def run(request: AMLRequest):
        what = request.args.get("what")
        if what == "json":
            return flask.jsonify(request.json)
        if what == "form":
            return {"form": request.form, "files": {k: f.read().decode() for k, f in request.files.items()}}
        if what == "status":
            return AMLResponse("teapot", 418, {"X-Kind": "pot"})
        if what == "abort":
            flask.abort(499)
        return {
            "method": request.method,
            "path": request.full_path,
            "url": request.url,
            "data": request.get_data().decode("latin-1"),
            "type": request.content_type,
            "encoding": request.headers.get("Content-Encoding"),
            "remote": request.remote_addr,
            "flask": isinstance(request, flask.Request),
        }
"""

SCRIPTS = {"string": STRING, "schema": SCHEMA, "raw": RAW}
ORIGIN = "https://www.example.com"
SETTINGS = {
    "AML_CORS_ORIGINS": f"{ORIGIN}, https://other.example.com",
    "SCORING_TIMEOUT_MS": "500",
    "AZMLINFSRV_MAX_BODY_BYTES": "9000000",
}


@pytest.fixture(scope="module", params=NAMES)
def lanes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    """`lanes("schema")`: the lane with that script, started when it is first asked for."""
    base = tmp_path_factory.mktemp(request.param)
    started: dict[str, Lane] = {}

    def lane(script: str) -> Lane:
        if script not in started:
            made = started[script] = Lane(request.param, base / script, SCRIPTS[script], SETTINGS)
            made.wait_ready()
        return started[script]

    yield lane
    for each in started.values():
        each.server.stop()


@pytest.fixture
def string(lanes: Lanes) -> Lane:
    return lanes("string")


@pytest.fixture
def schema(lanes: Lanes) -> Lane:
    return lanes("schema")


@pytest.fixture
def raw(lanes: Lanes) -> Lane:
    return lanes("raw")


def message(reply: Reply) -> Any:
    """The message of an error answer, which holds nothing else."""
    body = reply.json()
    assert list(body) == ["message"]
    assert reply.headers["content-type"] == JSON
    return body["message"]


# -------------------------------------------------------------------- requests in string mode


@pytest.mark.parametrize(
    ("content_type", "body", "seen"),
    [
        (JSON, b'{"a": 1}', '{"a": 1}'),
        (JSON, b'{"a":', '{"a":'),
        (JSON, b"", ""),
        ("text/plain", b"plain", "plain"),
        ("application/x-www-form-urlencoded", b"a=1&b=2", "a=1&b=2"),
        ("multipart/form-data; boundary=x", b"--x--", "--x--"),
        (JSON, "\ufeffé€\U0001f600".encode(), "\ufeffé€\U0001f600"),
        (JSON, b"x" * 8_000_000, "x" * 8_000_000),
    ],
)
def test_a_posted_body_arrives_as_text(string: Lane, content_type: str, body: bytes, seen: str) -> None:
    reply = string.score(body, content_type)
    assert (reply.status, reply.json()) == (200, seen)
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert float(reply.headers["x-ms-run-fn-exec-ms"]) >= 0
    assert reply.headers["content-type"] == JSON
    assert int(reply.headers["content-length"]) == len(reply.body)


def test_a_body_without_a_type_arrives_too(string: Lane) -> None:
    assert string.ask("POST", "/score", b"[1]").json() == "[1]"
    assert string.ask("POST", "/score?ignored=1", b"[1]").json() == "[1]"
    assert string.ask("POST", "/score").json() == ""


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        (b"\xff\xfe", JSON, "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (
            "é".encode("latin-1"),
            "text/plain; charset=latin-1",
            "'utf-8' codec can't decode byte 0xe9 in position 0: unexpected end of data",
        ),
    ],
)
def test_a_body_that_is_no_text(string: Lane, body: bytes, content_type: str, why: str) -> None:
    reply = string.score(body, content_type)
    assert (reply.status, message(reply)) == (400, f"Input cannot be decoded as UTF-8: {why}")
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert "x-ms-run-fn-exec-ms" not in reply.headers


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("", "{}"),
        ("?x=1", '{"x": 1}'),
        ("?a=1&b=[1,2]&c=a&d=null", '{"a": 1, "b": [1, 2], "c": "a", "d": null}'),
        ("?a=1&a=b", '{"a": [1, "b"]}'),
        ("?a=&b", '{"a": "", "b": ""}'),
        ("?a=x+y%20z", '{"a": "x y z"}'),
        ("?a=%E9", '{"a": "%E9"}'),
        ("?a=1e400&b=NaN", '{"a": Infinity, "b": NaN}'),
        ("?a=1;b=2", '{"a": "1;b=2"}'),
    ],
)
def test_a_query_arrives_as_json(string: Lane, query: str, seen: str) -> None:
    assert string.ask("GET", "/score" + query).json() == seen


def test_the_body_of_a_get_is_ignored(string: Lane) -> None:
    assert string.ask("GET", "/score?x=1", b"ignored").json() == '{"x": 1}'


def test_request_headers(string: Lane) -> None:
    seen = string.score("headers", x_foo_bar="1", X_EMPTY="").json()
    assert seen["X-Foo-Bar"] == "1"
    assert seen["X-Empty"] == ""
    assert seen["Content-Type"] == JSON


def test_compressed_bodies(string: Lane) -> None:
    assert string.score(gzip.compress("né".encode()), content_encoding="gzip").json() == "né"
    assert string.score(b"none", content_encoding="gzip").status == 400
    assert string.score(gzip.compress(b"0" * 9_000_001), content_encoding="gzip").status == 413


def test_a_chunked_body(string: Lane) -> None:
    pieces: Any = iter((b"in ", b"pieces"))  # without a length: http.client sends chunks
    assert string.ask("POST", "/score", pieces).json() == "in pieces"


def test_a_body_over_the_limit(string: Lane) -> None:
    bodies: list[Any] = [b"x" * 9_000_001, itertools.repeat(b"x" * 100_000, 91)]
    for body in bodies:
        reply = string.ask("POST", "/score", body)
        assert (reply.status, message(reply)) == (413, "the request body is larger than 9000000 bytes")
    assert string.score("next").json() == "next"


# -------------------------------------------------------------------- results


@pytest.mark.parametrize(
    ("value", "content_type", "body"),
    [
        ("{'a': [1, 2.5, None, True], 'é': 'é'}", JSON, b'{"a": [1, 2.5, null, true], "\\u00e9": "\\u00e9"}'),
        ("(1, 2)", JSON, b"[1, 2]"),
        ("'text'", JSON, b'"text"'),
        ("'{\"a\": 1}'", JSON, b'"{\\"a\\": 1}"'),
        ("7", JSON, b"7"),
        ("False", JSON, b"false"),
        ("None", JSON, b"{}"),
        ("('body', 418)", JSON, b'["body", 418]'),
        ("[float('nan'), float('inf')]", JSON, b"[NaN, Infinity]"),
        ("{1: 2}", JSON, b'{"1": 2}'),
        ("numpy.float64(1.5)", JSON, b"1.5"),
        ("numpy.float32(0.5)", JSON, b"0.5"),
        ("numpy.arange(4).reshape(2, 2)", JSON, b"[[0, 1], [2, 3]]"),
        ("{'a': numpy.bool_(True)}", JSON, b'{"a": true}'),
        ("pandas.DataFrame({'a': [1, 2]})", JSON, b'[{"a": 1}, {"a": 2}]'),
        ("b'\\x00\\xff'", BYTES, b"\x00\xff"),
        ("bytearray(b'x')", BYTES, b"x"),
        ("items('a', 'é')", TEXT, "aé".encode()),
        ("items(b'a', b'', b'b')", BYTES, b"ab"),
        ("items({'a': 1}, {'a': 2})", "application/x-ndjson", b'{"a": 1}\n{"a": 2}\n'),
        ("AMLResponse('é', 201)", HTML, "é".encode()),
        ("AMLResponse(b'\\xff', 201)", HTML, b"\xff"),
        ("AMLResponse({'a': 1}, 201, json_str=True)", JSON, b'{"a": 1}'),
        ("AMLResponse(None, 201)", JSON, b"{}"),
        ("AMLResponse('x', 201, {'Content-Type': 'text/csv'})", "text/csv", b"x"),
        ("AMLResponse(items('a', b'b'), 201)", HTML, b"ab"),
    ],
)
def test_what_run_returns(string: Lane, value: str, content_type: str, body: bytes) -> None:
    reply = string.score("return " + value)
    assert reply.body == body
    assert reply.status == (201 if "AMLResponse" in value else 200)
    assert reply.headers["content-type"] == content_type
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert float(reply.headers["x-ms-run-fn-exec-ms"]) >= 0
    assert ("items(" in value) == (reply.headers.get("transfer-encoding") == "chunked")


@pytest.mark.parametrize("value", ["{1, 2}", "decimal.Decimal(1)", "object()", "{(1, 2): 3}", "1j"])
def test_what_cannot_be_turned_into_an_answer(string: Lane, value: str) -> None:
    reply = string.score("return " + value)
    assert (reply.status, message(reply)) == (500, INTERNAL)
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert "x-ms-run-fn-exec-ms" not in reply.headers


def test_responses_choose_status_and_headers(string: Lane) -> None:
    reply = string.score(
        "return AMLResponse('x', 503, {'X-A': 'b', 'x-request-id': 'mine', 'Content-Length': '99', 'Server': 'me'})"
    )
    assert (reply.status, reply.body) == (503, b"x")
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert reply.headers["x-a"] == "b"
    assert UUID.fullmatch(reply.headers["x-request-id"])
    assert reply.headers["content-length"] == "1"
    assert reply.headers["server"] != "me"
    for status in (204, 304):
        reply = string.score(f"return AMLResponse('x', {status})")
        assert (reply.status, reply.body) == (status, b"")
        assert "content-length" not in reply.headers
    assert string.score("next").json() == "next"


@pytest.mark.parametrize(
    "header", ["'X': 'a\\r\\nSet-Cookie: b'", "'X': 'a\\nb'", "'X\\r\\nY': 'a'", "'X': 'a\\x00'"]
)
def test_headers_with_line_breaks_never_split_an_answer(string: Lane, header: str) -> None:
    reply = string.score("return AMLResponse('x', 200, {" + header + "})")
    assert (reply.status, message(reply)) == (500, FAILED)
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert "set-cookie" not in reply.headers


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "what", ["raise ValueError('secret')", "raise SystemExit(0)", "raise KeyboardInterrupt", "1/0"]
)
def test_a_script_that_raises(string: Lane, what: str) -> None:
    reply = string.score("exec " + what)
    assert (reply.status, message(reply)) == (500, FAILED)
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert "x-ms-run-fn-exec-ms" not in reply.headers
    assert string.score("next").json() == "next"


def test_the_time_limit(string: Lane) -> None:
    reply = string.score("exec time.sleep(10)")
    assert (reply.status, message(reply)) == (500, "Scoring timeout after 500 ms")
    assert reply.headers["x-ms-run-function-failed"] == "True"


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "BREW"])
def test_other_methods(lanes: Lanes, script: str, method: str) -> None:
    lane = lanes(script)
    if method == "BREW" and lane.name != "command":
        return  # its server refuses a method it does not know
    reply = lane.ask(method, "/score", b"x")
    assert (reply.status, message(reply)) == (405, NOT_ALLOWED)
    assert set(reply.headers["allow"].split(", ")) == {"GET", "POST", "OPTIONS"}
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert reply.headers["x-ms-server-version"].startswith("azmlinfsrv/")
    assert UUID.fullmatch(reply.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/score/", "/Score", "/scores", "/score/x"])
def test_other_paths(string: Lane, path: str) -> None:
    reply = string.ask("POST", path, b"x")
    assert reply.status == 404
    assert message(reply).startswith("The requested URL was not found on the server.")
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert UUID.fullmatch(reply.headers["x-request-id"])


def test_spellings_of_the_path(string: Lane) -> None:
    assert string.ask("POST", "/%73core", b"x").json() == "x"
    if string.name != "mounted":  # there the host application decides what its mount matches
        assert string.ask("POST", "//score", b"x").json() == "x"


def test_head_and_options_need_no_script(string: Lane) -> None:
    reply = string.ask("HEAD", "/score")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (405, b"", "33")
    reply = string.ask("OPTIONS", "/score")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b"", HTML)
    assert reply.headers["x-ms-run-function-failed"] == "False"


# -------------------------------------------------------------------- ids

A, B, C = "a" * 100, "b", "c"


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ((None, None, None), ("uuid", "same", None)),
        ((A, None, None), (A, A, None)),
        ((None, B, None), ("uuid", B, B)),
        ((None, None, C), ("uuid", C, C)),
        ((A, B, None), (A, B, B)),
        ((A, None, C), (A, C, C)),
        ((A, B, C), (A, B, C)),
        ((None, B, C), ("uuid", B, C)),
        (("", None, None), (None, None, None)),
        (("  a b  ", None, None), ("a b", "a b", None)),
        (("\xe9", None, None), ("\xe9", "\xe9", None)),
    ],
)
@pytest.mark.parametrize("path", ["/score", "/", "/swagger.json"])
def test_ids(
    string: Lane, path: str, given: tuple[str | None, ...], answered: tuple[str | None, ...]
) -> None:
    names = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")
    headers = {name: value for name, value in zip(names, given, strict=True) if value is not None}
    reply = string.ask("GET", path, None, headers)
    assert reply.status == 200
    got = [reply.headers.get(name) for name in names]
    if answered[0] == "uuid":
        assert UUID.fullmatch(got[0] or "")
        answered = (got[0], got[0] if answered[1] == "same" else answered[1], answered[2])
    assert tuple(got) == answered


@pytest.mark.parametrize("path", ["/score", "/", "/swagger.json"])
def test_ids_that_are_too_long(string: Lane, path: str) -> None:
    reply = string.ask("GET", path, None, {"x-request-id": "a" * 101, "x-ms-request-id": "b", "TraceId": "t"})
    assert (reply.status, message(reply)) == (431, "x-request-id must not exceed 100 characters")
    assert not {"x-request-id", "x-ms-request-id", "x-ms-client-request-id"} & set(reply.headers)
    assert reply.headers["traceid"] == "t"
    for name in ("x-ms-request-id", "x-ms-client-request-id"):
        reply = string.ask("GET", path, None, {"x-request-id": "mine", name: "b" * 101})
        why = "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"
        assert (reply.status, message(reply)) == (431, why)
        assert reply.headers["x-request-id"] == "mine"
        assert not {"x-ms-request-id", "x-ms-client-request-id"} & set(reply.headers)
    assert string.ask("GET", "/unknown", None, {"x-request-id": "a" * 101}).status == 404


def test_the_deprecated_id_is_warned_of(string: Lane) -> None:
    before = string.server.log().count("x-ms-request-id header has been deprecated")
    string.score("x", x_ms_request_id="b")
    wait_for(
        lambda: string.server.log().count("x-ms-request-id header has been deprecated") == before + 1,
        why="the warning, once",
    )


# -------------------------------------------------------------------- origins


@pytest.mark.parametrize("path", ["/score", "/", "/swagger.json"])
def test_origins(string: Lane, path: str) -> None:
    reply = string.ask("GET", path, None, {"Origin": ORIGIN})
    assert (reply.headers["access-control-allow-origin"], reply.headers["vary"]) == (ORIGIN, "Origin")
    reply = string.ask("GET", path, None, {"Origin": "https://evil.example.com"})
    assert (reply.status, "access-control-allow-origin" in reply.headers) == (200, False)
    reply = string.ask(
        "OPTIONS",
        path,
        None,
        {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, authorization",
        },
    )
    assert reply.status == 200
    assert reply.headers["access-control-allow-methods"] == "GET, POST"
    assert set(reply.headers["access-control-allow-headers"].split(", ")) == {"content-type", "authorization"}
    reply = string.ask("PUT", path, None, {"Origin": ORIGIN})
    assert reply.status == 405
    assert "access-control-allow-origin" not in reply.headers


# -------------------------------------------------------------------- schema mode


def rows(**more: Any) -> str:
    return json.dumps({"rows": [[1, 2], [3, 4]], "factor": 2, **more})


@pytest.mark.parametrize(
    "kind", [JSON, "APPLICATION/JSON", "application/json; charset=utf-8", "application/ld+json"]
)
def test_schema(schema: Lane, kind: str) -> None:
    reply = schema.score(rows(), kind)
    assert (reply.status, reply.json()) == (200, {"sums": [6.0, 14.0], "note": "none"})
    assert schema.score(rows(extra=1, note="n"), kind).json()["note"] == "n"


def test_schema_by_query(schema: Lane) -> None:
    reply = schema.ask("GET", "/score?rows=[[1,2]]&factor=3")
    assert reply.json() == {"sums": [9.0], "note": "none"}
    assert (
        message(schema.ask("GET", "/score?rows=[[1,2]]"))
        == "A value is not provided for the 'factor' parameter."
    )


@pytest.mark.parametrize(
    ("kind", "body", "status", "why"),
    [
        ("text/json", rows(), 415, "Expects Content-Type to be application/json"),
        ("application/jsonx", rows(), 415, "Expects Content-Type to be application/json"),
        ("", rows(), 415, "Expects Content-Type to be application/json"),
        (JSON, "", 400, "POST body is empty. Expecting a JSON dictionary."),
        (JSON, "[1]", 400, "POST body should be a JSON dictionary."),
        (JSON, "null", 400, "POST body should be a JSON dictionary."),
        (JSON, '{"factor": 2}', 400, "A value is not provided for the 'rows' parameter."),
        (
            JSON,
            '{"a":',
            400,
            "POST body could not be decoded as JSON: Expecting value: line 1 column 6 (char 5)",
        ),
    ],
)
def test_schema_refuses(schema: Lane, kind: str, body: str, status: int, why: str) -> None:
    reply = schema.ask("POST", "/score", body, {"Content-Type": kind} if kind else {})
    assert (reply.status, message(reply)) == (status, why)
    assert reply.headers["x-ms-run-function-failed"] == "False"


def test_schema_with_wrong_values(schema: Lane) -> None:
    assert schema.score(b"\xff").status == 400
    for body in (rows(factor="2"), rows(rows=[[1, 2, 3]]), rows(rows=None)):
        reply = schema.score(body)
        assert (reply.status, message(reply)) == (500, FAILED)
        assert reply.headers["x-ms-run-function-failed"] == "True"


def test_swagger(schema: Lane) -> None:
    two = schema.ask("GET", "/swagger.json").json()
    assert two["swagger"] == "2.0"
    assert set(two["definitions"]["ServiceInput"]["properties"]) >= {"rows", "factor"}
    assert schema.ask("GET", "/swagger.json?version=3").json()["openapi"] == "3.0.3"
    assert schema.ask("GET", "/swagger.json?version=3.1&version=2").json()["openapi"] == "3.1.0"
    why = "Swagger version [4] is not valid. Supported versions: [2, 3, 3.1]."
    assert message(schema.ask("GET", "/swagger.json?version=4")) == why


# -------------------------------------------------------------------- raw mode


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_raw_requests_reach_the_script(raw: Lane, method: str) -> None:
    reply = raw.ask(method, "/score?a=1", b"\xff" if method == "POST" else None, {"Content-Type": "a/b"})
    seen = reply.json()
    assert (reply.status, seen["method"], seen["data"], seen["flask"]) == (
        200,
        method,
        "\xff" if method == "POST" else "",
        True,
    )
    assert seen["type"] == "a/b"
    assert seen["remote"] == "127.0.0.1"
    assert seen["path"].endswith("/score?a=1")
    assert seen["url"] == f"http://127.0.0.1:{raw.server.port}{raw.prefix}/score?a=1"


def test_raw_head(raw: Lane) -> None:
    reply = raw.ask("HEAD", "/score")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 50


def test_raw_bodies(raw: Lane) -> None:
    assert raw.ask("POST", "/score?what=json", '{"a": 1}', {"Content-Type": JSON}).json() == {"a": 1}
    form = raw.ask("POST", "/score?what=form", "a=1", {"Content-Type": "application/x-www-form-urlencoded"})
    assert form.json() == {"form": {"a": "1"}, "files": {}}
    multipart = b'--x\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\ndata\r\n--x--\r\n'
    form = raw.ask("POST", "/score?what=form", multipart, {"Content-Type": "multipart/form-data; boundary=x"})
    assert form.json() == {"form": {}, "files": {"f": "data"}}
    packed = gzip.compress(b"as sent")
    seen = raw.ask("POST", "/score", packed, {"Content-Encoding": "gzip"}).json()
    assert (seen["data"].encode("latin-1"), seen["encoding"]) == (packed, "gzip")


def test_raw_answers_and_errors(raw: Lane) -> None:
    reply = raw.ask("POST", "/score?what=status")
    assert (reply.status, reply.body, reply.headers["x-kind"]) == (418, b"teapot", "pot")
    reply = raw.ask("POST", "/score?what=json", "{", {"Content-Type": JSON})
    assert (reply.status, message(reply)) == (500, FAILED)
    reply = raw.ask("POST", "/score?what=abort")
    assert (reply.status, message(reply)) == (500, FAILED)
    reply = raw.ask("POST", "/score?what=json", "[1]", {"Content-Type": JSON})
    assert reply.json() == [1]
    assert "x-ms-run-function-failed" not in reply.headers


# -------------------------------------------------------------------- what is around it


def test_the_other_routes_are_there(string: Lane) -> None:
    assert string.ask("GET", "/").body == b"Healthy"
    assert string.ask("HEAD", "/").headers["content-length"] == "7"
    assert string.ask("POST", "/").status == 405
    for path in ("/livez", "/readyz", "/startupz"):
        assert string.ask("GET", path).json()["status"] == "ready"
    assert 'route="/score"' in string.ask("GET", "/metrics").body.decode()
    if string.name == "mounted":
        assert string.server.ask("GET", "/score").body == b"mine"


def test_workers_end_with_the_server(tmp_path: Path, string: Lane) -> None:
    lane = Lane(string.name, tmp_path / "own", "def init(): pass\ndef run(x): return x", {})
    try:
        report = lane.wait_ready().ask("GET", "/readyz").json()
        assert lane.score("1").json() == "1"
    finally:
        lane.server.stop()
    pids = [worker["pid"] for worker in report["workers"]]
    wait_for(lambda: not any(map(alive, pids)), 5, "the workers have ended")
    assert "Traceback" not in lane.server.log()
