"""What tests share that is not about one room: programs that must be installed, files that must be there."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI", "").lower() == "true"


def missing(reason: str) -> None:
    """Skip the running test on a user's machine; fail it in continuous integration, where nothing may lack."""
    if IN_CI:
        pytest.fail(f"{reason} (in CI nothing may be skipped for a missing tool: see .ci/run)", pytrace=False)
    pytest.skip(reason)


def require_tool(program: str, package: str = "") -> str:
    """The path of a program; without it the test is skipped and the reason names the Debian package."""
    path = shutil.which(program)
    if path is None:
        missing(f"needs {program}: apt-get install {package or program}")
        raise AssertionError("unreachable")
    return path


def require_module(name: str, install: str = "") -> None:
    """The test goes on only where the module can be imported; the reason names the package to install."""
    if importlib.util.find_spec(name) is None:
        missing(f"needs the Python package {install or name}: pip install {install or name}")


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A new disk of `size` (as mount takes it: 1m) mounted at `path`; only root may do that."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        missing("needs root, to mount a small disk")
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        missing(f"needs the right to mount a small disk: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)
