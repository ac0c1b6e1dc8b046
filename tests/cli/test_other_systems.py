"""At the door nothing is needed that only POSIX has: as far as that can be tried without Windows.

In a process of its own what Windows lacks is taken away (modules, functions, signals, gunicorn and uvloop) and
`sys.platform` says win32, once the standard library and uvicorn have been imported as they are here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inference_server.cli import COMMANDS
from tests.end_to_end.running import clean_environment

BEFORE = """
import os, signal, sys
import argparse, asyncio, concurrent.futures, ctypes, curses, http.client, http.server, importlib.metadata
import logging.config, logging.handlers, multiprocessing, platform, queue, select, selectors, shutil, sqlite3, ssl
import subprocess, tarfile, tempfile, threading, types, urllib.request, uuid, zipfile
import uvicorn  # it asks for msvcrt there

GONE = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "syslog", "gunicorn", "uvloop")

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in GONE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in [name for name in sys.modules if name.partition(".")[0] in GONE]:
    del sys.modules[name]
sys.meta_path.insert(0, Absent())
sys.modules["msvcrt"] = types.ModuleType("msvcrt")  # what only Windows has is there to be imported
for name in ("fork", "forkpty", "getuid", "geteuid", "getgid", "killpg", "getpgid", "setsid", "pidfd_open", "sysconf",
             "memfd_create", "register_at_fork", "nice", "uname", "sched_getaffinity", "posix_spawn", "getloadavg",
             "openpty", "chown", "mkfifo", "WNOHANG", "O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGWINCH", "SIGTTIN", "SIGTTOU",
             "SIGQUIT", "SIGPIPE", "setitimer", "getitimer", "pthread_sigmask", "pthread_kill"):
    if hasattr(signal, name):
        delattr(signal, name)
sys.platform = "win32"
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEFORE + code],
        cwd=folder,
        env=clean_environment(NO_COLOR="1"),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_command_is_imported_and_helps(tmp_path: Path) -> None:
    done = run(
        """
from inference_server.cli import COMMANDS, main
for words in (["--help"], *([name, "--help"] for name in COMMANDS)):
    print("==", *words, flush=True)
    assert main(words) == 0
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    for name in COMMANDS:
        assert f"== {name} --help" in done.stdout


def test_the_settings_of_such_a_system(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    done = run(
        """
from inference_server.cli.flags import parse
from inference_server.settings import load
from inference_server import server, supervisor
settings = load(parse(["--entry_script", "score.py"]))
print(settings.workers.channel, settings.supervisor.supervisor, type(supervisor.choose(settings)).__name__)
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["tcp", "none"]


@pytest.mark.parametrize("words", [["reload"], ["vscode"], ["init"], ["nonsense"]])
def test_what_cannot_be_done_is_said(words: list[str], tmp_path: Path) -> None:
    done = run(f"from inference_server.cli import main\nsys.exit(main({words!r}))", tmp_path)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout or done.stderr
