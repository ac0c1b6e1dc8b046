"""Scripts as people write them, each loaded in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scoring.driving import BARE, Driven, other_python

Drive = Callable[..., Driven]

SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL = "An unexpected internal error occurred. Check the logs for more info."
ECHO = """
    def init(): pass
    def run(raw_data): return {"got": raw_data}
"""


# Those of the machine; a worker's Python need not be the server's.
OTHER_PYTHONS = {
    v: path for v in ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14") if (path := other_python(v))
}


@pytest.mark.parametrize("version", OTHER_PYTHONS)
def test_a_plain_script_in_other_pythons(drive: Drive, version: str) -> None:
    script = drive(
        """
        from azureml.contrib.services.aml_response import AMLResponse
        def init(): print("hello")
        async def run(data):
            if data == "stream":
                return (piece for piece in ["a", "b"])
            return AMLResponse(data, 201, {"X-A": "1, 2"}) if data else {"empty": True}
        """,
        python=(OTHER_PYTHONS[version], "-S"),
    )
    assert script.facts["mode"] == "string"
    assert script.post("").json == {"empty": True}
    assert script.post("stream").chunks == [b"a", b"b"]
    assert script.post("x").headers == [("X-A", "1"), ("X-A", "2")]


def test_the_lines_of_a_good_start(drive: Drive, tmp_path: Path) -> None:
    script = drive(ECHO, python=BARE)
    assert script.facts == {
        "mode": "string",
        "file": str(tmp_path / "score.py"),
        "needs_headers": False,
        "needs_content_type": False,
        "accepts_options": False,
        "accepts_head": False,
        "swaggers": script.facts["swaggers"],
    }
    assert script.log.splitlines() == [
        f"I azmlinfsrv.user_script - Found user script at {tmp_path}/score.py",
        "I azmlinfsrv.user_script - run() is not decorated. Server will invoke it with the input in JSON string.",
        "I azmlinfsrv.user_script - Invoking user's init function",
        "I azmlinfsrv.user_script - Users's init has completed successfully",
        "I azmlinfsrv.swagger - Swaggers are prepared for the following versions: [2, 3, 3.1].",
        "I azmlinfsrv - Scoring timeout is set to 3600000",
    ]


def test_headers_travel_only_when_asked_for(drive: Drive) -> None:
    script = drive(
        "def init(): pass\ndef run(request_headers, data, *, k=3): return [data, k, request_headers]"
    )
    assert script.facts["needs_headers"] is True
    assert script.post("x", [("x-foo-bar", "1"), ("x-foo-bar", "2")]).json == ["x", 3, {"X-Foo-Bar": "1,2"}]


# ---------------------------------------------------------------- what cannot start


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def init(): pass", "User script at {file} does not have a run() function defined."),
        ("def run(data): pass", "User script at {file} does not have a init() function defined."),
        ("init = 1\ndef run(data): pass", "User script at {file} does not have a init() function defined."),
        *[
            (f"def init(): pass\ndef run({signature}): pass", text)
            for signature, text in [
                ("a, /", "run() cannot accept positional-only arguments, *args, or **kwargs."),
                ("*a", "run() cannot accept positional-only arguments, *args, or **kwargs."),
                ("data, **k", "run() cannot accept positional-only arguments, *args, or **kwargs."),
                ("", "run() needs to accept an argument for input data."),
                ("request_headers", 'run() needs to accept an argument other than "request_headers".'),
            ]
        ],
    ],
)
def test_scripts_that_cannot_be_called(drive: Drive, tmp_path: Path, source: str, text: str) -> None:
    script = drive(source, python=BARE)
    file = tmp_path / "score.py"
    expected = text.format(file=file)
    place = f" ({file}, line 2)" if text.startswith("run()") else ""
    assert script.facts == {"text": expected, "summary": expected + place, "detail": ""}
    assert f"E azmlinfsrv - UserScriptError: {expected}{place}\n" in script.log


@pytest.mark.parametrize(
    ("source", "what", "place"),
    [
        (
            "x = 1\nimport nosuchmod",
            "ModuleNotFoundError: No module named 'nosuchmod'",
            "line 2, in <module>",
        ),
        ("import sys\nsys.exit(4)", "SystemExit: 4", "line 2, in <module>"),
        ("x = 1\ndef (", "SyntaxError: ", "line 2"),
        ("import json\n\njson.loads('{')", "json.decoder.JSONDecodeError: ", "line 3, in <module>"),
    ],
)
def test_a_failing_import_says_what_and_where(
    drive: Drive, tmp_path: Path, source: str, what: str, place: str
) -> None:
    facts = drive(source, python=BARE).facts
    assert facts["text"] == "Failed to import user script because it raised an unhandled exception"
    assert facts["summary"].startswith(f"{facts['text']}: {what}")
    assert facts["summary"].endswith(f"({tmp_path}/score.py, {place})")
    assert "\n" not in facts["summary"]
    assert facts["detail"].endswith(f"UserScriptError: {facts['text']}")
    assert "inference_server/scoring" not in facts["detail"]


@pytest.mark.parametrize("library", ["inference_schema.schema_decorators", "flask"])
def test_a_library_of_the_extra_is_named(drive: Drive, library: str) -> None:
    summary = drive(f"import {library}", python=BARE).facts["summary"]
    assert summary.endswith("Install it where the script runs: pip install 'azmlinfsrv[azureml]'")


def test_a_missing_script_and_a_folder(drive: Drive, tmp_path: Path) -> None:
    script = drive(None, python=BARE)
    hint = "Give the path of score.py with --entry_script."
    assert script.facts["summary"] == f"The entry script {tmp_path}/score.py does not exist. {hint}"
    assert "E azmlinfsrv - No such file or directory.\n" in script.log
    folder = drive(None, python=BARE, entry_script=str(tmp_path))
    assert folder.facts["summary"] == f"The entry script {tmp_path} is a directory. {hint}"


def test_without_an_entry_script_main_is_imported(drive: Drive, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    main = tmp_path / "src" / "main.py"
    main.write_text("def init(): pass\ndef run(data): return __name__")
    script = drive(None, python=BARE, entry_script=None, source_dir="src")
    assert script.facts["file"] == str(main)
    assert script.post("").json == "main"
    missing_main = drive(None, python=BARE, entry_script=None)
    assert missing_main.facts["text"] == "No score script found. Expected score script main.py."
    for line in (
        "E azmlinfsrv - No score script found. Expected score script main.py.",
        "E azmlinfsrv - Expected script to be found in PYTHONPATH: [",
        "E azmlinfsrv - Current contents of AML_APP_ROOT: ['src']",
    ):
        assert line in missing_main.log
    main.write_text("import nosuchmod")
    assert "nosuchmod" in drive(None, python=BARE, entry_script=None, source_dir="src").facts["summary"]


@pytest.mark.parametrize("raised", ["ValueError('boom')", "SystemExit(0)", "KeyboardInterrupt()"])
def test_a_failing_init_shows_the_models(drive: Drive, tmp_path: Path, raised: str) -> None:
    (tmp_path / "models" / "m" / "1").mkdir(parents=True)
    (tmp_path / "models" / "m" / "1" / "m.pkl").touch()
    script = drive(f"def init():\n    raise {raised}\ndef run(data): pass", python=BARE, model_dir="models")
    kind = raised.partition("(")[0]
    assert script.facts["summary"].startswith(f"User's init function failed: {kind}")
    assert script.facts["summary"].endswith(f"({tmp_path}/score.py, line 2, in init)")
    lines = script.log.splitlines()
    at = lines.index("E azmlinfsrv - User's init function failed")
    assert lines[at + 1].startswith(f"E azmlinfsrv - Encountered Exception: {kind}")
    assert lines[-5:] == [
        "I azmlinfsrv - Model Directory Contents:",
        "I azmlinfsrv - models/",
        "I azmlinfsrv -     m/",
        "I azmlinfsrv -         1/",
        "I azmlinfsrv -             m.pkl",
    ]


# ---------------------------------------------------------------- what a script may import and define


def test_files_beside_the_script_and_in_the_app_root_can_be_imported(drive: Drive, tmp_path: Path) -> None:
    for folder in ("here", "src", "root/source"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "here" / "from_cwd.py").touch()
    (tmp_path / "src" / "beside.py").touch()
    (tmp_path / "src" / "errors.py").write_text("mine = True")
    (tmp_path / "src" / "json.py").write_text("raise RuntimeError('a user file hid an installed module')")
    (tmp_path / "root" / "in_root.py").touch()
    (tmp_path / "root" / "source" / "in_source.py").touch()
    (tmp_path / "src" / "score.py").write_text(
        "import beside, from_cwd, in_root, in_source, errors, json, sys\n"
        "def init(): assert errors.mine\n"
        "def run(data): return sys.path\n"
    )
    script = drive(
        None,
        python=BARE,
        cwd=tmp_path / "here",
        entry_script=str(tmp_path / "src" / "score.py"),
        app_root=str(tmp_path / "root"),
        source_dir="source",
    )
    path = script.post("").json
    assert path[0] == str(tmp_path / "here")
    assert path[-3:] == [str(tmp_path / folder) for folder in ("root", "root/source", "src")]
    assert not [entry for entry in path if "inference_server" in entry]


def test_the_servers_own_modules_cannot_be_imported_by_bare_names(drive: Drive) -> None:
    for name in ("worker", "script", "results", "starlette"):
        assert f"No module named '{name}'" in drive(f"import {name}", python=BARE).facts["summary"]


def test_classes_of_the_script_can_be_pickled(drive: Drive) -> None:
    script = drive(
        """
        from __future__ import annotations
        import dataclasses, pickle, typing
        @dataclasses.dataclass
        class Point:
            x: int
            def moved(self) -> Point: return Point(self.x + 1)
        def init(): assert typing.get_type_hints(Point)["x"] is int
        def run(data): return [pickle.loads(pickle.dumps(Point(3))).moved().x, __name__, __file__]
        """,
        python=BARE,
    )
    assert script.post("").json == [4, "entry_module", script.facts["file"]]


def test_a_driver_script_lends_its_inner_run(drive: Drive, tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text("def init(): raise ValueError\ndef run(data): return ['inner', data]")
    script = drive(
        """
        import inner as driver_module
        def init(): pass
        def run(data): return "outer"
        """,
        python=BARE,
    )
    assert script.post("x").json == ["inner", "x"]


def test_any_callable_will_do(drive: Drive) -> None:
    script = drive(
        """
        import functools
        class Model:
            def __call__(self, data, scale=2): return [data, scale]
        init = functools.partial(print, "started")
        run = Model()
        """,
        python=BARE,
    )
    assert script.post("x").json == ["x", 2]


# ---------------------------------------------------------------- coroutines and generators


def test_one_event_loop_serves_init_and_every_run(drive: Drive) -> None:
    script = drive(
        """
        import asyncio
        async def init():
            global loop, lock
            loop, lock = asyncio.get_running_loop(), asyncio.Lock()
        class Run:
            async def __call__(self, data):
                async with lock:
                    await asyncio.sleep(0)
                    return {"same": asyncio.get_running_loop() is loop, "data": data}
        run = Run()
        """,
        python=BARE,
    )
    for _ in range(3):
        assert script.post("x").json == {"same": True, "data": "x"}


def test_coroutines_work_with_several_threads_too(drive: Drive) -> None:
    script = drive("async def init(): pass\nasync def run(data): return data", python=BARE, threads=4)
    assert script.post("x").json == "x"


def test_generators_are_streamed_and_closed(drive: Drive) -> None:
    script = drive(
        """
        closed = []
        def init(): pass
        def run(data):
            if data == "closed": yield str(closed)
            if data == "at once": raise ValueError("at once")
            try:
                yield "a"
                if data == "later": raise ValueError("later")
                yield "b"
            finally: closed.append(data)
        """,
        python=BARE,
    )
    reply = script.post("x")
    assert (reply.type, reply.chunks, reply.streamed) == ("text/plain; charset=utf-8", [b"a", b"b"], True)
    first = script.post("at once")
    assert (first.status, first.message, first.failed, first.streamed) == (500, SCRIPT_FAILED, True, False)
    later = script.post("later")
    assert (later.chunks, later.broke) == ([b"a"], "ValueError('later')")
    assert script.post("left", stop_after=1).chunks == [b"a"]
    assert script.post("closed").chunks[0] == b"['x', 'later', 'left']"


def test_async_generators_are_streamed_and_closed(drive: Drive) -> None:
    script = drive(
        """
        import asyncio
        closed = []
        def init(): pass
        async def run(data):
            if data == "closed": yield str(closed)
            try:
                yield b"a"
                await asyncio.sleep(0)
                yield b"b"
            finally:
                await asyncio.sleep(0)
                closed.append(data)
        """,
        python=BARE,
    )
    reply = script.post("x")
    assert (reply.type, reply.chunks) == ("application/octet-stream", [b"a", b"b"])
    assert script.post("left", stop_after=1).chunks == [b"a"]
    assert script.post("closed").chunks[0] == b"['x', 'left']"


# ---------------------------------------------------------------- failures of run()


@pytest.mark.parametrize("raised", ["ValueError('bad\\nthing')", "SystemExit(3)", "KeyboardInterrupt()"])
def test_a_raising_run(drive: Drive, tmp_path: Path, raised: str) -> None:
    script = drive(f"def init(): pass\ndef run(data):\n    raise {raised}", python=BARE)
    reply = script.post("x")
    assert (reply.status, reply.failed, reply.type) == (500, True, "application/json")
    assert reply.body == json.dumps({"message": SCRIPT_FAILED}).encode()
    assert reply.broke is not None
    first, *rest = reply.broke.splitlines()
    assert first.startswith(f"Encountered Exception: {raised.partition('(')[0]}")
    assert first.endswith(f"({tmp_path}/score.py, line 3, in run)")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1].endswith("UserScriptError: Caught an unhandled exception from the user script")


def test_a_result_without_a_form(drive: Drive) -> None:
    reply = drive("def init(): pass\ndef run(data): return {1, 2}", python=BARE).post("x")
    assert (reply.status, reply.message, reply.failed) == (500, INTERNAL, False)
    assert reply.broke is not None
    assert "returned a set" in reply.broke


def test_in_development_the_caller_sees_where_it_failed(drive: Drive, tmp_path: Path) -> None:
    script = drive(
        "def init(): pass\ndef run(data):\n    return 1 / len(data)", python=BARE, development=True
    )
    found = script.post("").json
    assert found["message"] == SCRIPT_FAILED
    where = {"file": f"{tmp_path}/score.py", "line": 3, "function": "run", "source": "return 1 / len(data)"}
    assert found["location"] == where
    assert found["error"].startswith("ZeroDivisionError: ")
    assert found["traceback"].startswith("Traceback (most recent call last):\n")


def test_compressed_bodies_are_inflated_up_to_the_limit(drive: Drive) -> None:
    import gzip

    script = drive(ECHO, python=BARE, max_body_bytes=10)
    headers = [("content-encoding", "gzip")]
    assert script.post(gzip.compress(b"0123456789"), headers).json == {"got": "0123456789"}
    assert script.post(gzip.compress(b"0123456789x"), headers).status == 413
