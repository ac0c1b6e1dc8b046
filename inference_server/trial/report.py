"""What a trial says: the script, one paragraph for each request, a summary."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from inference_server.layout import Layout
from inference_server.scoring.calls import Failure
from inference_server.trial.pretty import megabytes, milliseconds, path, short_traceback
from inference_server.trial.process import Called, Loaded
from inference_server.trial.requests import TrialRequest

Paint = Callable[..., str]  # (text, *styles) -> text
MOST_LINES = 30
_WORTH_SAYING = 100_000  # bytes; less is the allocator's noise
_TAKES = {
    "raw": "the whole request (@rawhttp)",
    "schema": "the fields of a JSON object (@input_schema)",
    "string": "the body as text",
}


class Report:
    """Makes the lines; `full` shows answers of any length."""

    def __init__(self, paint: Paint, width: int, full: bool = False) -> None:
        self._paint = paint
        self._width = width
        self._most = 0 if full else MOST_LINES

    def loaded(self, script: str, loaded: Loaded) -> list[str]:
        memory = f", {megabytes(loaded.memory)}" if loaded.memory else ""
        return [
            f"{self._paint(path(script), 'bold')}  loaded in {milliseconds(loaded.load_ms)}{memory}"
            f" on Python {loaded.python}",
            self._paint(f"  run({', '.join(loaded.arguments)}) takes {_TAKES[loaded.mode]}", "dim"),
        ]

    def load_failed(self, script: str, failure: Failure) -> list[str]:
        return [f"{self._paint(path(script), 'bold')}  {self._paint('cannot be loaded', 'red', 'bold')}"] + [
            "  " + line for line in self._failure(failure)
        ]

    def called(self, request: TrialRequest, called: Called) -> list[str]:
        mark = self._paint("ok", "green", "bold") if called.ok else self._paint("FAILED", "red", "bold")
        facts = [str(called.status) if called.status else "no answer"]
        if called.run_ms is not None:
            facts.append(milliseconds(called.run_ms))
        if called.peak is not None and called.peak >= _WORTH_SAYING:
            facts.append(f"peak +{megabytes(called.peak)}")
        head = f"{mark}  {self._paint(path(request.name), 'bold')}  {'  '.join(facts)}"
        if called.failure is None:
            lines = self._answer(called)
        else:
            lines = self._failure(called.failure)
            if called.status and called.failure.place is not None:
                lines.append(
                    self._paint(f"callers receive {called.body[:200].decode(errors='replace')}", "dim")
                )
        return [head, *("  " + line for line in lines)]

    def summary(self, calls: Sequence[Called]) -> str:
        failed = sum(not called.ok for called in calls)
        counts = f"{len(calls)} request{'s' * (len(calls) != 1)}, " + (
            self._paint(f"{failed} failed", "red", "bold") if failed else self._paint("all answered", "green")
        )
        times = [called.run_ms for called in calls if called.run_ms is not None]
        if len(times) < 2:
            return counts
        return f"{counts}; run() took {milliseconds(median(times))} in the middle, {milliseconds(max(times))} at most"

    def _failure(self, failure: Failure) -> list[str]:
        """The error, then its place as editors and terminals link to it, then the traceback."""
        lines = [self._paint(failure.error, "red")]
        place = failure.place
        if place is not None:
            within = f" in {place.function}()" if place.function.isidentifier() else ""
            lines.append(f"{self._paint(f'{path(place.file)}:{place.line}', 'cyan')}{within}")
            if place.source:
                lines.append("    " + self._paint(place.source, "bold"))
        if failure.traceback.count('\n  File "') > 1:  # of a single frame, all is said
            text = failure.traceback
            shown = short_traceback(text) if self._most else text.splitlines()
            lines += [self._paint(line, "dim") for line in shown]
        return lines

    def _answer(self, called: Called) -> list[str]:
        headers = [self._paint(f"{name}: {value}", "dim") for name, value in called.headers]
        if called.content_type not in ("", "application/json"):
            headers.insert(0, self._paint(f"Content-Type: {called.content_type}", "dim"))
        return headers + self._body(called)

    def _body(self, called: Called) -> list[str]:
        """The body, readable; of a long one its beginning."""
        try:
            text = called.body.decode()
        except UnicodeDecodeError:
            return [self._paint(f"({len(called.body):,} bytes)", "dim")]
        if called.content_type.startswith("application/json"):
            try:
                lines = Layout(self._width - 4, indent="  ").lines(json.loads(text))
            except (ValueError, RecursionError):
                lines = text.splitlines()
        else:
            lines = text.splitlines()
        if self._most and len(lines) > self._most:
            left = len(lines) - self._most
            more = self._paint(f"… {left} more lines (--full shows them)", "dim")
            return [*(self._paint(line) for line in lines[: self._most]), more]
        if self._most:
            lines = [
                line if len(line) <= 2000 else f"{line[:2000]} … ({len(line):,} characters)" for line in lines
            ]
        return [self._paint(line) for line in lines]


def as_json(script: str, loaded: Loaded | None, failed: Failure | None, calls: Any) -> str:
    """The whole trial as one JSON object, for other programs."""
    return json.dumps(
        {
            "script": script,
            "loaded": loaded
            and {"load_ms": loaded.load_ms, "memory": loaded.memory, "python": loaded.python},
            "failure": failed and _failure_facts(failed),
            "requests": [_call_facts(request, called) for request, called in calls],
        },
        indent=2,
    )


def _call_facts(request: TrialRequest, called: Called) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": request.name,
        "ok": called.ok,
        "status": called.status or None,
        "content_type": called.content_type,
        "run_ms": called.run_ms,
        "memory": called.memory,
        "peak": called.peak,
        "failure": called.failure and _failure_facts(called.failure),
    }
    try:
        text = called.body.decode()
        facts["body"] = json.loads(text) if called.content_type.startswith("application/json") else text
    except UnicodeDecodeError:
        facts["base64"] = base64.b64encode(called.body).decode()
    except ValueError:
        facts["body"] = text
    return facts


def _failure_facts(failure: Failure) -> dict[str, Any]:
    place = failure.place
    return {**failure._asdict(), "place": place and place._asdict()}
