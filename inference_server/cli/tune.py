"""`azmlinfsrv tune`: measure a script with real requests, and write the settings it runs best with."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from inference_server.cli import tuned_file
from inference_server.cli.flags import parse
from inference_server.errors import SettingsError
from inference_server.settings import DECLARED, BadSettings, Settings, load, read
from inference_server.tuning import bodies, machine
from inference_server.tuning.choose import best_of_each, choose
from inference_server.tuning.evidence import evidence, megabytes, nothing_fits
from inference_server.tuning.facts import Budget, Point, plural
from inference_server.tuning.measure import Bench, Plan, Stopped
from inference_server.tuning.report import Screen, table
from inference_server.tuning.running import StartFailed
from inference_server.tuning.search import Limits, Search, doubled

WRONG_WORDS, BAD_ANSWER, NO_START, NOTHING_FITS, INTERRUPTED = 1, 2, 3, 4, 130
_OURS = ("workers.worker_count", "listen.port", "listen.host", "listen.health_port")
_PART = 0.9  # of the memory there is, as long as nobody says how much may be taken

_ABOUT = """\
Starts the server on the script with one configuration after the other, loads it with your requests, and says which
batch size and how many workers answer the most of them within your limits. The result is written as a configuration
file. All flags of the server may be given too (azmlinfsrv --help); they hold for every measurement."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_WORDS, f"{self.prog}: error: {message}\n")


class _Interrupted(KeyboardInterrupt):
    """Somebody asked us to end."""


def main(words: Sequence[str]) -> int:
    """Measure and recommend; returns the exit code.

    0: a recommendation was written · 1: the command line, the settings or the requests are wrong · 2: a request was not
    answered with 200 · 3: the server does not start on the script · 4: nothing keeps to the limits · 130: interrupted.
    """
    try:
        options, flags = _read(words)
        settings = load(flags)
        sent = bodies.read(options.request)
        tuned_file.check(options.output, settings.config_path)
    except SystemExit as end:
        return int(end.code or 0)
    except (SettingsError, bodies.NoBodies, tuned_file.Unusable) as error:
        report = error.report if isinstance(error, BadSettings) else [f"azmlinfsrv tune: error: {error}"]
        print("\n".join(report), file=sys.stderr)
        return WRONG_WORDS
    if not settings.script.path or not os.path.isfile(settings.script.path):
        print(f"azmlinfsrv tune: error: no script at {settings.script.path}", file=sys.stderr)
        return WRONG_WORDS
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _Tuning(options, flags, settings, sent).run()
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    raise _Interrupted


def _read(words: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Our own options, and the server's flags by the settings' keys."""
    parser = _parser()
    options, rest = parser.parse_known_args([_underscored(word) for word in words])
    if options.seconds <= 0:
        parser.error("--seconds expects a number above 0")
    flags = parse(rest)
    for key in _OURS:
        if key in flags:
            more = ", and --max_workers bounds it" if key == _OURS[0] else ""
            parser.error(f"{DECLARED[key].option} is not for you to give here: tune sets it itself{more}")
    return options, flags


def _parser() -> _Parser:
    parser = _Parser(
        prog="azmlinfsrv tune",
        usage="azmlinfsrv tune --entry_script SCORE.PY -r REQUEST… [options] [flags of the server]",
        description=_ABOUT,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def add(*names: str, reads: Any, default: Any, about: str, shown: str = "VALUE") -> None:
        parser.add_argument(*names, type=_reader(reads), default=default, metavar=shown, help=about)

    parser.add_argument(
        "-r",
        "--request",
        nargs="+",
        action="extend",
        required=True,
        metavar="FILE",
        help="Bodies to send: files, folders of files, or .jsonl files with one in each line. The more they "
        "resemble what callers will send, the better.",
    )
    add(
        "--latency_ms",
        reads=read.number,
        default=0.0,
        shown="MS",
        about="Most for 99 in 100 requests. Default: any.",
    )
    add(
        "--memory",
        reads=read.size,
        default=0,
        shown="SIZE",
        about="Most for the front and the workers together. Default: 90 %% of what is free.",
    )
    add(
        "--max_batch_size",
        reads=read.whole(1),
        default=64,
        shown="ROWS",
        about="Largest batch tried. Default: 64.",
    )
    add(
        "--max_workers",
        reads=read.whole(1),
        default=0,
        shown="N",
        about="Most workers tried. Default: one for each processor, or for each of --devices.",
    )
    add("--seconds", reads=read.number, default=2.0, shown="SECONDS", about="Of one measurement. Default: 2.")
    add(
        "--max_seconds",
        reads=read.number,
        default=300.0,
        shown="SECONDS",
        about="Begin no measurement later than that. Default: 300.",
    )
    add(
        "--output",
        reads=read.text,
        default="settings.json",
        shown="FILE",
        about="Where to. Default: settings.json.",
    )
    return parser


def _reader(reads: Any) -> Any:
    def take(text: str) -> Any:
        try:
            return reads(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return take


def _underscored(word: str) -> str:
    """Dashes may stand for underscores in the name of a flag."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


class _Tuning:
    """One run of the command."""

    def __init__(
        self,
        options: argparse.Namespace,
        flags: dict[str, Any],
        settings: Settings,
        sent: Sequence[bodies.Body],
    ) -> None:
        self._options = options
        self._flags = flags
        self._settings = settings
        self._bodies = sent
        free = int(machine.available() * _PART)
        self._budget = Budget(options.latency_ms, options.memory or free)
        devices = settings.devices if settings.batch.devices != "cpu" else ()
        workers = options.max_workers or len(devices) or machine.processors()
        batch = 1 if settings.batch.batching == "off" else options.max_batch_size
        self._limits = Limits(batch, workers)
        self._search = Search(self._limits, self._budget)
        sizes = len(doubled(batch))
        self._screen = Screen(sizes + min(sizes, 2) * (len(doubled(workers)) - 1))
        self._points: list[Point] = []

    def run(self) -> int:
        self._say_plan()
        with tempfile.TemporaryDirectory(prefix="azmlinfsrv-tune-") as folder:
            bench = Bench(self._plan(folder), self._screen)
            try:
                self._measure(bench)
            except KeyboardInterrupt:
                self._screen.note("\nInterrupted. So far:")
                self._show(choose(self._points, self._budget))
                return INTERRUPTED
            except StartFailed as error:
                return self._failed(str(error), error.log, NO_START)
            except Stopped as error:
                return self._failed(str(error), error.log, BAD_ANSWER)
        return self._conclude(bench)

    def _say_plan(self) -> None:
        budget, limits = self._budget, self._limits
        kept = [f"p99 within {budget.latency_ms:g} ms"] if budget.latency_ms else []
        kept += [f"memory within {megabytes(budget.memory)}"] if budget.memory else []
        print(f"Tuning {self._settings.script.path} with {plural(len(self._bodies), 'request')}")
        print(
            f"Batches of up to {limits.batch}, up to {plural(limits.workers, 'worker')}, "
            f"{self._options.seconds:g} s each; {', '.join(kept) or 'no limits'}",
            flush=True,
        )
        if len({body.content for body in self._bodies}) == 1 and limits.batch > 1:
            print(
                "All requests are equal: give several different ones with -r. What is shown with equal ones may be "
                "better than what callers get, and whether rows of different requests may be joined cannot be found out."
            )
        print(flush=True)

    def _plan(self, folder: str) -> Plan:
        words = tuned_file.words(self._flags)
        if self._settings.listen.certfile:
            words += ["--certfile", ""]  # the load comes over the loopback, in the clear
        return Plan(
            arguments=words,
            environment=self._settings.environment,
            bodies=self._bodies,
            budget=self._budget,
            seconds=self._options.seconds,
            until=time.monotonic() + self._options.max_seconds,
            folder=folder,
        )

    def _measure(self, bench: Bench) -> None:
        steps = self._search.steps()
        try:
            configuration = next(steps)
            while not bench.out_of_time:
                result = bench.measure(configuration)
                self._screen.done += 1
                self._points += result.points
                if not result.merges:
                    self._refused(bench, configuration.batch)
                configuration = steps.send(result)
        except StopIteration:
            pass
        finally:
            self._screen.clear()

    def _refused(self, bench: Bench, batch: int) -> None:
        facts = bench.batching[batch]
        self._points = [point for point in self._points if point.configuration.batch == 1]
        if facts.state == "refused":
            self._screen.note(
                f"Joining rows was refused: {facts.reason}. Only the number of workers is tuned."
            )
            if facts.mismatch:
                self._screen.note(f"To see it again: azmlinfsrv replay {shlex.quote(facts.mismatch)}")
        else:
            self._screen.note(f"Not batched: {facts.reason}. Only the number of workers is tuned.")

    def _failed(self, message: str, log: str, code: int) -> int:
        self._screen.clear()
        print(f"azmlinfsrv tune: error: {message}", file=sys.stderr)
        if log:
            print(f"The end of the server's log:\n{log}", file=sys.stderr)
        if self._points:
            print("\nMeasured before:")
            self._show(None)
        return code

    def _show(self, chosen: Point | None) -> None:
        if self._points:
            print("\n" + table(best_of_each(self._points, self._budget), chosen, self._budget), flush=True)

    def _conclude(self, bench: Bench) -> int:
        chosen = choose(self._points, self._budget)
        self._show(chosen)
        best = best_of_each(self._points, self._budget)
        print()
        if bench.out_of_time:
            print(
                f"The time was up ({self._options.max_seconds:g} s): larger configurations were not measured."
            )
        if self._search.skipped:
            left, needed = self._search.skipped
            print(f"Not tried: {left} would need about {megabytes(needed)}.")
        if bench.limited:
            print(
                "The client took all of a processor at times: the server may do better than the rates shown."
            )
        if chosen is None:
            print(nothing_fits(best, self._budget))
            return NOTHING_FITS
        print(evidence(chosen, best, self._budget))
        self._write(chosen)
        return 0

    def _write(self, chosen: Point) -> None:
        output, settings = self._options.output, self._settings
        names = tuned_file.write(output, settings.config_path, chosen.configuration)
        print(f"\nWritten to {output}. To serve with it:\n")
        flags = {**self._flags, "script.config_file": output}
        print("    " + shlex.join(["azmlinfsrv", *tuned_file.words(flags)]))
        for name in names:
            if settings.environment.get(name):
                print(f"\nThe variable {name} is set here and wins over the file: unset it.")
