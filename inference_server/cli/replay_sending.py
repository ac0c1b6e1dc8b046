"""The two that recorded requests are sent to: a script in a process of its own, and a server at an address."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from inference_server.cli.replay_outcome import Answered
from inference_server.load.target import Target, said
from inference_server.recording.document import Headers, Recorded
from inference_server.recording.redaction import MARK
from inference_server.settings import Settings
from inference_server.trial.process import TrialProcess
from inference_server.trial.requests import TrialRequest

# What belongs to the connection or to the body as it is sent now.
_NOT_SENT = {"connection", "content-length", "expect", "host", "keep-alive", "proxy-connection"}
_NOT_SENT |= {"te", "trailer", "transfer-encoding", "upgrade"}


class Sender(Protocol):
    """Whoever answers."""

    def send(self, recorded: Recorded) -> Answered: ...

    def close(self) -> None: ...


def headers_of(recorded: Recorded, more: Headers) -> Headers:
    """The headers to send: as recorded, without those that were redacted, `more` in the place of those alike."""
    replaced = {name for name, _ in more}
    kept = [
        (name, value)
        for name, value in recorded.headers
        if name not in replaced and name not in _NOT_SENT and value != MARK
    ]
    return (*kept, *more)


@dataclass
class ToScript:
    """A script in a worker-like process; a process that dies of a request is replaced for the next one."""

    settings: Settings
    headers: Headers = ()
    editor: tuple[str, int] | None = None
    attach: Callable[[int], None] = lambda port: None

    def __post_init__(self) -> None:
        self._process = self._start()

    @property
    def loaded_ms(self) -> float:
        return self._process.loaded.load_ms

    def _start(self) -> TrialProcess:
        """Raises StartError."""
        settings = self.settings
        return TrialProcess(
            settings.workers.python,
            settings.scoring_config(),
            settings.worker_environment(),
            editor=self.editor,
            attach=self.attach,
        )

    def send(self, recorded: Recorded) -> Answered:
        """The script's answer. Raises StartError when it cannot be loaded anew."""
        if not self._process.alive:
            self._process.close()
            self._process = self._start()
        called = self._process.call(
            TrialRequest(
                recorded.id,
                recorded.body.data,
                "",
                recorded.method,
                recorded.target,
                headers_of(recorded, self.headers),
                self._stops(recorded),
            )
        )
        failure = called.failure
        return Answered(
            called.status,
            called.content_type,
            called.body,
            error=failure.error if failure else "",
            place=failure.place._asdict() if failure and failure.place else None,
            milliseconds=called.run_ms,
            broken=failure is not None,
        )

    def _stops(self, recorded: Recorded) -> tuple[tuple[str, int], ...]:
        """Where it failed then, if that line is in the script itself: other files need not lie where they did."""
        place = recorded.place
        script = self.settings.script.path
        if self.editor is None or not place or not script or place["file"] != recorded.script:
            return ()
        return ((script, int(place["line"])),)

    def close(self) -> None:
        self._process.close()


class ToServer:
    """A server at an address. Where that has a path it stands in the place of the recorded one."""

    def __init__(self, target: Target, url: str, headers: Headers, seconds: float | None) -> None:
        self._target = target
        self._path = urlsplit(url if "://" in url else f"http://{url}").path.rstrip("/")
        self._headers = headers
        self._seconds = seconds

    def send(self, recorded: Recorded) -> Answered:
        """The server's answer; status 0 and the reason where there is none."""
        connection = self._connection()
        path, mark, query = recorded.target.partition("?")
        began = time.perf_counter()
        try:
            connection.putrequest(
                recorded.method, (self._path or path) + mark + query, skip_accept_encoding=True
            )
            for name, value in headers_of(recorded, self._headers):
                connection.putheader(name, value.encode("latin-1", "replace"))
            connection.putheader("Content-Length", str(len(recorded.body.data)))
            connection.endheaders(recorded.body.data)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answered(0, "", b"", error=f"no answer: {said(error)}", broken=True)
        finally:
            connection.close()
        seconds = time.perf_counter() - began
        kind = response.headers.get("content-type", "")
        return Answered(response.status, kind, body, milliseconds=seconds * 1000)

    def _connection(self) -> http.client.HTTPConnection:
        target = self._target
        parts = urlsplit(target.url)
        if target.tls is not None:
            return http.client.HTTPSConnection(
                target.server_name, parts.port, timeout=self._seconds, context=target.tls
            )
        return http.client.HTTPConnection(target.server_name, parts.port, timeout=self._seconds)

    def close(self) -> None:
        """Each request has a connection of its own."""


def settings_for(settings: Settings, script: str, model_dir: str, seconds: float) -> Settings:
    """The settings to run `script` with; `seconds`: how long one run() may take, 0: any time."""
    changes: Mapping[str, Any] = {
        "script.entry_script": os.path.abspath(script),
        "script.scoring_timeout_ms": int(seconds * 1000),
        "develop.show_errors": False,
    }
    changed = settings.changed(changes, "flag")
    return changed.changed({"script.model_dir": model_dir}, "flag") if model_dir else changed
