"""`azmlinfsrv replay` of a mismatch: see again why the rows of a script's requests are not joined."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import inference_server.scoring
from inference_server.cli.command import fail
from inference_server.cli.replay_report import report
from inference_server.scoring.batching import repro
from inference_server.scoring.config import ScoringConfig
from inference_server.settings import Settings

AGREE, DIFFER = 0, 1
_LOG_LINES = 15
_BOOTSTRAP = str(Path(inference_server.scoring.__file__).with_name("bootstrap.py"))
# As a worker starts: our package is loaded from where it lies, and nothing beside it becomes importable.
_START = """\
import runpy, sys
del sys.path[0]
runpy.run_path(sys.argv[1])["load_package"]()
from inference_server.scoring.batching.replay import main
sys.exit(main(sys.argv[2:]))
"""


class _Unusable(Exception):
    """The file or the script cannot be used; the text says why, and what to do."""


def replay(file: str, settings: Settings) -> int:
    """Replay a mismatch file on the script that `settings` name, or on that it was made with; returns the exit code.

    0: the answers agree now · 1: they differ · 2: the file or the script cannot be used.
    """
    script, model_dir = settings.script.path, settings.script.model_dir
    try:
        facts = _read(file)
        path = _script(script or facts["script"], script)
        config = ScoringConfig.from_json(json.dumps(facts["config"]).encode())
        config = config._replace(
            entry_script=path,
            model_dir=os.path.abspath(model_dir) if model_dir else config.model_dir,
            threads=1,
            debug_port=None,
            max_batch_size=max(2, config.max_batch_size),
        )
        found = _replayed(settings.workers.python, file, config)
    except _Unusable as error:
        return fail("azmlinfsrv replay", error)
    if facts["digest"] and found["digest"] != facts["digest"]:
        print(f"warning: {path} has changed since the file was written\n", file=sys.stderr)
    differ, text = report(facts, found)
    print(text)
    return DIFFER if differ else AGREE


def _read(path: str) -> dict[str, Any]:
    try:
        facts = repro.read(path)
        if facts["requests"] and isinstance(facts["config"], dict) and isinstance(facts["script"], str):
            return facts
    except OSError as error:
        raise _Unusable(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise _Unusable(str(error)) from None
    except (KeyError, TypeError):
        pass
    raise _Unusable(f"{path} is not a mismatch file, or it is damaged")


def _script(path: str, named: str | None) -> str:
    if os.path.isfile(path):
        return os.path.abspath(path)
    more = "" if named else "; say where it is now with --entry_script"
    raise _Unusable(f"there is no script at {path}{more}")


def _replayed(python: str, file: str, config: ScoringConfig) -> dict[str, Any]:
    """What a process in the model's environment found. Raises _Unusable."""
    with tempfile.TemporaryDirectory(prefix="azmlinfsrv-replay-") as folder:
        target = os.path.join(folder, "found.json")
        words = [os.path.abspath(file), config.to_json().decode(), target]
        ended = subprocess.run(
            [python, "-c", _START, _BOOTSTRAP, *words],
            env=_environment(os.environ, config),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = ended.stdout.decode("utf-8", "replace").strip().splitlines()[-_LOG_LINES:]
        if ended.returncode or not os.path.exists(target):
            raise _Unusable(
                "\n".join([f"the process that ran the script ended with {ended.returncode}", *said])
            )
        with open(target, encoding="utf-8") as result:
            found: dict[str, Any] = json.load(result)
    if "failed" in found:
        raise _Unusable(f"the script cannot be loaded with {python}: {found['failed']}")
    return found


def _environment(environ: Mapping[str, str], config: ScoringConfig) -> dict[str, str]:
    """What a worker's script finds in its environment."""
    result = {**environ, "AML_APP_ROOT": config.app_root}
    if config.model_dir:
        result["AZUREML_MODEL_DIR"] = config.model_dir
    return result
