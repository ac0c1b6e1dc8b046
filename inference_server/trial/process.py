"""The process that tries a script, on the model's interpreter, as its workers run on it."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import inference_server.scoring
from inference_server.errors import StartError
from inference_server.scoring.calls import Failure
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.places import Place
from inference_server.trial.requests import TrialRequest

BOOTSTRAP = str(Path(inference_server.scoring.__file__).with_name("bootstrap.py"))
GRACE_SECONDS = 2.0  # how long a run() may ignore its time limit


@dataclass(frozen=True)
class Loaded:
    """A script that has been loaded, and its init() run."""

    mode: str  # raw, schema or string
    arguments: tuple[str, ...]  # of run(), without request_headers
    sample: Any  # the body that @input_schema's samples make; None: there is none
    load_ms: float
    memory: int  # bytes the process holds then; 0: not known on this system
    python: str  # version of the interpreter


@dataclass(frozen=True)
class Called:
    """What came of one request. Memory in bytes, beyond what was held before."""

    status: int  # 0: the process died and there is no answer
    content_type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    streamed: bool
    run_ms: float | None
    failure: Failure | None
    memory: int
    peak: int | None

    @property
    def ok(self) -> bool:
        """Whether a caller got what it asked for."""
        return 100 <= self.status < 400 and self.failure is None


class LoadFailed(StartError):
    """The script cannot be loaded, or its init() failed."""

    def __init__(self, summary: str, failure: Failure) -> None:
        super().__init__(summary, failure.traceback)
        self.failure = failure


class TrialProcess:
    """One process with one loaded script. A context manager: the process ends with it.

    `environment` is the process's whole environment. With `editor`, a host and a port, the script is held for a
    debugger that attaches there: `attach(port)` is called when it can, and run() stops at its first line. Raises
    LoadFailed when the script cannot be loaded.
    """

    def __init__(
        self,
        python: str,
        config: ScoringConfig,
        environment: Mapping[str, str],
        verbose: bool = False,
        editor: tuple[str, int] | None = None,
        attach: Callable[[int], None] = lambda port: None,
    ) -> None:
        self._attach = attach
        # frozen modules of the standard library cannot be stepped through
        options = ["-X", "frozen_modules=off"] if editor is not None else []
        command = [python, *options, BOOTSTRAP, "--trial", *(["--verbose"] if verbose else [])]
        if editor is not None:
            command += ["--break", editor[0], str(editor[1])]
        try:
            self._popen = subprocess.Popen(
                command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise StartError(f"cannot start the model's interpreter {python}: {error.strerror}") from error
        self._patience = (
            config.scoring_timeout_ms / 1000 + GRACE_SECONDS if config.scoring_timeout_ms else 0.0
        )
        try:
            self.loaded = self._load(config)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> TrialProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it does."""
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                stream.close()

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def call(self, request: TrialRequest) -> Called:
        """The answer to one request. A process that dies of it is no error: the failure says how."""
        overdue = threading.Event()
        timer = threading.Timer(self._patience, self._give_up, [overdue])
        if self._patience:
            timer.start()
        try:
            facts = self._ask(request.facts())
        finally:
            timer.cancel()
        if facts is None:
            how = "run() did not stop at its time limit" if overdue.is_set() else self._end()
            return Called(0, "", (), b"", False, None, Failure(how, None, ""), 0, None)
        del facts["event"]
        failure = facts.pop("failure")
        facts["body"] = base64.b64decode(facts["body"])
        facts["headers"] = tuple((name, value) for name, value in facts["headers"])
        return Called(**facts, failure=failure and _failure(failure))

    def _load(self, config: ScoringConfig) -> Loaded:
        facts = self._ask(config._asdict())
        if facts is not None and facts["event"] == "listens":
            self._attach(facts["port"])
            facts = self._answer()
        if facts is None:
            how = f"the script cannot be loaded: {self._end()}"
            raise LoadFailed(how, Failure(how, None, ""))
        event = facts.pop("event")
        if event == "failed":
            raise LoadFailed(facts.pop("summary"), _failure(facts))
        return Loaded(**{**facts, "arguments": tuple(facts["arguments"])})

    def _ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to one question; None: the process has ended."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(json.dumps(question).encode() + b"\n")
            self._popen.stdin.flush()
        except (BrokenPipeError, OSError):
            return None
        return self._answer()

    def _answer(self) -> dict[str, Any] | None:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        answer: dict[str, Any] | None = json.loads(line) if line else None
        return answer

    def _give_up(self, overdue: threading.Event) -> None:
        overdue.set()
        self._popen.kill()

    def _end(self) -> str:
        status = self._popen.wait()
        if status >= 0:
            return f"the process ended with exit code {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        more = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the process was killed by {name}{more}"


def _failure(facts: dict[str, Any]) -> Failure:
    place = facts["place"]
    return Failure(facts["error"], place and Place(**place), facts["traceback"])
