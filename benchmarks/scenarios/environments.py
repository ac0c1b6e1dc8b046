"""A model's environment is made from a file, and found again: beside the installer alone, and beside `--python`.

The installer alone is `uv venv` and `uv pip install scikit-learn`; ours is the whole command `azmlinfsrv env build`, which runs
the same two, in its own process from start to end. Once with the packages in uv's cache on this disk, once with that cache
empty, so that all of it comes from the index; there the best of the rounds counts, since the network differs by more than
the two do. Neither compiles modules: Python does that at their first import.

A server's start is measured to its first answer of the tiny script: with `--python` and the path of an environment, and with
`--python_environment` and the file that environment was made from before. Runs take turns; a figure is the middle of its rounds.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.environments import uv
from benchmarks.servers import OURS, environment, running
from benchmarks.tables import Goal, number, ratio, share, table
from benchmarks.workloads import WORKLOADS

TITLE = "A model's environment, made and found"
ROUNDS, COLD_ROUNDS, START_ROUNDS = 7, 5, 9
ASKED = "scikit-learn\n"
CONDA = "dependencies:\n  - python={}\n  - scikit-learn\n"
CACHE = "AZMLINFSRV_ENVIRONMENT_CACHE"
FULL_SECONDS = 3.0  # of a measurement of full length: with less there are fewer rounds
MADE = {"uv": "uv venv, uv pip install", "ours": "azmlinfsrv env build"}
STARTS = {
    "python": "`--python`, the environment's path",
    "requirements": "`--python_environment requirements.txt`, made before",
    "conda": "`--python_environment conda.yml`, made before",
}


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    """Only ours is asked: the peers make no environments."""
    part = min(1.0, seconds / FULL_SECONDS)
    rounds = [max(1, round(count * part)) for count in (ROUNDS, COLD_ROUNDS, START_ROUNDS)]
    record: dict[str, Any] = {"uv": _said([*uv(), "--version"])}
    with tempfile.TemporaryDirectory(prefix="azmlinfsrv-bench-") as folder:
        here = Path(folder)
        (here / "requirements.txt").write_text(ASKED)
        (here / "conda.yml").write_text(CONDA.format(".".join(map(str, sys.version_info[:2]))))
        _makes(here, {})  # what is in uv's cache is there for both
        record["on disk"] = _middle([_makes(here, {}, turn) for turn in range(rounds[0])])
        record["from the index"] = _best([_makes(here, _empty(here), turn) for turn in range(rounds[1])])
        record["start"] = _middle(_starts(here, rounds[2]))
    print(f"environments: {record}", flush=True)
    return record


def _makes(here: Path, variables: Mapping[str, str], turn: int = 0) -> dict[str, float]:
    """Seconds of each way to make one, into folders that are new."""
    took = {}
    for way in (list(MADE), list(reversed(MADE)))[
        turn % 2
    ]:  # what the first asks for, an index may still have at hand
        for name in ("alone", "cache"):
            shutil.rmtree(here / name, ignore_errors=True)
        if "UV_CACHE_DIR" in variables:
            shutil.rmtree(variables["UV_CACHE_DIR"], ignore_errors=True)
        given = {**os.environ, **variables, CACHE: str(here / "cache")}
        program, file = uv()[0], str(here / "requirements.txt")
        steps = [[sys.executable, "-m", "inference_server", "env", "build", file]]
        if way == "uv":
            python = getattr(sys, "_base_executable", sys.executable)
            steps = [
                [program, "venv", "-q", "--python", python, str(here / "alone")],
                [
                    program,
                    "pip",
                    "install",
                    "-q",
                    "--python",
                    str(here / "alone" / "bin" / "python"),
                    "-r",
                    file,
                ],
            ]
        begun = time.perf_counter()
        for words in steps:
            subprocess.run(words, env=given, check=True, capture_output=True)
        took[way] = time.perf_counter() - begun
    return took


def _starts(here: Path, rounds: int) -> list[dict[str, float]]:
    """Seconds to the first answer, of each way to name an environment that is there."""
    variables = {CACHE: str(here / "kept")}
    files = {
        name: str(here / f"{name}.{ending}") for name, ending in (("requirements", "txt"), ("conda", "yml"))
    }
    given = {**environment("tiny"), **variables}
    for file in files.values():
        python = _said([sys.executable, "-m", "inference_server", "env", "build", file], given)
    flags = {"python": ["--python", python]}
    flags |= {name: ["--python_environment", file] for name, file in files.items()}
    took = []
    for _ in range(rounds):
        row = {}
        for name, words in flags.items():
            with running(replace(OURS, command=_with(words)), WORKLOADS["tiny"], variables) as now:
                row[name] = now.first_answer
        took.append(row)
    return took[1:] or took  # in the first round modules are compiled


def _with(words: list[str]) -> Any:
    return lambda folder, port, workload: [*OURS.command(folder, port, workload), *words]


def _empty(here: Path) -> dict[str, str]:
    return {"UV_CACHE_DIR": str(here / "empty")}


def _said(words: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
    """What a command writes to standard output, without its line break."""
    answer = subprocess.run(words, env=variables, check=True, capture_output=True, text=True)
    return answer.stdout.strip()


def _middle(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}


def _best(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: min(row[name] for row in rounds) for name in rounds[0]}


def report(record: dict[str, Any]) -> str:
    made = [
        [
            title,
            *(
                f"{number(record[where][way])} s, {ratio(record[where][way], record[where]['uv'])}"
                for where in _WHERE
            ),
        ]
        for way, title in MADE.items()
    ]
    plain = record["start"]["python"]
    started = [
        [title, number(record["start"][name], " s"), f"{(record['start'][name] - plain) * 1000:+.0f} ms"]
        for name, title in STARTS.items()
    ]
    head = [f"scikit-learn, {record['uv'].partition(' (')[0]}", "packages on this disk", "from the index"]
    return f"{table(head, made)}\n\n{table(['start of a server with', 'first answer', 'more'], started)}"


_WHERE = ("on disk", "from the index")


def goals(record: dict[str, Any]) -> list[Goal]:
    index, start = record["from the index"], record["start"]
    return [
        Goal(
            "an environment for scikit-learn, to uv alone",
            share(index["ours"], index["uv"]),
            1.2,
            False,
            " ×",
        ),
        Goal(
            "start in one that was made before, to --python",
            share(start["requirements"], start["python"]),
            1.05,
            False,
            " ×",
        ),
    ]
