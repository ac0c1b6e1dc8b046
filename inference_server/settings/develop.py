"""The settings of those who write the script: the debugger, reloading, errors that show the place."""

from __future__ import annotations

from dataclasses import dataclass

from inference_server.settings import read
from inference_server.settings.declare import setting
from inference_server.settings.read import switch, text, whole

DEBUGGER_PORT = 5678  # the one that editors propose


@dataclass(frozen=True)
class DevelopSettings:
    """While a script is being written. Not for production: the debugger runs what it is sent, errors show code."""

    debug: bool = setting(
        False,
        switch,
        "Editors attach to the script with debugpy. One worker, no batching, unless their flags are given; no time "
        "limits, since a breakpoint may hold for long. Needs debugpy where the script runs: azmlinfsrv[dev].",
        flag=True,
    )
    debug_listen: int = setting(
        DEBUGGER_PORT,
        whole(1, 65535),
        "The port that editors attach to; each further worker has the next free one.",
        flag="debug_port",
    )
    debug_host: str = setting(
        "127.0.0.1",
        text,
        "The address that editors attach to. Who reaches it can run any code: 0.0.0.0 only inside a container whose "
        "port is published on the loopback.",
        flag=True,
    )
    debug_wait: bool = setting(
        False, switch, "The script is not loaded before an editor has attached. Implies --debug.", flag=True
    )
    reload: bool = setting(
        False,
        switch,
        "New workers take over, losing no request, when the script, a module of yours that it imports, or the model's "
        "folder changes. Needs watchfiles: azmlinfsrv[dev].",
        flag=True,
    )
    reload_mode: str = setting(
        "swap",
        read.one_of("swap", "drain"),
        "swap: the new worker is ready before the old one leaves, which takes memory for two. drain: the old one leaves "
        "first, and requests wait meanwhile. For every reload, also by SIGHUP.",
        flag=True,
    )
    show_errors: bool = setting(
        False,
        switch,
        "Error answers carry the place in the script and the traceback; --debug and --reload imply it.",
        flag=True,
    )

    @property
    def debugs(self) -> bool:
        """Whether editors can attach."""
        return self.debug or self.debug_wait

    @property
    def shows_errors(self) -> bool:
        """Whether callers see where the script failed."""
        return self.show_errors or self.debugs or self.reload
