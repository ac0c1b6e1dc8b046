"""`run`: the command, in a folder with the script given as text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from inference_server.cli import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run(script, *words, files={})` -> Ran: `azmlinfsrv test` on score.py in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def start(script: str | None, *words: str, files: dict[str, str | bytes] | None = None) -> Ran:
        if script is not None:
            Path("score.py").write_text(textwrap.dedent(script))
        for name, data in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        code = main(["test", *words])
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return start
