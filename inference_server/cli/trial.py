"""Load a script and answer requests from files, without a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from inference_server.cli.command import INTERRUPTED, Parser, fail
from inference_server.cli.model_python import PYTHONS, with_model_python
from inference_server.cli.terminal import Terminal
from inference_server.errors import SettingsError, StartError
from inference_server.secrets.environment import resolved_environment
from inference_server.settings import Settings, load
from inference_server.trial import requests
from inference_server.trial.process import Called, LoadFailed, TrialProcess
from inference_server.trial.report import Report, as_json
from inference_server.trial.requests import TrialRequest

REQUEST_FAILED, NOT_LOADED = 1, 3
DEFAULT_SCRIPT = "score.py"

_ABOUT = """\
Loads a script as a worker does, on the model's interpreter, answers each request once, and shows the answer, its time
and memory, or where it failed. Exit code: 0 all requests were answered (status below 400), 1 one was not, 2 wrong
use, 3 the script cannot be loaded."""
_EXAMPLES = [
    ("azmlinfsrv test -r request.json", "score.py in this folder, one request"),
    ("azmlinfsrv test --entry_script src/score.py -r requests/", "every file of a folder"),
    ("azmlinfsrv test", "the sample that @input_schema declares, else only load"),
    ("azmlinfsrv test --python ~/envs/model -r request.json", "on the model's own environment"),
    ("echo '{\"data\": [1, 2]}' | azmlinfsrv test -r -", "a request from standard input"),
]


def parser() -> Parser:
    """The command line."""
    made = Parser("test", _ABOUT, _EXAMPLES)
    made.add_argument(
        "-r",
        "--request_file",
        dest="files",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="Bodies to send: files, folders of files, - for standard input. The type is told by the file's name.",
    )
    made.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="Sent with every request.",
    )
    made.add_argument("--full", action="store_true", help="Show all of long answers and tracebacks.")
    made.add_argument("--json", action="store_true", help="Report as one JSON object, for other programs.")
    made.add_argument("--verbose", action="store_true", help="Show the server's own log lines too.")
    made.add_settings("script.entry_script", "script.model_dir", "script.config_file", *PYTHONS)
    return made


def main(words: Sequence[str]) -> int:
    """Run the trial; returns the exit code."""
    made = parser()
    try:
        options = made.read(words)
        settings = _with_default_script(load(made.settings(options)))
        headers = requests.parse_headers(options.header)
        wanted = requests.read(options.files, headers)
    except SystemExit as end:
        return int(end.code or 0)
    except SettingsError as error:
        return fail(made.prog, error)
    trial = _Trial(settings, wanted, headers, options.verbose, options.json, options.full)
    try:
        return trial.run()
    except LoadFailed as error:
        return trial.load_failed(error)
    except StartError as error:
        return fail(made.prog, error, NOT_LOADED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _with_default_script(settings: Settings) -> Settings:
    """The settings, with score.py of the current folder where no script is named and there is one."""
    if settings.script.path or settings.script.config_file or not os.path.isfile(DEFAULT_SCRIPT):
        return settings
    return settings.changed({"script.entry_script": os.path.realpath(DEFAULT_SCRIPT)}, "flag")


@dataclass
class _Trial:
    settings: Settings
    wanted: list[TrialRequest]
    headers: tuple[tuple[str, str], ...]
    verbose: bool
    json: bool
    full: bool
    _calls: list[tuple[TrialRequest, Called]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._terminal = Terminal()
        self._report = Report(self._terminal.paint, self._terminal.width, self.full)
        self._script = self.settings.script.path or os.path.join(self.settings.script.app_root, "main.py")

    def run(self) -> int:
        """Load, answer all requests, report. Raises StartError when the script does not load."""
        self.settings = with_model_python(self.settings)
        process = self._start()
        loaded = process.loaded
        try:
            self._say(self._report.loaded(self._script, loaded))
            if not self.wanted and loaded.sample is not None:
                self.wanted.append(requests.of_sample(loaded.sample, self.headers))
            for request in self.wanted:
                if not process.alive:  # it died of the last request: a worker would be replaced
                    process.close()
                    process = self._start()
                self._one(process, request)
        finally:
            process.close()
        if self.json:
            self._terminal.say(as_json(self._script, loaded, None, self._calls))
        elif self._calls:
            self._terminal.say("\n" + self._report.summary([called for _, called in self._calls]))
        else:
            self._terminal.say("\nNo request was sent: name one with -r request.json")
        return REQUEST_FAILED if any(not called.ok for _, called in self._calls) else 0

    def load_failed(self, error: LoadFailed) -> int:
        """Report a script that does not load; returns the exit code."""
        if self.json:
            self._terminal.say(as_json(self._script, None, error.failure, self._calls))
        else:
            self._say(self._report.load_failed(self._script, error.failure))
        return NOT_LOADED

    def _start(self) -> TrialProcess:
        settings = self.settings
        environment = resolved_environment(settings.worker_environment(), settings.secrets)
        return TrialProcess(settings.workers.python, settings.scoring_config(), environment, self.verbose)

    def _one(self, process: TrialProcess, request: TrialRequest) -> None:
        called = process.call(request)
        self._calls.append((request, called))
        self._say(["", *self._report.called(request, called)])

    def _say(self, lines: list[str]) -> None:
        if not self.json:
            self._terminal.say("\n".join(lines))
