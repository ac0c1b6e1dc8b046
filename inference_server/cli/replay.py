"""Send recorded requests again, to a script or a server, and compare the answers."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from inference_server.cli import replay_mismatch, replay_recorded
from inference_server.cli.command import INTERRUPTED, Parser, fail
from inference_server.cli.replay_recorded import RECORDED_ONLY
from inference_server.errors import SettingsError
from inference_server.scoring.batching import repro
from inference_server.settings import load

_ABOUT = """\
Sends requests again that a server has kept (--record FOLDER), and compares the answers with those they got then, or
with those of another version of the script (--diff). With --break it stops in run() for an editor's debugger.

It also takes a file that the log names when the rows of a script's requests cannot be joined: these requests
are run each alone and all together, and what differs is shown.

Exit code: 0 all as it was, 1 something differs, 2 it cannot be done."""
_EXAMPLES = [
    ("azmlinfsrv replay records", "to the script they were recorded from, as it is now"),
    ("azmlinfsrv replay records --entry_script score.py", "to the script in this folder"),
    ("azmlinfsrv replay records --only failed --break", "stop in run() for each that failed"),
    ("azmlinfsrv replay records --diff score_new.py", "two versions of the script, side by side"),
    ("azmlinfsrv replay records --url http://127.0.0.1:5001", "to a running server"),
]


def parser() -> Parser:
    """The command line."""
    made = Parser("replay", _ABOUT, _EXAMPLES)
    made.add_argument(
        "path", metavar="FILE", help="A folder of recorded requests, one of its files, or a mismatch file."
    )
    replay_recorded.add_options(made)
    made.add_settings(
        "script.entry_script",
        "script.model_dir",
        "script.config_file",
        "workers.python",
        "develop.debug_listen",
        "develop.debug_host",
    )
    return made


def main(words: Sequence[str]) -> int:
    """Replay; returns the exit code."""
    made = parser()
    try:
        options = made.read(words)
        settings = load(made.settings(options))
    except SystemExit as end:
        return int(end.code or 0)
    except SettingsError as error:
        return fail(made.prog, error)
    try:
        if _is_mismatch(options.path):
            given = [name for name in RECORDED_ONLY if getattr(options, name) not in (None, False, [])]
            if given:
                return fail(
                    made.prog, f"--{given[0]} is for recorded requests; {options.path} is a mismatch file"
                )
            return replay_mismatch.replay(options.path, settings)
        return replay_recorded.replay(options, settings)
    except KeyboardInterrupt:
        return INTERRUPTED


def _is_mismatch(path: str) -> bool:
    """Whether it is a file for the other kind of replay; whatever is no recorded request is told of there."""
    if os.path.isdir(path):
        return False
    try:
        with open(path, "rb") as file:
            facts = json.load(file)
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and facts.get("format") == repro.FORMAT
