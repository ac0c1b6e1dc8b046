"""`serve`: starts the real command on a script given as text, and stops what was started."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.running import Server, clean_environment, command, free_port

Serve = Callable[..., Server]

ECHO = """
    def init():
        pass

    def run(data):
        return data
"""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve(script, *arguments, env={}, wait=True, files={})` -> Server; the script's folder is the working one."""
    yield from serving(tmp_path)


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """The same, for servers that several tests of a module share."""
    yield from serving(tmp_path_factory.mktemp("servers"))


def serving(base: Path) -> Iterator[Serve]:
    """Starts servers in folders under `base`, and stops them in the end."""
    started: list[Server] = []

    def start(
        script: str = ECHO,
        *arguments: str,
        env: dict[str, str] | None = None,
        wait: bool = True,
        files: dict[str, str] | None = None,
        port: int | None = None,
    ) -> Server:
        folder = base / f"server{len(started)}"
        folder.mkdir()
        (folder / "score.py").write_text(textwrap.dedent(script))
        for name, text in (files or {}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        port = port or free_port()
        line = command("--entry_script", "score.py", "--port", str(port), *arguments)
        server = Server(line, port, folder, clean_environment(**(env or {})))
        started.append(server)
        return server.wait_ready() if wait else server

    yield start
    for server in started:
        server.stop()
