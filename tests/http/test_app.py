"""The application for health, swagger, metrics and everything unknown, through a real ASGI client."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from inference_server.http.answers import AnswerHeads
from inference_server.http.app import AppFacts, build_app, build_health_app
from inference_server.http.cors import Cors
from inference_server.lifecycle import ServerState, WorkerState
from inference_server.messages import HealthReport, WorkerReport

BUSY = WorkerReport(1, 42, WorkerState.BUSY, 1.23456, 2, "killed by signal 9", "runs a request since 1.2 s")
READY = HealthReport(ServerState.READY, "1 of 1 workers take requests", True, 3, (BUSY,))
STARTING = HealthReport(ServerState.STARTING, "worker 1 is loading score.py", False, 0, ())
DOCUMENTS: dict[str, Any] = {"2": {"swagger": "2.0", "x": "é"}, "3": {"openapi": "3.0.3"}, "3.1": [1]}
NAME = "x-ms-server-version"


def facts(
    report: HealthReport = READY, documents: dict[str, Any] | None = DOCUMENTS, cors: str | None = None
) -> AppFacts:
    return AppFacts(
        health=lambda: report,
        swaggers=lambda: documents,
        metrics=lambda _: (b"a_total 1\n", "text/plain; version=0.0.4; charset=utf-8"),
        heads=AnswerHeads("azmlinfsrv/1.0"),
        cors=Cors(cors),
    )


def ask(
    path: str, method: str = "GET", app: Starlette | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app or build_app(facts()))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(send())


@pytest.mark.parametrize("path", ["/", "/?x=1"])
def test_healthy(path: str) -> None:
    got = ask(path)
    assert (got.status_code, got.content) == (200, b"Healthy")
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    assert got.headers[NAME] == "azmlinfsrv/1.0"
    assert got.headers["x-request-id"] == got.headers["x-ms-request-id"]
    assert "x-ms-run-function-failed" not in got.headers


def test_head_of_health() -> None:
    got = ask("/", "HEAD")
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "7")


@pytest.mark.parametrize("state", [state for state in ServerState if state is not ServerState.READY])
def test_not_healthy_says_so_in_a_fixed_text(state: ServerState) -> None:
    got = ask("/", app=build_app(facts(replace(STARTING, state=state, reason="password=hunter2"))))
    assert got.status_code == 503
    assert got.text.startswith(f"{state.value.capitalize()}: ")
    assert "hunter2" not in got.text
    assert got.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/", "/swagger.json"])
def test_options(path: str) -> None:
    got = ask(path, "OPTIONS")
    assert (got.status_code, got.content) == (200, b"")
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    assert set(got.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize(
    ("path", "ready", "starting"), [("/livez", 200, 200), ("/readyz", 200, 503), ("/startupz", 200, 503)]
)
def test_probes(path: str, ready: int, starting: int) -> None:
    got = ask(path, app=build_app(facts(READY)))
    assert got.status_code == ready
    assert got.json() == {
        "status": "ready",
        "reason": "1 of 1 workers take requests",
        "started": True,
        "queued": 3,
        "pid": os.getpid(),
        "workers": [
            {
                "worker": 1,
                "pid": 42,
                "state": "busy",
                "since_s": 1.235,
                "in_hand": 0,
                "restarts": 2,
                "last_error": "killed by signal 9",
                "reason": "runs a request since 1.2 s",
            }
        ],
    }
    got = ask(path, app=build_app(facts(STARTING)), headers={"x-request-id": "a" * 101})
    assert got.status_code == starting
    assert got.json()["status"] == "starting"
    assert got.headers["cache-control"] == "no-store"
    assert ask(path, "HEAD").content == b""


def test_started_stays_started() -> None:
    lost = HealthReport(ServerState.UNAVAILABLE, "worker 1 restarts", True, 0, ())
    app = build_app(facts(lost))
    assert [ask(path, app=app).status_code for path in ("/livez", "/readyz", "/startupz", "/")] == [
        200,
        503,
        200,
        503,
    ]


def test_metrics() -> None:
    got = ask("/metrics")
    assert (got.status_code, got.content) == (200, b"a_total 1\n")
    assert got.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert ask("/metrics", app=build_app(replace(facts(), metrics=None))).status_code == 404
    echo = replace(facts(), metrics=lambda accept: (accept.encode(), "a/b"))
    got = ask("/metrics", app=build_app(echo), headers={"Accept": "application/openmetrics-text"})
    assert (got.text, got.headers["content-type"]) == ("application/openmetrics-text", "a/b")


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b'{"swagger": "2.0", "x": "\\u00e9"}'),
        ("?version=2", b'{"swagger": "2.0", "x": "\\u00e9"}'),
        ("?version=2.0", b'{"swagger": "2.0", "x": "\\u00e9"}'),
        ("?version=3", b'{"openapi": "3.0.3"}'),
        ("?version=3.0", b'{"openapi": "3.0.3"}'),
        ("?version=3.1", b"[1]"),
        ("?version=3&version=2", b'{"openapi": "3.0.3"}'),
    ],
)
def test_swagger(query: str, body: bytes) -> None:
    got = ask("/swagger.json" + query)
    assert (got.status_code, got.content) == (200, body)
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-ms-run-function-failed"] == "False"


@pytest.mark.parametrize(
    ("query", "available", "status", "message"),
    [
        (
            "?version=3.0a",
            "2 3 3.1",
            404,
            "Swagger version [3.0a] is not valid. Supported versions: [2, 3, 3.1].",
        ),
        ("?version=", "2 3 3.1", 404, "Swagger version [] is not valid. Supported versions: [2, 3, 3.1]."),
        ("?version=4", "3 3.1", 404, "Swagger version [4] is not valid. Supported versions: [3, 3.1]."),
        (
            *("", "3 3.1", 404),
            "Swagger version [2] is not supported for the scoring script. Supported swagger versions: [3, 3.1].",
        ),
        ("", None, 503, "The swagger documents are made when the first worker is ready."),
    ],
)
def test_no_swagger(query: str, available: str | None, status: int, message: str) -> None:
    documents = None if available is None else {name: {} for name in available.split()}
    got = ask("/swagger.json" + query, app=build_app(facts(documents=documents)))
    assert (got.status_code, got.json()) == (status, {"message": message})


def test_swagger_head() -> None:
    got = ask("/swagger.json", "HEAD")
    assert (got.status_code, got.content) == (200, b"")


@pytest.mark.parametrize("path", ["/x", "/score/", "/swagger.json/", "/livez/", "/%2e%2e", "/x?y"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_not_found(path: str, method: str) -> None:
    got = ask(
        path,
        method,
        headers={"x-request-id": "a" * 101, "Origin": "http://a"},
        app=build_app(facts(cors="*")),
    )
    assert got.status_code == 404
    assert got.json() == {
        "message": "The requested URL was not found on the server. If you entered the URL manually please check "
        "your spelling and try again."
    }
    assert got.headers["x-ms-run-function-failed"] == "False"
    assert got.headers[NAME] == "azmlinfsrv/1.0"
    assert "access-control-allow-origin" not in got.headers
    assert "x-request-id" not in got.headers
    assert "x-request-id" in ask(path, method).headers


@pytest.mark.parametrize(
    ("path", "method"),
    [("/", "POST"), ("/", "PUT"), ("/swagger.json", "DELETE"), ("/", "PURGE"), ("/livez", "POST")],
)
def test_method_not_allowed(path: str, method: str) -> None:
    got = ask(path, method)
    assert (got.status_code, got.content) == (
        405,
        b'{"message": "The method is not allowed for the requested URL."}',
    )
    assert {"GET", "HEAD"} <= set(got.headers["allow"].split(", "))
    assert got.headers["x-ms-run-function-failed"] == "False"
    assert "x-request-id" in got.headers


@pytest.mark.parametrize("path", ["/", "/swagger.json"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_ids_are_checked(path: str, method: str) -> None:
    got = ask(path, method, headers={"x-request-id": "a" * 101, "TraceId": "T"})
    assert (got.status_code, got.json()) == (431, {"message": "x-request-id must not exceed 100 characters"})
    assert "x-ms-request-id" not in got.headers
    assert (got.headers["traceid"], got.headers["x-ms-run-function-failed"]) == ("T", "False")


def test_ids_are_echoed() -> None:
    got = ask("/", headers={"X-Request-Id": "A", "x-ms-client-request-id": "C"})
    assert [got.headers[name] for name in ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")] == [
        "A",
        "C",
        "C",
    ]


@pytest.mark.parametrize("path", ["/", "/swagger.json"])
def test_cors(path: str) -> None:
    app = build_app(facts(cors="http://a"))
    assert (
        ask(path, app=app, headers={"Origin": "http://a"}).headers["access-control-allow-origin"]
        == "http://a"
    )
    assert "vary" not in ask(path, app=app, headers={"Origin": "http://b"}).headers
    asked = {"Origin": "http://a", "Access-Control-Request-Method": "POST"}
    got = ask(path, "OPTIONS", app=app, headers=asked)
    assert (got.status_code, got.headers["access-control-allow-methods"]) == (200, "GET, POST")


def test_a_failing_fact_is_an_internal_error() -> None:
    def broken() -> HealthReport:
        raise ValueError("secret")

    async def send() -> httpx.Response:
        app = build_app(replace(facts(), health=broken))
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/")

    got = asyncio.run(send())
    assert got.status_code == 500
    assert got.json() == {"message": "An unexpected internal error occurred. Check the logs for more info."}


def test_the_health_port_serves_health_only() -> None:
    app = build_health_app(facts())
    for path in ("/", "/livez", "/readyz", "/startupz", "/metrics"):
        assert ask(path, app=app).status_code == 200
    for path in ("/score", "/swagger.json"):
        assert ask(path, app=app).status_code == 404
