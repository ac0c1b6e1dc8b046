"""Start tests/scoring/driver.py and talk to it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inference_server

ROOT = Path(inference_server.__file__).parent
DRIVER = Path(__file__).with_name("driver.py")


PYTHON = (sys.executable,)
BARE = (sys.executable, "-S")  # without site-packages: no flask, no numpy, no inference_schema


def other_python(version: str) -> str | None:
    """The path of an interpreter of that version, among the commands or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(pyenv.glob(f"versions/{version}*/bin/python"))
    return str(found[-1]) if found else shutil.which(f"python{version}")


@dataclass(frozen=True)
class Reply:
    status: int
    type: str
    failed: bool | None
    headers: list[tuple[str, str]]
    chunks: list[bytes]
    streamed: bool
    broke: str | None

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.json["message"]


class Driven:
    """A loaded script. `facts` is what it says of itself, or the failure when it did not start."""

    def __init__(
        self,
        folder: Path,
        source: str | None,
        python: Sequence[str],
        cwd: Path | None,
        config: dict[str, Any],
    ) -> None:
        if source is not None:
            (folder / "score.py").write_text(textwrap.dedent(source))
        config = {"entry_script": str(folder / "score.py"), "app_root": str(folder), **config}
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [*python, str(DRIVER), str(ROOT), json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=cwd or folder,
        )
        self.facts = self._read()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def post(self, body: bytes | str = b"", headers: Iterable[tuple[str, str]] = (), **more: Any) -> Reply:
        return self.send("POST", "/score", body, headers, **more)

    def post_json(self, value: Any) -> Reply:
        return self.post(json.dumps(value), [("content-type", "application/json")])

    def get(self, query: str = "", headers: Iterable[tuple[str, str]] = ()) -> Reply:
        return self.send("GET", f"/score?{query}" if query else "/score", b"", headers)

    def send(
        self,
        method: str,
        target: str,
        body: bytes | str = b"",
        headers: Iterable[tuple[str, str]] = (),
        stop_after: int = 0,
    ) -> Reply:
        """One request; `headers` have lower-case names. A stream is closed after `stop_after` chunks."""
        data = body.encode() if isinstance(body, str) else body
        asked = {
            "method": method,
            "target": target,
            "body": base64.b64encode(data).decode(),
            "headers": list(headers),
            "stop_after": stop_after,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        reply = self._read()
        reply["chunks"] = [base64.b64decode(chunk) for chunk in reply["chunks"]]
        reply["headers"] = [(name, value) for name, value in reply["headers"]]
        return Reply(**reply)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the driver died:\n{self.log}"
        return json.loads(line)
