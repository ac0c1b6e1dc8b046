"""The doors: what the command `azmlinfsrv` does with its words."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

# A first word that is not a flag, and the module that takes the rest: its `main(words)` returns the exit code.
COMMANDS = {
    "bench": "inference_server.cli.bench",
    "build": "inference_server.cli.build",
    "completion": "inference_server.cli.completion",
    "vscode": "inference_server.cli.vscode",
    "env": "inference_server.cli.env",
    "environment": "inference_server.cli.environment",
    "init": "inference_server.cli.init",
    "model": "inference_server.cli.model",
    "test": "inference_server.cli.trial",
    "reload": "inference_server.cli.reload",
    "replay": "inference_server.cli.replay",
    "secret": "inference_server.cli.secret",
    "storage-initializer": "inference_server.cli.storage_initializer",
    "top": "inference_server.cli.top",
    "tune": "inference_server.cli.tune",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. Without a command word the server is started."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0].startswith("-"):
        from inference_server.cli.serve import serve

        return serve(words)
    module = COMMANDS.get(words[0])
    if module is None:
        from inference_server.cli.flags import refuse

        return refuse(
            f"there is no command {words[0]!r}; to serve a script: azmlinfsrv --entry_script score.py"
        )
    try:
        code: int = import_module(module).main(words[1:])
        return code
    except BrokenPipeError:  # who reads us has seen enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
