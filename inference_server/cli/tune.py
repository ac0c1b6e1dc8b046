"""`azmlinfsrv tune`: measure a script with real requests, and write the settings it runs best with."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from typing import Any

from inference_server.cli import tuned_file
from inference_server.cli.tune_options import WRONG_WORDS, parser, read_words
from inference_server.errors import SettingsError
from inference_server.load import bodies
from inference_server.load.figures import megabytes, plural
from inference_server.settings import BadSettings, Settings, load
from inference_server.tuning import machine
from inference_server.tuning.choose import best_of_each, choose
from inference_server.tuning.evidence import evidence, nothing_fits
from inference_server.tuning.facts import Budget, Configuration, Point
from inference_server.tuning.measure import Bench, Plan, Stopped
from inference_server.tuning.report import Screen, table
from inference_server.tuning.running import StartFailed
from inference_server.tuning.search import Limits, Result, Search, doubled

__all__ = ["main", "parser"]

BAD_ANSWER, NO_START, NOTHING_FITS, INTERRUPTED = 2, 3, 4, 130
_WIDTH = 110  # characters of a line of text
_PART = 0.9  # of the memory there is, as long as nobody says how much may be taken


def _wrapped(text: str) -> str:
    return textwrap.fill(text, min(_WIDTH, shutil.get_terminal_size((_WIDTH, 0)).columns))


class _Interrupted(KeyboardInterrupt):
    """Somebody asked us to end."""


def main(words: Sequence[str]) -> int:
    """Measure and recommend; returns the exit code.

    0: a recommendation was written · 1: the command line, the settings or the requests are wrong · 2: a request was not
    answered with 200 · 3: the server does not start on the script · 4: nothing keeps to the limits · 130: interrupted.
    """
    try:
        options, flags = read_words(words)
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
        self._merges = True

    def run(self) -> int:
        self._say_plan()
        with tempfile.TemporaryDirectory(prefix="azmlinfsrv-tune-") as folder:
            bench = Bench(self._plan(folder), self._screen)
            try:
                self._measure(bench)
            except KeyboardInterrupt:
                self._screen.note("\nInterrupted. So far:")
                self._show(bench, choose(self._points(bench), self._budget), "best so far")
                return INTERRUPTED
            except StartFailed as error:
                return self._failed(bench, error, NO_START)
            except Stopped as error:
                return self._failed(bench, error, BAD_ANSWER)
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
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        if load > machine.processors():
            print(
                f"This machine has other work (load {load:.1f}, {plural(machine.processors(), 'processor')}): "
                "what is measured is what that leaves."
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
                result = self._result(bench, configuration)
                self._screen.done += 1
                if not result.merges:
                    self._refused(bench, configuration.batch)
                configuration = steps.send(result)
        except StopIteration:
            pass
        finally:
            self._screen.clear()

    def _result(self, bench: Bench, configuration: Configuration) -> Result:
        """A configuration that does not start, where others did, needs more than there is."""
        try:
            return bench.measure(configuration)
        except StartFailed as error:
            if not bench.points:
                raise
            self._screen.note(f"{configuration}: {error}; it is left out")
            print(error.log, file=sys.stderr)
            return Result(())

    def _refused(self, bench: Bench, batch: int) -> None:
        self._merges = False
        facts = bench.batching[batch]
        if facts.state == "refused":
            self._screen.note(
                f"Joining rows was refused: {facts.reason}. Only the number of workers is tuned."
            )
            if facts.mismatch:
                self._screen.note(f"To see it again: azmlinfsrv replay {shlex.quote(facts.mismatch)}")
        else:
            self._screen.note(f"Not batched: {facts.reason}. Only the number of workers is tuned.")

    def _points(self, bench: Bench) -> list[Point]:
        """What counts of what was measured."""
        return [point for point in bench.points if self._merges or point.configuration.batch == 1]

    def _failed(self, bench: Bench, error: StartFailed | Stopped, code: int) -> int:
        self._screen.clear()
        print(f"azmlinfsrv tune: error: {error}", file=sys.stderr)
        if error.log:
            print(f"The end of the server's log:\n{error.log}", file=sys.stderr)
        self._show(bench, None)
        return code

    def _show(self, bench: Bench, chosen: Point | None, mark: str = "recommended") -> None:
        points = self._points(bench)
        if points:
            print("\n" + table(best_of_each(points, self._budget), chosen, self._budget, mark), flush=True)

    def _conclude(self, bench: Bench) -> int:
        points = self._points(bench)
        chosen = choose(points, self._budget)
        self._show(bench, chosen)
        print()
        if bench.out_of_time:
            print(f"The time was up ({self._options.max_seconds:g} s): not all was measured.")
        if self._search.skipped:
            left, needed = self._search.skipped
            print(f"Not tried: {left} would need about {megabytes(needed)}.")
        if bench.limited:
            print("The client took all of a processor at times: the server may do better than shown.")
        best = best_of_each(points, self._budget)
        if chosen is None:
            print(_wrapped(nothing_fits(best, self._budget)))
            return NOTHING_FITS
        print(_wrapped(evidence(chosen, best, self._budget)))
        if chosen.configuration.batch == self._limits.batch > 1:
            print(f"Batches of more than {self._limits.batch} were not tried: --max_batch_size allows it.")
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
