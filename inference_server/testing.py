"""A client for the tests of a scoring script: no server, no process, no port.

    from inference_server.testing import ScriptClient

    def test_setosa():
        with ScriptClient("score.py", model_dir="model") as client:
            assert client.score({"data": [[5.1, 3.5, 1.4, 0.2]]}).json() == ["setosa"]

Importing this module also makes the names importable that scripts for Azure ML import
(`azureml_inference_server_http`, `azureml.contrib.services`), so a test may import the script itself.

Uses the standard library and the scoring room alone, as a worker does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from types import ModuleType, TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from inference_server.scoring import compat, errors, raw, swagger
from inference_server.scoring.calls import Call, call, plainly
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.encode import to_json
from inference_server.scoring.errors import UserScriptError
from inference_server.scoring.importing import MODULE, user_folders
from inference_server.scoring.request import Request
from inference_server.scoring.responses import FAILED_HEADER, PlainHeaders
from inference_server.scoring.script import load

__all__ = ["Response", "ScriptClient", "UserScriptError"]

_SERVER, _CLIENT, _REQUEST_ID = "127.0.0.1:5001", "127.0.0.1:50000", "test"

compat.install()


class Response:
    """What a caller of the server would receive, with the names that HTTP clients have for it."""

    def __init__(self, done: Call) -> None:
        self.status_code = done.status
        self.content = done.body  # of a stream, all of it
        self.headers = PlainHeaders(list(done.headers))  # names in any case
        if done.content_type:
            self.headers["Content-Type"] = done.content_type
        if done.failed is not None:
            self.headers[FAILED_HEADER] = str(done.failed)
        self.run_ms = done.run_ms  # milliseconds of run(); None: it was not called
        self.streamed = done.streamed

    @property
    def text(self) -> str:
        """The body as UTF-8 text."""
        return self.content.decode()

    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"<Response {self.status_code} {self.content[:200]!r}>"


class ScriptClient:
    """One score.py, loaded into this process and initialised, answering as the server would.

    `model_dir` is what the script finds in AZUREML_MODEL_DIR, `env` more variables for it; `app_root` is the folder
    relative paths and imports start from (the current one unless given). With `init=False` init() is not called: put
    a stand-in into `client.module` first, or call `client.init()` later. What run() raises is raised from `score`
    and the others, so that a test shows the line; `raise_errors=False` gives the answer that callers receive instead.

    Closing it (it is a context manager) puts variables, sys.path and the script's modules back as they were. Raises
    UserScriptError where the server would not start: no such file, no run(), init() raised.
    """

    def __init__(
        self,
        script: str | os.PathLike[str],
        *,
        model_dir: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        app_root: str | os.PathLike[str] = ".",
        init: bool = True,
        raise_errors: bool = True,
    ) -> None:
        self.raise_errors = raise_errors
        variables = dict(env or {})
        if model_dir is not None:
            variables["AZUREML_MODEL_DIR"] = os.fspath(model_dir)
        path = os.path.realpath(script)
        root = os.path.abspath(app_root)
        self._config = ScoringConfig(
            entry_script=path, app_root=root, model_dir=variables.get("AZUREML_MODEL_DIR", "")
        )
        self._before = _Surroundings(self._config)
        os.environ.update({"AML_APP_ROOT": root, "AZUREML_ENTRY_SCRIPT": path, **variables})
        raw.forget()
        swagger.forget(MODULE)
        try:
            self._script = load(self._config)
            if init:
                self.init()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ScriptClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def module(self) -> ModuleType:
        """The script's module: look into its globals, or replace them."""
        return self._script.module

    @property
    def swagger(self) -> dict[str, Any]:
        """The API documents by version: "2", "3" and "3.1"."""
        return self._script.swaggers

    def init(self) -> None:
        """Call the script's init(). Raises UserScriptError, with what init() raised as its cause."""
        self._script.init()

    def close(self) -> None:
        """Put the process back as it was."""
        self._before.restore()

    def score(self, value: Any, headers: Mapping[str, str] | None = None) -> Response:
        """POST `value` as JSON; numpy and pandas values are written as lists and records."""
        return self.post(to_json(value), {"Content-Type": "application/json", **(headers or {})})

    def post(self, body: bytes | str = b"", headers: Mapping[str, str] | None = None) -> Response:
        """POST a body as it is; name its type in the headers where the script cares."""
        return self.request("POST", body=body, headers=headers)

    def get(
        self, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """GET with a query; values that are not text are written as JSON."""
        pairs = {
            name: value if isinstance(value, str) else to_json(value) for name, value in (query or {}).items()
        }
        return self.request("GET", urlencode(pairs, quote_via=quote), headers=headers)

    def request(
        self,
        method: str,
        query: str = "",
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Any request to /score. `query` is raw, without the question mark."""
        data = body.encode() if isinstance(body, str) else body
        done = self._call(
            Request(method, query.encode("latin-1"), memoryview(data), _meta(query, data, headers))
        )
        error = done.exception
        if error is not None and (self.raise_errors or not isinstance(error, Exception)):
            raise _raised(error)
        return Response(done)

    def _call(self, request: Request) -> Call:
        errors.serving(self._script.file, self._config.development)  # another client may have been made since
        return call(self._script, request, plainly, self._config.scoring_timeout_ms)


def _meta(query: str, body: bytes, headers: Mapping[str, str] | None) -> bytes:
    """What travels with a request beside its body, in the worker's spelling."""
    given = {name.lower(): value for name, value in (headers or {}).items()}
    given = {"host": _SERVER, "content-length": str(len(body)), **given}
    target = f"/score?{query}" if query else "/score"
    facts = [target, "HTTP/1.1", "http", _SERVER, _CLIENT, _REQUEST_ID]
    return "\n".join(facts + [f"{name}: {value}" for name, value in given.items()]).encode("latin-1")


def _raised(error: BaseException) -> BaseException:
    """What the script itself raised, where it was wrapped on the way."""
    cause = error.__cause__
    return cause if isinstance(error, UserScriptError) and cause is not None else error


class _Surroundings:
    """What a script changes in its process, to be put back."""

    def __init__(self, config: ScoringConfig) -> None:
        self._folders = tuple(os.path.join(folder, "") for folder in user_folders(config))
        self._environ = dict(os.environ)
        self._path = sys.path[:]
        self._modules = set(sys.modules)
        self._entry = sys.modules.get(MODULE)

    def restore(self) -> None:
        os.environ.clear()
        os.environ.update(self._environ)
        sys.path[:] = self._path
        for name, module in list(sys.modules.items()):
            if name not in self._modules and self._is_users(module):
                del sys.modules[name]
        if self._entry is None:
            sys.modules.pop(MODULE, None)
        else:
            sys.modules[MODULE] = self._entry

    def _is_users(self, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None) or ""
        return file.startswith(self._folders) and "site-packages" not in file
