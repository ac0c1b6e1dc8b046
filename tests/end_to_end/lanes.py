"""The ways to the scoring route: the command, our application under a stock ASGI server, and mounted in another."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.running import Reply, Server, clean_environment, command, free_port, wait_for

NAMES = ("command", "asgi", "mounted")
PREFIX = "/model"

HOST = """
    from inference_server.asgi import InferenceApp
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def mine(request):
        return PlainTextResponse("mine")

    app = Starlette(routes=[Route("/score", mine), Mount("/model", InferenceApp())])
"""


class Lane:
    """One server whose routes lie under `prefix`."""

    def __init__(self, name: str, folder: Path, script: str, env: dict[str, str]) -> None:
        self.name = name
        self.prefix = PREFIX if name == "mounted" else ""
        folder.mkdir()
        (folder / "score.py").write_text(textwrap.dedent(script))
        (folder / "host.py").write_text(textwrap.dedent(HOST))
        port = free_port()
        uvicorn = [sys.executable, "-m", "uvicorn", "--port", str(port)]
        line = {
            "command": command("--entry_script", "score.py", "--port", str(port)),
            "asgi": [*uvicorn, "inference_server.asgi:app"],
            "mounted": [*uvicorn, "host:app"],
        }[name]
        environment = clean_environment(AZUREML_ENTRY_SCRIPT="score.py", **env)
        self.server = Server(line, port, folder, environment)

    def wait_ready(self) -> Lane:
        """Until the first worker is ready; a mounted application starts it when it is first asked."""
        wait_for(
            lambda: self.server.answers(self.prefix + "/readyz"), 30, f"ready; log:\n{self.server.log()}"
        )
        return self

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        return self.server.ask(method, self.prefix + target, body, headers)

    def score(self, body: bytes | str, content_type: str = "application/json", **headers: str) -> Reply:
        """POST /score; underscores in the names of `headers` stand for hyphens."""
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body.encode() if isinstance(body, str) else body
        return self.ask("POST", "/score", data, {"Content-Type": content_type, **lines})


Lanes = Callable[[str], Lane]
