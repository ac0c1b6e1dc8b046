"""Response objects: ours with and without flask underneath, and flask's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.scoring.driving import BARE, PYTHON, Driven, Reply

Drive = Callable[..., Driven]

SCRIPT = """
    from azureml_inference_server_http.api.aml_response import AMLResponse
    def init(): pass
    def run(data): return eval(data)
"""
HTML = "text/html; charset=utf-8"
DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.fixture(scope="module", params=[PYTHON, BARE], ids=["flask", "no flask"])
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Ask a script for the response that an expression gives."""
    script = Driven(tmp_path_factory.mktemp("script"), SCRIPT, request.param, None, {})
    yield script.post
    script.close()


@pytest.mark.parametrize(
    ("expression", "status", "content_type", "body"),
    [
        ("AMLResponse('é', 200)", 200, HTML, "é".encode()),
        ("AMLResponse(b'\\xff', 418)", 418, HTML, b"\xff"),
        ("AMLResponse({'a': [1]}, 201, json_str=True)", 201, "application/json", b'{"a": [1]}'),
        ("AMLResponse('x', 200, {}, True)", 200, "application/json", b'"x"'),
        ("AMLResponse(None, 200)", 200, "application/json", b"{}"),
        ("AMLResponse(None, 200, {'Content-Type': 'text/a'})", 200, "application/json", b"{}"),
        ("AMLResponse('x', 200, {'Content-Type': 'text/csv'})", 200, "text/csv", b"x"),
        ("AMLResponse('x', 200, {'content-type': 'text/csv'})", 200, "text/csv", b"x"),
        ("AMLResponse({'a': 1, 'b': 2}, 200)", 200, HTML, b"ab"),
        ("AMLResponse(['a', b'b'], 200)", 200, HTML, b"ab"),
        ("AMLResponse('x', '201 Created')", 201, HTML, b"x"),
        ("AMLResponse('x', 204)", 204, HTML, b""),
        ("AMLResponse('x', 304)", 304, "", b""),
    ],
)
def test_bodies_and_types(ask: Any, expression: str, status: int, content_type: str, body: bytes) -> None:
    reply: Reply = ask(expression)
    assert (reply.status, reply.type, reply.body, reply.failed) == (status, content_type, body, False)
    assert (reply.streamed, reply.headers) == (False, [])


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"A": "1, 2,3"}, [("A", "1"), ("A", "2"), ("A", "3")]),
        ({"Expires": DATE, "last-modified": DATE}, [("Expires", DATE), ("last-modified", DATE)]),
        (
            {"Set-Cookie": f"a=1; Expires={DATE}, b=2"},
            [("Set-Cookie", f"a=1; Expires={DATE}"), ("Set-Cookie", "b=2")],
        ),
        ({"Content-Length": "1", "Connection": "close", "Transfer-Encoding": "x", "Date": DATE}, []),
        ({"x-request-id": "a", "X-MS-Request-Id": "b", "x-ms-client-request-id": "c"}, []),
        ({"x-ms-server-version": "mine"}, [("x-ms-server-version", "mine")]),
        ({"x-ms-run-function-failed": "True"}, [("x-ms-run-function-failed", "True")]),
        ({"X-E": "\xe9"}, [("X-E", "\xe9")]),
    ],
)
def test_headers(ask: Any, given: dict[str, str], sent: list[tuple[str, str]]) -> None:
    reply: Reply = ask(f"AMLResponse('x', 200, {given!r})")
    assert reply.status == 200, reply.broke
    assert (sorted(reply.headers), reply.failed) == (sorted(sent), False)


@pytest.mark.parametrize(
    "expression",
    [
        "AMLResponse('x', 200, {'A': 1})",
        "AMLResponse('x', 200, {'A': 'b\\r\\nSet-Cookie: c'})",
        "AMLResponse('x', 200, {'A': 'b\\nc'})",
        "AMLResponse('x', 200, {'A: b': 'c'})",
        "AMLResponse('x', 200, {'A': '\\u20ac'})",
        "AMLResponse('x', 200, {'Content-Type': 'a\\r\\nb'})",
        "AMLResponse(5, 200)",
        "AMLResponse('x', 0)",
        "AMLResponse('x', 99)",
        "AMLResponse('x', 100)",
        "AMLResponse((1 / 0 for _ in 'x'), 200)",
        "AMLResponse((1 for _ in 'x'), 200)",
        "AMLResponse({1, 2}, 200, json_str=True)",
    ],
)
def test_responses_that_cannot_be_sent_are_the_scripts_fault(ask: Any, expression: str) -> None:
    reply: Reply = ask(expression)
    assert (reply.status, reply.failed, reply.headers) == (500, True, [])
    assert reply.json == {
        "message": "An unexpected error occurred in scoring script. Check the logs for more info."
    }


def test_the_failed_mark(ask: Any) -> None:
    assert ask("AMLResponse('x', 200, {}, False, True)").failed is True
    assert ask("AMLResponse('x', 499)").failed is False
    assert ask("AMLResponse('x', 500, run_function_failed=False)").failed is True
    assert ask("AMLResponse('x', 600)").status == 600


def test_streams(ask: Any) -> None:
    reply: Reply = ask("AMLResponse((c for c in ['a', b'b', 'é']), 206)")
    assert (reply.status, reply.type, reply.chunks) == (206, HTML, [b"a", b"b", "é".encode()])
    assert reply.streamed is True
    broken: Reply = ask("AMLResponse((c for c in ['a', 1]), 200)")
    assert broken.chunks == [b"a"]
    assert broken.broke is not None


def test_changes_after_the_response_was_made(ask: Any) -> None:
    changes = "[r.headers.add('V', 'a, b'), r.headers.__setitem__('Content-Type', 't/u'), r.set_data('new')]"
    reply: Reply = ask(f"[(r := AMLResponse('old', 200)), {changes}][0]")
    assert (reply.headers, reply.type, reply.body) == ([("V", "a, b")], "t/u", b"new")


def test_async_generators(drive: Drive) -> None:
    script = drive(
        """
        from azureml.contrib.services.aml_response import AMLResponse
        def init(): pass
        async def pieces():
            yield "a"
            yield b"b"
        def run(data): return AMLResponse(pieces(), 200, {"Content-Type": "text/event-stream"})
        """
    )
    reply = script.post("x")
    assert (reply.type, reply.chunks) == ("text/event-stream", [b"a", b"b"])


def test_flasks_own_responses(drive: Drive) -> None:
    script = drive(
        """
        import flask, io
        closed = []
        def init(): pass
        def run(data):
            if data == "file": return flask.send_file(io.BytesIO(b"file"), mimetype="image/png")
            if data == "closed": return closed
            response = flask.Response("x", int(data), {"X-A": "1, 2"})
            response.call_on_close(lambda: closed.append(data))
            return response
        """
    )
    plain = script.post("404")
    assert (plain.status, plain.failed, plain.headers, plain.body) == (404, None, [("X-A", "1, 2")], b"x")
    assert plain.type == "text/html; charset=utf-8"
    assert script.post("503").failed is True
    assert script.post("closed").json == ["404", "503"]
    file = script.post("file")
    assert (file.type, file.body) == ("image/png", b"file")
    assert "run() output is HTTP Response" in script.log


def test_the_signature_people_call_it_by() -> None:
    import inspect

    from inference_server.scoring.aml_response import AMLResponse

    names = list(inspect.signature(AMLResponse).parameters)
    assert names == ["message", "status_code", "response_headers", "json_str", "run_function_failed"]
