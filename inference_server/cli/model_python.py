"""The interpreter of a script, for commands that load it themselves: made first where a file defines it."""

from __future__ import annotations

import sys

from inference_server.cli.terminal import Terminal
from inference_server.settings import Settings
from inference_server.settings.environments import environments_folder

PYTHONS = ("workers.python", "environments.python_environment", "environments.cache_dir")  # settings' keys


def with_model_python(settings: Settings) -> Settings:
    """The settings with the Python that the script runs on. Shows progress; raises StartError when it cannot be made."""
    source = settings.environments.definition
    if not source:
        return settings
    from inference_server.environments.build import Asked, ensure
    from inference_server.environments.cache import Cache
    from inference_server.environments.errors import EnvironmentFailed

    cache = Cache(environments_folder(settings.environments, settings.environment))
    progress = Progress(Terminal(sys.stderr))
    given = settings.workers.python if "workers.python" in settings.given else ""
    try:
        made = ensure(Asked(source, cache, settings.environment, given, say=progress.say))
        cache.use(made)  # until this process ends
    except EnvironmentFailed as error:
        for line in error.detail.splitlines():
            progress.say(f"  {line}")
        raise
    finally:
        progress.close()
    return settings.changed({"workers.python": made.interpreter})


class Progress:
    """Lines of progress on standard error: on a terminal what is only news for a moment is overwritten by the next."""

    _BRIEF = ("collecting ", "downloading ", "building ", "linking ", "resolved ", "prepared ")

    def __init__(self, terminal: Terminal) -> None:
        self.said = False
        self._terminal = terminal
        self._over = False  # the last line may be written over
        self._live = sys.stderr.isatty()

    def say(self, line: str) -> None:
        self.said = True
        brief = self._live and line.startswith(self._BRIEF)
        line = line[: self._terminal.width - 1] if brief else line
        self.close()
        if brief:
            sys.stderr.write(self._terminal.paint(line, "dim"))
            sys.stderr.flush()
            self._over = True
        else:
            self._terminal.say(self._terminal.paint(line))

    def close(self) -> None:
        """Nothing stays of a line that was to be written over."""
        if self._over:
            sys.stderr.write("\r\x1b[K")
            self._over = False
