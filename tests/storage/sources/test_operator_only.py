"""Addresses come from the operator: no code that sees a request can open a source."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.tools import ROOT

PACKAGE = ROOT / "inference_server"
SEES_REQUESTS = ("asgi.py", "batching", "endpoint", "http", "messages.py", "scoring", "telemetry", "workers")


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_what_handles_requests_knows_no_sources() -> None:
    files = [
        file
        for name in SEES_REQUESTS
        for file in [PACKAGE / name, *(PACKAGE / name).rglob("*.py")]
        if file.is_file()
    ]
    assert len(files) > 50
    assert not [
        file for file in files if any(name.startswith("inference_server.storage") for name in imported(file))
    ]
