"""Write a script, a sample request, requirements and YAML for a model."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from inference_server.cli.command import INTERRUPTED, Parser, fail
from inference_server.cli.terminal import Terminal
from inference_server.errors import InferenceServerError, StartError
from inference_server.scaffold import looking
from inference_server.scaffold.files import REQUEST, SCRIPT, files_for, write
from inference_server.scaffold.formats.pickles import suspects
from inference_server.scaffold.model import Model, Unknown
from inference_server.settings import DECLARED, load
from inference_server.trial import requests
from inference_server.trial.pretty import path as shown_path
from inference_server.trial.process import LoadFailed, TrialProcess
from inference_server.trial.report import Report

REFUSED, FAILED = 1, 1
_MOST_NAMES = 6

_ABOUT = """\
Looks at a model without loading it and writes what serves it: score.py, sample-request.json, requirements.txt,
endpoint.yml and deployment.yml. Reads pickle and joblib files (scikit-learn and its like), ONNX, TorchScript,
safetensors, XGBoost, LightGBM, and folders that MLflow wrote; without a model it looks for one in this folder.
Then it tries the script once. Where loading the model would run code that came with it, it asks first."""
_EXAMPLES = [
    ("azmlinfsrv init model.joblib", "a scikit-learn model beside the script"),
    ("azmlinfsrv init mlruns/1/models/m-1/artifacts", "a model that MLflow logged"),
    ("azmlinfsrv init net.onnx --output serving", "into another folder"),
    (
        "azmlinfsrv init model.pkl --trust --python ~/envs/model",
        "try it on the model's environment, without asking",
    ),
    ("azmlinfsrv init --plain", "a script to begin with, without a model"),
]


def parser() -> Parser:
    """The command line."""
    made = Parser("init", _ABOUT, _EXAMPLES)
    made.add_argument(
        "model", nargs="?", metavar="MODEL", help="A file or folder. Default: the one in this folder."
    )
    made.add_argument("-o", "--output", default=".", metavar="FOLDER", help="Where to. Default: this folder.")
    made.add_argument("--name", default="", help="Name of the endpoint. Default: from the model's name.")
    made.add_argument("--plain", action="store_true", help="A script without a model.")
    made.add_argument("--force", action="store_true", help="Overwrite files that are there.")
    made.add_argument(
        "--trust", action="store_true", help="Load the model to try the script, without asking."
    )
    made.add_argument("--no_try", action="store_true", help="Only write the files.")
    made.add_settings("workers.python")
    return made


def main(words: Sequence[str]) -> int:
    """Write the files and try them; returns the exit code.

    0: written (and answered, if tried) · 1: no model, one that is not to be trusted, files that exist, or the script
    did not answer · 2: wrong use.
    """
    made = parser()
    try:
        options = made.read(words)
    except SystemExit as end:
        return int(end.code or 0)
    if options.plain and options.model:
        return fail(made.prog, "--plain is for a script without a model")
    python = made.settings(options).get("workers.python", DECLARED["workers.python"].default)
    try:
        return _Init(options, python).run()
    except InferenceServerError as error:
        return fail(made.prog, error, REFUSED)
    except KeyboardInterrupt:
        return INTERRUPTED


class _Init:
    def __init__(self, options: Namespace, python: str) -> None:
        self.options = options
        self.python = python
        self.folder = Path(options.output)
        self.terminal = Terminal()

    def run(self) -> int:
        """Look, write, try. Raises InferenceServerError where there is nothing to be written."""
        model = None if self.options.plain else self._look()
        files = files_for(model, self.folder, self.options.name)
        write(files, self.folder, self.options.force)
        self._say_written(files, model)
        code = 0
        if not self.options.no_try and (model is None or self._may_run(model)):
            code = self._try(model)
        self._say_next()
        return code

    def _look(self) -> Model:
        """The model. Raises NotAModel; refuses one whose pickle runs commands, unless it is trusted."""
        paint, say = self.terminal.paint, self.terminal.say
        model = looking.look(Path(self.options.model or "."))
        say(f"{paint(shown_path(str(model.path)), 'bold')}  {paint(model.about)}")
        if model.runs_code:
            say(f"It is {model.runs_code}{':' if model.pickled else '.'}")
            for line in _grouped(model.pickled):
                say(f"    {paint(line, 'dim')}")
        bad = suspects(model.pickled)
        if bad:
            say(
                paint(
                    f"No model needs {', '.join(bad)}: this file may do harm where it is loaded.",
                    "red",
                    "bold",
                )
            )
            if not self.options.trust:
                raise InferenceServerError(
                    f"nothing was written for {shown_path(str(model.path))}: load it only if you know who made it, "
                    "then say --trust"
                )
        return model

    def _say_written(self, files: dict[str, str], model: Model | None) -> None:
        self.terminal.say()
        for name in files:
            self.terminal.say(f"wrote {self.terminal.paint(shown_path(str(self.folder / name)), 'cyan')}")
        notes = list(model.code.notes) if model else []
        if model and isinstance(model.takes, Unknown) and not notes:
            notes.append(f"{REQUEST}: the file does not say what the model takes; put in a real request")
        for note in notes:
            self.terminal.say(f"{self.terminal.paint('to do', 'yellow')} {note}")

    def _may_run(self, model: Model) -> bool:
        """Whether the model may be loaded: it is plain data, or somebody says so."""
        if not model.runs_code or self.options.trust:
            return True
        if sys.stdin.isatty() and sys.stdout.isatty():
            self.terminal.say()
            return input(
                "Load it now, to try the script? Only if you trust who made it. [y/N] "
            ).strip().lower() in (
                "y",
                "yes",
            )
        self.terminal.say(
            "\nNot tried: loading the model runs code that came with it; --trust says you know who made it."
        )
        return False

    def _try(self, model: Model | None) -> int:
        """Answer the sample request once, in a process of its own; returns the exit code."""
        settings = load(
            {"script.entry_script": os.path.realpath(self.folder / SCRIPT), "workers.python": self.python}
        )
        environment = {**settings.worker_environment()}
        environment.pop("AZUREML_MODEL_DIR", None)  # the script finds its model by itself
        config = settings.scoring_config()._replace(model_dir="")
        report = Report(self.terminal.paint, self.terminal.width)
        self.terminal.say()
        unfinished = model is not None and isinstance(model.takes, Unknown)
        try:
            with TrialProcess(self.python, config, environment) as process:
                if unfinished:  # the sample request is none yet
                    self.terminal.say("\n".join(report.loaded(str(self.folder / SCRIPT), process.loaded)))
                    return 0
                (request,) = requests.read([str(self.folder / REQUEST)])
                called = process.call(request)
        except LoadFailed as error:
            lines = report.load_failed(str(self.folder / SCRIPT), error.failure)
            self.terminal.say("\n".join(lines))
            if "ModuleNotFoundError" in error.failure.error:
                where = shown_path(str(self.folder / "requirements.txt"))
                self.terminal.say(f"\nNot tried yet: {self.python} -m pip install -r {where}")
                return 0
            return FAILED
        except StartError as error:
            raise InferenceServerError(str(error)) from error
        self.terminal.say("\n".join(report.called(request, called)))
        return 0 if called.ok or (model is not None and model.code.notes) else FAILED

    def _say_next(self) -> None:
        script, request = (shown_path(str(self.folder / name)) for name in (SCRIPT, REQUEST))
        paint = self.terminal.paint
        self.terminal.say(f"\n{paint('next', 'bold')}  azmlinfsrv test --entry_script {script} -r {request}")
        self.terminal.say(f"      azmlinfsrv --entry_script {script}")


def _grouped(names: Sequence[str]) -> list[str]:
    """One line for each package, with the names it is asked for."""
    lines = []
    for root, group in groupby(sorted(names), key=lambda name: name.partition(".")[0]):
        short = list(dict.fromkeys(name.rpartition(".")[2] for name in group))
        more = f" and {len(short) - _MOST_NAMES} more" if len(short) > _MOST_NAMES else ""
        lines.append(f"{root}: {', '.join(short[:_MOST_NAMES])}{more}")
    return lines
