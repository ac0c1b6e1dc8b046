"""`init`: the command, in an empty folder."""

from __future__ import annotations

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


Command = Callable[..., Ran]


@pytest.fixture
def azmlinfsrv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """`azmlinfsrv(*words)` -> Ran, with a folder of the test's own as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def start(*words: str) -> Ran:
        code = main(list(words))
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return start
