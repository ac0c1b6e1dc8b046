"""Load a running server with your requests, and show rate and latency."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from types import FrameType

from inference_server.cli import bench_json, bench_plot
from inference_server.cli.bench_options import STANDARD_OUTPUT, parser
from inference_server.cli.bench_plan import Plan, Side, read_words
from inference_server.cli.bench_progress import Progress
from inference_server.cli.bench_view import SERVERS, Table, comparison, head, notes, where_time_goes
from inference_server.cli.command import INTERRUPTED, WRONG_USE, fail
from inference_server.cli.terminal import Terminal
from inference_server.load.bodies import NoBodies
from inference_server.load.descriptors import room_for
from inference_server.load.generator import Closed, Load, Open
from inference_server.load.level import Level
from inference_server.load.requests import TIMED, InTurn
from inference_server.load.tally import Tally
from inference_server.load.target import BadTarget, reached

__all__ = ["main", "parser"]

FAILED = 1
_PROG = "azmlinfsrv bench"
_LATER_WARM_UP = 0.25  # of a turn, for those after the first
_KEY_HINT = "; --key_env or --key_file sends a key"


class _NotAnswered(Exception):
    """The first request had no success; the text says what came of it."""


def main(words: Sequence[str]) -> int:
    """Load and report; returns the exit code.

    0: all is well · 1: requests failed, p99 was missed, or there is no server · 2: the command line is wrong ·
    130: interrupted.
    """
    try:
        plan = read_words(words)
        if plan.plot:
            bench_plot.check()
    except SystemExit as end:
        return int(end.code or 0)
    except (BadTarget, NoBodies, bench_plot.NotInstalled) as error:
        return fail(_PROG, error, WRONG_USE)
    try:
        return _Bench(plan).run()
    except (BadTarget, _NotAnswered) as error:
        return fail(_PROG, error, FAILED)
    except BrokenPipeError:  # who reads us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return fail(_PROG, f"{error.filename or ''}: {error.strerror}", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


class _Bench:
    """One run of the command."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.levels: list[Level] = []
        self.stopped = False
        self._load: Load | None = None
        self._terminal = Terminal(sys.stderr if plan.json == STANDARD_OUTPUT else sys.stdout)
        self._progress = Progress()
        self._started = datetime.now(timezone.utc)

    def run(self) -> int:
        """Raises BadTarget and _NotAnswered where there is nothing to be loaded."""
        plan = self.plan
        if not room_for(max(pace.callers if isinstance(pace, Closed) else 0 for pace in plan.paces)):
            return fail(
                _PROG, "the system allows too few open files for so many callers: see ulimit -n", FAILED
            )
        self._sides = tuple(Side(reached(side.where), side.headers) for side in plan.sides)
        with self._interruptible():
            for side in self._sides:
                self._try(side)
            self._say(head(plan))
            self._measure()
        self._progress.clear()
        self._conclude()
        code = self._code()
        self._write(code)
        return code

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C ends the load, and what was measured is shown; once more ends the program."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self.stopped:
                raise KeyboardInterrupt
            self.stopped = True
            if self._load is not None:
                self._load.stopping = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _say(self, lines: Sequence[str]) -> None:
        self._progress.clear()
        for line in lines:
            self._terminal.say(line)

    def _try(self, side: Side) -> None:
        """One request, before a load of them is sent to whoever may not want it."""
        with self._loading(side, Closed(1)) as load:
            load.connect(self.plan.timeout)
            tally = load.run(self.plan.timeout * 2, requests=1)
        if self.plan.max_errors or self.stopped:
            return
        for failure in tally.failures.values():
            url, name = side.where.url, self.plan.bodies[failure.place or 0].name
            what = f"the first request{f' ({name})' if name else ''} to {url}"
            if not failure.status:
                raise _NotAnswered(f"{what} had no answer: {failure.kind} ({failure.text})")
            text = " ".join(failure.text.split())
            hint = _KEY_HINT if failure.status in (401, 403) else "; --max_errors 100 loads it nevertheless"
            raise _NotAnswered(f"{what} was answered with {failure.status}: {text}{hint}")

    @contextlib.contextmanager
    def _loading(self, side: Side, pace: Closed | Open) -> Iterator[Load]:
        plan = self.plan
        source = InTurn(side.where, plan.bodies, plan.method, side.headers, TIMED if plan.timing else 0.0)
        with Load(side.where, source, pace, plan.timeout, bodiless=plan.method == "HEAD") as load:
            self._load = load
            load.stopping = self.stopped
            yield load
            self._load = None

    def _measure(self) -> None:
        table = Table(self._terminal.paint, len(self._sides))
        self._say(table.head())
        for pace in self.plan.paces:
            level = Level(pace, [[] for _ in self._sides])
            self.levels.append(level)
            turns = self.plan.turns if len(self._sides) > 1 else 1
            for turn in range(turns):
                for place, side in enumerate(self._sides):
                    if not self.stopped:
                        level.turns[place].append(self._turn(side, pace, turn, turns))
            for place, tally in enumerate(level.tallies):
                self._say([table.row(pace, place, tally)])
            if self.stopped:
                return

    def _turn(self, side: Side, pace: Closed | Open, turn: int, turns: int) -> Tally:
        plan = self.plan
        seconds, requests = plan.duration / turns, math.ceil(plan.requests / turns)
        warm_up = plan.warm_up if turn == 0 else min(plan.warm_up, _LATER_WARM_UP * seconds)
        with self._loading(side, pace) as load:
            load.connect(plan.timeout)
            if warm_up:
                self._progress.begin(pace, side, warm_up, "warms up")
                load.run(warm_up, watch=self._progress.watch)
            self._progress.begin(
                pace,
                side,
                seconds,
                f"{SERVERS[self._sides.index(side)]} {turn + 1}/{turns}" if turns > 1 else "",
            )
            tally = load.run(seconds, requests=requests, watch=self._progress.watch)
            load.finish(watch=self._progress.watch)
        return tally

    def _conclude(self) -> None:
        levels, paint = self.levels, self._terminal.paint
        if len(self._sides) > 1:
            self._say(["", *comparison(levels, paint)])
        for place in range(len(self._sides)):
            lines = where_time_goes(levels, place, len(self._sides), paint)
            self._say(["", *lines] if lines else [])
        lines = notes(self.plan, levels, self.stopped, paint)
        self._say(["", *lines] if lines else [])

    def _code(self) -> int:
        plan = self.plan
        if self.stopped:
            return INTERRUPTED
        for tally in (tally for level in self.levels for tally in level.tallies):
            if not tally.requests or tally.failed > tally.requests * plan.max_errors / 100:
                return FAILED
            if plan.max_p99 and tally.latency.percentile(0.99) * 1000 > plan.max_p99:
                return FAILED
        return 0

    def _write(self, code: int) -> None:
        plan = self.plan
        if plan.json:
            seconds = time.time() - self._started.timestamp()
            bench_json.write(plan.json, bench_json.document(plan, self.levels, self._started, seconds, code))
        if plan.plot:
            urls = [side.where.url for side in plan.sides]
            bench_plot.draw(plan.plot, urls, self.levels)
        for path in (plan.json, plan.plot):
            if path not in ("", STANDARD_OUTPUT):
                self._say([f"wrote {path}"])
