"""One picture of a server's load, as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from inference_server.cli.top_history import History, percentile, sizes
from inference_server.telemetry.names import PHASES

Line = list[tuple[str, tuple[str, ...]]]  # pieces and their styles
Paint = Callable[..., str]

BAR = 24  # cells
_STATES = {"ready": "green", "busy": "green", "starting": "yellow", "loading": "yellow", "draining": "yellow"}
_EIGHTHS = " ▏▎▍▌▋▊▉"


def picture(history: History, url: str, note: str = "") -> list[Line]:
    """All lines; `note` is what went wrong just now."""
    said = history.last
    status = said["status"]
    lines = [
        _line(
            ("azmlinfsrv top", "bold"),
            f"  {url}  ",
            (status, "bold", _STATES.get(status, "red")),
            f"  {said['reason']}",
        ),
        [],
        *_load(history),
    ]
    if note:
        lines.insert(1, _line((note, "red")))
    if history.requests:
        lines += [[], *_phases(history)]
    lines += _batches(history)
    lines += [[], *_workers(said)]
    if history.requests:
        lines += [[], _slowest(history)]
    return lines


def rendered(line: Line, width: int, paint: Paint) -> str:
    """A line in no more than `width` columns."""
    shown = []
    for text, styles in line:
        text = text[:width]
        width -= len(text)
        shown.append(paint(text, *styles))
    return "".join(shown).rstrip()


def _line(*pieces: str | tuple[str, ...]) -> Line:
    return [(piece, ()) if isinstance(piece, str) else (piece[0], piece[1:]) for piece in pieces]


def _load(history: History) -> Iterable[Line]:
    rates = history.rates()
    pieces: list[str | tuple[str, ...]] = [("requests  ", "dim"), (f"{sum(rates.values()):9,.1f}/s", "bold")]
    for status, rate in rates.items():
        style = "green" if status < "400" else "yellow" if status < "500" else "red"
        pieces += ["   ", (f"{status}: {rate:,.1f}/s", style)]
    yield _line(*pieces)
    said = history.last
    yield _line(
        ("waiting   ", "dim"),
        f"{said['queued']:9,}     in flight {said['in_flight']:,}   answered {history.finished:,}",
    )
    ordered = history.latencies()
    if ordered:
        parts = "   ".join(
            f"{name} {_ms(percentile(ordered, part))}"
            for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
        )
        count = f"   of the last {len(ordered):,} requests seen" if len(ordered) > 1 else ""
        yield _line(("latency   ", "dim"), f"   {parts}   max {_ms(ordered[-1])}", (count, "dim"))


def _phases(history: History) -> Iterable[Line]:
    yield _line((f"{'phase':10}{'p50':>12}{'p99':>12}{'share':>8}", "dim"))
    shares = history.shares()
    for name in PHASES:
        ordered = history.phase(name)
        yield _line(
            f"{name:10}{_ms(percentile(ordered, 0.5)):>12}{_ms(percentile(ordered, 0.99)):>12}{shares[name]:>7.0%}  ",
            (_bar(shares[name]), "cyan"),
        )


def _batches(history: History) -> Iterable[Line]:
    said = history.last.get("batching")
    if said is None:
        return
    yield []
    style = {"on": "green", "refused": "red"}.get(said["state"], "yellow")
    shown = f" ({said['agreed']:,} answers agreed)" if said["agreed"] else ""
    yield _line(
        ("batching  ", "dim"), f"{said['way']} ", (said["state"], style), f"{shown}: {said['reason']}"
    )
    if said["repro"]:
        yield _line(("mismatch  ", "dim"), said["repro"])
    calls = history.calls
    if not calls:
        return
    rows = sum(call.rows or call.requests for call in calls)
    reasons = Counter(call.reason for call in calls).most_common()
    left = ", ".join(f"{reason} {count / len(calls):.0%}" for reason, count in reasons)
    yield _line(
        ("run()     ", "dim"),
        f"{rows / len(calls):.1f} rows on average in {len(calls):,} calls; held no more because: {left}",
    )
    found = sizes(calls)
    most = max(count for _, count in found)
    for name, count in found:
        yield _line(f"{name:>9} ", (_bar(count / most), "cyan"), f" {count:,}")


def _workers(said: dict[str, Any]) -> Iterable[Line]:
    yield _line(
        (f"{'worker':>6}  {'pid':>8}  {'state':9}{'in hand':>8}{'memory':>11}{'restarts':>10}", "dim")
    )
    for worker in said["workers"]:
        memory = said["memory_bytes"].get(str(worker["pid"]), 0)
        yield _line(
            f"{worker['worker']:>6}  {worker['pid'] or '-':>8}  ",
            (f"{worker['state']:9}", _STATES.get(worker["state"], "red")),
            f"{worker['in_hand']:>8,}{_size(memory):>11}",
            (f"{worker['restarts']:>10,}", *(("yellow",) if worker["restarts"] else ())),
            f"  {worker['reason']}",
        )
        if worker["last_error"]:
            yield _line((f"{'':16}  {worker['last_error']}", "red"))


def _slowest(history: History) -> Line:
    one = history.slowest()
    phase, value = max(one["phases_ms"].items(), key=lambda item: float(item[1]))
    name = one["id"] or one["client_id"] or "a request without an id"
    return _line(
        ("slowest   ", "dim"), f"{_ms(one['ms'])}, of which {phase} {_ms(value)}: {name} ({one['status']})"
    )


def _bar(share: float) -> str:
    eighths = round(share * BAR * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _ms(value: float) -> str:
    """Milliseconds as a person reads them."""
    if value < 1:
        return f"{value * 1000:.0f} µs"
    return f"{value:,.2f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def _size(count: int) -> str:
    return f"{count / 1024**2:,.1f} MiB" if count else "-"
