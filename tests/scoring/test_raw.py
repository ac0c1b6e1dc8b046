"""Raw mode and everything else that touches flask."""

from __future__ import annotations

from collections.abc import Callable

from tests.scoring.driving import BARE, Driven

Drive = Callable[..., Driven]

RAW = """
    import flask
    from azureml_inference_server_http.api.aml_request import rawhttp, AMLRequest
    def init(): pass
    @rawhttp
    def run(req, extra=4):
        assert isinstance(req, flask.Request) and isinstance(req, AMLRequest)
        assert req == flask.request._get_current_object()
        return {body}
"""


def raw(drive: Drive, body: str) -> Driven:
    return drive(RAW.replace("{body}", body))


def test_the_request_object(drive: Drive) -> None:
    script = raw(
        drive,
        """dict(method=req.method, args=req.args.to_dict(), data=req.get_data(as_text=True), url=req.url,
            path=req.path, full=req.full_path, base=req.base_url, host=req.host, scheme=req.scheme,
            remote=req.remote_addr, length=req.content_length, type=req.content_type, mime=req.mimetype,
            json=req.get_json(silent=True), headers=list(req.headers), query=req.query_string.decode(),
            rule=str(req.url_rule), endpoint=req.endpoint, extra=extra, cookies=req.cookies.to_dict(),
            raw=req.environ["RAW_URI"], port=req.environ["SERVER_PORT"])""",
    )
    assert script.facts["mode"] == "raw"
    assert [script.facts[name] for name in ("needs_headers", "accepts_options", "accepts_head")] == [True] * 3
    headers = [
        ("host", "example.test:81"),
        ("content-type", "application/json; charset=utf-8"),
        ("content-length", "8"),
        ("x-multi", "a"),
        ("x-multi", "b"),
        ("cookie", "c=1"),
        ("x_forged", "no"),
    ]
    found = script.send("POST", "/score?q=1&x=%C3%A9", '{"a": 1}', headers).json
    assert found == {
        "method": "POST",
        "args": {"q": "1", "x": "é"},
        "data": '{"a": 1}',
        "url": "http://example.test:81/score?q=1&x=é",
        "path": "/score",
        "full": "/score?q=1&x=%C3%A9",
        "base": "http://example.test:81/score",
        "host": "example.test:81",
        "scheme": "http",
        "remote": "10.0.0.9",
        "length": 8,
        "type": "application/json; charset=utf-8",
        "mime": "application/json",
        "json": {"a": 1},
        "headers": [
            ["Host", "example.test:81"],
            ["Content-Type", "application/json; charset=utf-8"],
            ["Content-Length", "8"],
            ["X-Multi", "a,b"],
            ["Cookie", "c=1"],
        ],
        "query": "q=1&x=%C3%A9",
        "rule": "/score",
        "endpoint": "main.handle_score",
        "extra": 4,
        "cookies": {"c": "1"},
        "raw": "/score?q=1&x=%C3%A9",
        "port": "5001",
    }


def test_every_method_and_a_chunked_body_reach_run(drive: Drive) -> None:
    script = raw(drive, "[req.method, req.get_data(as_text=True)]")
    for method in ("GET", "POST", "OPTIONS", "HEAD"):
        assert script.send(method, "/score", "body").json == [method, "body"]
    assert script.post("no length", [("transfer-encoding", "chunked")]).json == ["POST", "no length"]
    assert script.send("POST", "http://h/score", "absolute").json == ["POST", "absolute"]


def test_forms_and_files(drive: Drive) -> None:
    script = raw(
        drive, "[req.form.to_dict(), {k: [f.filename, f.read().decode()] for k, f in req.files.items()}]"
    )
    form = [("content-type", "application/x-www-form-urlencoded")]
    assert script.post("a=1&b=2", form).json == [{"a": "1", "b": "2"}, {}]
    part = '--B\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n\r\nhi\r\n--B--\r\n'
    assert script.post(part, [("content-type", "multipart/form-data; boundary=B")]).json == [
        {},
        {"f": ["x.txt", "hi"]},
    ]


def test_exceptions_of_flask_are_the_scripts(drive: Drive) -> None:
    script = raw(drive, "req.json if req.data else flask.abort(499)")
    for body in ("", "{bad"):
        reply = script.post(body, [("content-type", "application/json")])
        assert (reply.status, reply.failed) == (500, True)


def test_compressed_bodies_are_handed_on_as_sent(drive: Drive) -> None:
    script = raw(drive, "[req.get_data(as_text=True), req.headers['Content-Encoding']]")
    assert script.post("not gzip", [("content-encoding", "gzip")]).json == ["not gzip", "gzip"]


def test_raw_mode_without_flask_names_the_extra(drive: Drive) -> None:
    script = drive(
        """
        from azureml.contrib.services.aml_request import AMLRequest, rawhttp
        def init(): pass
        @rawhttp
        def run(request: AMLRequest): pass
        """,
        python=BARE,
    )
    assert script.facts["summary"] == (
        "run() is decorated with @rawhttp, which takes flask's request object, but flask cannot be imported "
        "(No module named 'flask'). Install it where the script runs: pip install 'azmlinfsrv[azureml]'"
    )


def test_the_mark_counts_wherever_it_stands(drive: Drive) -> None:
    script = drive(
        """
        from azureml.contrib.services.aml_request import rawhttp
        @rawhttp
        def other(): pass
        def init(): pass
        def run(request, request_headers): return [request.method, request_headers]
        """
    )
    assert script.facts["mode"] == "raw"
    assert script.post("", [("x-a", "1")]).json == ["POST", {"X-A": "1"}]


def test_raw_and_schema_exclude_each_other(drive: Drive) -> None:
    script = drive(
        """
        from azureml.contrib.services.aml_request import rawhttp
        from inference_schema.schema_decorators import input_schema
        from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
        def init(): pass
        @rawhttp
        @input_schema("data", StandardPythonParameterType(1))
        def run(data): pass
        """
    )
    assert script.facts["text"] == "run() cannot be decorated with both @rawhttp and @input_schema"


def test_a_plain_script_may_use_flasks_context(drive: Drive) -> None:
    script = drive(
        """
        from flask import g, jsonify, request
        def init(): pass
        async def run(data):
            assert not hasattr(g, "seen")
            g.seen = True
            return jsonify(got=data, name=request.headers["X-Name"])
        """
    )
    assert script.facts["needs_headers"] is True
    for _ in range(2):
        reply = script.post("x", [("x-name", "n")])
        assert (reply.json, reply.failed, reply.type) == ({"got": "x", "name": "n"}, None, "application/json")


def test_a_script_that_only_returns_responses_pays_for_no_context(drive: Drive) -> None:
    script = drive(
        """
        from azureml_inference_server_http.api.aml_response import AMLResponse
        def init(): pass
        def run(data): return AMLResponse(data, 202)
        """
    )
    assert script.facts["needs_headers"] is False
    assert script.post("x").status == 202
