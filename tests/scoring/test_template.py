"""When a process that has loaded a script may be forked."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from inference_server.scoring import template
from inference_server.scoring.template import why_not_fork
from tests.scoring.driving import ROOT

REASON = "init() uses CUDA, which does not survive a fork; unset WORKER_PRELOAD"


@pytest.mark.parametrize("used", [False, True])
def test_torch_says_whether_it_uses_cuda(used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = ModuleType("torch")
    torch.cuda = ModuleType("torch.cuda")  # type: ignore[attr-defined]
    torch.cuda.is_initialized = lambda: used
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert why_not_fork() == (REASON if used else None)


def test_an_open_device_says_so_whoever_opened_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "DESCRIPTORS", str(tmp_path / "*"))  # links as the system's own, by number
    (tmp_path / "0").symlink_to("/dev/null")
    (tmp_path / "1").symlink_to("socket:[1]")
    (tmp_path / "2").write_text("no link")
    assert why_not_fork() is None
    (tmp_path / "3").symlink_to("/dev/nvidiactl")
    assert why_not_fork() == REASON


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not list descriptors")
def test_the_pattern_finds_what_this_process_has_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with (ROOT / "__init__.py").open() as file:
        monkeypatch.setattr(template, "DEVICES", os.path.realpath(file.name))
        assert why_not_fork() == REASON
