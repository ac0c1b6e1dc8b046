"""The key of the store in a real keyring: that of GNOME, on a session bus of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import clean_environment
from tests.tools import require_module, require_tool

SESSION = """
printf 'password of the session' | gnome-keyring-daemon --unlock --components=secrets >/dev/null
echo hunter2-hunter2 | "$PYTHON" -m inference_server secret set pw
"$PYTHON" -c '
from inference_server.settings import load
from inference_server.secrets.store import store
settings = load()
print(store(settings.secrets, settings.environment).get("pw"))'
"""
LOCKED = """
gnome-keyring-daemon --start --components=secrets >/dev/null
"$PYTHON" -c '
from inference_server.secrets import keys
keys.KEYRING_SECONDS = 0.5
from inference_server.cli.secret import main
main(["set", "pw", "--file", "/proc/version"])'
"""


@pytest.fixture(autouse=True)
def without_keyring() -> None:
    """Here there is one."""


@pytest.mark.system
@pytest.mark.parametrize(
    ("session", "shown", "in_file"),
    [
        (SESSION, ["Its key is in the system's keyring.", "hunter2-hunter2"], False),
        (LOCKED, ["secrets.json.key"], True),
    ],
)
def test_a_keyring_that_is_unlocked_and_one_that_nobody_unlocks(
    tmp_path: Path, session: str, shown: list[str], in_file: bool
) -> None:
    require_tool("dbus-run-session", "dbus")
    require_tool("gnome-keyring-daemon", "gnome-keyring")
    require_module("keyring")
    for folder in (".cache", ".local/share/keyrings", "run"):
        (tmp_path / folder).mkdir(mode=0o700, parents=True)
    places = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run"), "PYTHON": sys.executable}
    environment = clean_environment(**places)
    for name in (
        "PYTHON_KEYRING_BACKEND",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "DBUS_SESSION_BUS_ADDRESS",
        "DISPLAY",
    ):
        environment.pop(name, None)
    command = ["dbus-run-session", "--", "sh", "-c", session]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, close_fds=True
    )
    for text in shown:
        assert text in done.stdout, done.stdout + done.stderr
    assert os.path.exists(tmp_path / ".local/share/azmlinfsrv/secrets.json.key") == in_file
