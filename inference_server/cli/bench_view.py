"""What `azmlinfsrv bench` shows: what is sent, a row for each level, where the time goes, what to know of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inference_server.cli.bench_plan import Plan, Side
from inference_server.load.compare import Ratio
from inference_server.load.figures import duration, plural, rate, size
from inference_server.load.generator import Closed, Open
from inference_server.load.histogram import Histogram
from inference_server.load.level import SHARES, Level, name
from inference_server.load.server_timing import TOTAL
from inference_server.load.tally import Tally
from inference_server.tuning.machine import processors

Paint = Callable[..., str]
SERVERS = ("A", "B")
BAR = 24  # cells
_LOAD, _NUMBER = 13, 10  # columns
_COLUMNS = ("req/s", *SHARES, "max", "failed", "received/s")
_MOST_LEVELS = 7  # beside one another
_MOST_FAILURES = 6
_OUTSIDE = "outside"
_MUCH = 0.25  # of all processors of the machine


def head(plan: Plan) -> list[str]:
    """What is about to happen, in a few lines."""
    sizes = [len(body.content) for body in plan.bodies]
    what = plural(len(sizes), "request")
    if any(sizes):
        least, most = size(min(sizes)), size(max(sizes))
        what += f" of {least}" if least == most else f" of {least} to {most}, in turn"
    urls = [side.where.url for side in plan.sides]
    if len(urls) == 1:
        lines = [f"{plan.method} {urls[0]}: {what}"]
    else:
        lines = [f"{plan.method}, {what}; {plural(plan.turns, 'turn')} of each server:"]
        lines += [f"  {letter}  {url}" for letter, url in zip(SERVERS, urls, strict=True)]
    closed = [str(pace.callers) for pace in plan.paces if isinstance(pace, Closed)]
    opened = [rate(pace.rate) for pace in plan.paces if isinstance(pace, Open)]
    how = [f"closed loop, {' / '.join(closed)} caller{'s' * (closed != ['1'])}"] if closed else []
    how += [f"open loop, {' / '.join(opened)} requests a second"] if opened else []
    each = f"{plan.requests:,} requests or {plan.duration:g} s" if plan.requests else f"{plan.duration:g} s"
    return [*lines, f"{'; '.join(how)}; {each} each, after {plan.warm_up:g} s of warm-up", ""]


class Table:
    """The rows, one by one as they are measured."""

    def __init__(self, paint: Paint, servers: int) -> None:
        self._paint = paint
        self._servers = servers

    def head(self) -> list[str]:
        columns = "".join(column.rjust(_NUMBER) for column in _COLUMNS[:-1]) + f"  {_COLUMNS[-1]}"
        server = " " * 3 if self._servers > 1 else ""
        text = "load".ljust(_LOAD) + server + columns
        return [self._paint(text, "bold"), self._paint("─" * len(text), "dim")]

    def row(self, pace: Closed | Open, place: int, tally: Tally) -> str:
        """One level of one server."""
        first = name(pace) if place == 0 else ""
        server = f" {SERVERS[place]} " if self._servers > 1 else ""
        figures = [rate(tally.rate), *(_latency(tally.latency, share) for share in SHARES.values())]
        figures.append(duration(tally.latency.most) if tally.latency.count else "")
        row = first.ljust(_LOAD) + server + "".join(figure.rjust(_NUMBER) for figure in figures)
        failed = f"{tally.failed:,}".rjust(_NUMBER)
        received = size(tally.received / tally.seconds if tally.seconds else 0).rjust(len(_COLUMNS[-1]) + 2)
        return self._paint(row) + self._paint(failed, *(["red"] if tally.failed else [])) + received


def _latency(latency: Histogram, share: float) -> str:
    """Blank where there are too few to have such a share."""
    if latency.count * (1 - share) < 1 and share > 0.9:
        return "–"
    return duration(latency.percentile(share)) if latency.count else "–"


def comparison(levels: Sequence[Level], paint: Paint) -> list[str]:
    """B as a multiple of A."""
    lines = [paint("load".ljust(_LOAD) + "".join(f"{head:>24}" for head in _COMPARED), "bold")]
    noisy = False
    for level in levels:
        ratios = level.compared()
        noisy = noisy or any(found is not None and found.noise for found in ratios.values())
        lines.append(
            name(level.pace).ljust(_LOAD) + "".join(f"{_ratio(found):>24}" for found in ratios.values())
        )
    lines += ["", "B as a multiple of A, and the bounds between which it lies with 95 %."]
    if noisy:
        lines.append(
            "≈ The difference is within the noise: it may be chance. More --turns or a longer --duration tell."
        )
    return lines


_COMPARED = ("req/s, B ÷ A", "p50, B ÷ A", "p99, B ÷ A")


def _ratio(found: Ratio | None) -> str:
    if found is None:
        return "–"
    mark = "≈ " if found.noise else ""
    return f"{mark}{found.value:.3g} ({found.low:.3g}–{found.high:.3g})"


def where_time_goes(levels: Sequence[Level], place: int, servers: int, paint: Paint) -> list[str]:
    """Where a server says that the time of its requests went; nothing where it says nothing."""
    told = [(name(level.pace), level.tallies[place]) for level in levels]
    told = [(text, tally) for text, tally in told if tally.timing.phases]
    if not told:
        return []
    whose = f"{SERVERS[place]}'s" if servers > 1 else "its"
    if len(told) == 1:
        return [
            f"Where the time goes, by {whose} Server-Timing ({told[0][0]}):",
            *_detail(told[0][1], paint),
        ]
    told = told[-_MOST_LEVELS:]
    lines = [paint("phase".ljust(_LOAD) + "".join(text.rjust(13) for text, _ in told), "bold")]
    for phase in _phases([tally for _, tally in told]):
        cells = [_mean(tally, phase).rjust(13) for _, tally in told]
        lines.append(paint(phase[: _LOAD - 1].ljust(_LOAD) + "".join(cells)))
    return [f"Where the time goes, by {whose} Server-Timing (means):", *lines]


def _phases(tallies: Sequence[Tally]) -> list[str]:
    """All names, the whole last."""
    names = list(dict.fromkeys(phase for tally in tallies for phase in tally.timing.phases if phase != TOTAL))
    if any(tally.timing.outside is not None for tally in tallies):
        names.append(_OUTSIDE)
    return [*names, "all"]


def _mean(tally: Tally, phase: str) -> str:
    timing = tally.timing
    if phase == "all":
        return duration(timing.seen.mean)
    if phase == _OUTSIDE:
        return duration(timing.outside) if timing.outside is not None else "–"
    return duration(timing.phases[phase].mean) if phase in timing.phases else "–"


def _detail(tally: Tally, paint: Paint) -> list[str]:
    """One level: percentiles, and each phase's share of the whole."""
    timing = tally.timing
    heads = "".join(column.rjust(_NUMBER) for column in ("mean", "p50", "p99", "share"))
    lines = [paint("phase".ljust(_LOAD) + heads, "bold")]
    for phase in _phases([tally]):
        durations = timing.seen if phase == "all" else timing.phases.get(phase)
        mean = durations.mean if durations else timing.outside or 0.0
        figures = [duration(mean)]
        figures += [_latency(durations, share) if durations else "" for share in (0.5, 0.99)]
        share = mean / timing.seen.mean if timing.seen.mean else 0.0
        figures.append(f"{share * 100:.0f}%")
        bar = "" if phase == "all" else f"  {'█' * round(share * BAR)}"
        cells = "".join(figure.rjust(_NUMBER) for figure in figures)
        lines.append((paint(phase[: _LOAD - 1].ljust(_LOAD) + cells) + bar).rstrip())
    return lines


def notes(plan: Plan, levels: Sequence[Level], stopped: bool, paint: Paint) -> list[str]:
    """What failed, and what stands behind the figures."""
    lines: list[str] = []
    for place, side in enumerate(plan.sides):
        lines += _failures(plan, side, [level.tallies[place] for level in levels], place, paint)
    for level in levels:
        for place, tally in enumerate(level.tallies):
            where = name(level.pace) + (f" ({SERVERS[place]})" if len(plan.sides) > 1 else "")
            lines += _doubts(plan, where, tally, paint)
    lines += _share_of_machine(plan, levels)
    if stopped:
        lines.append(paint("Interrupted: this is what was measured until then.", "yellow"))
    return lines


def _failures(plan: Plan, side: Side, tallies: Sequence[Tally], place: int, paint: Paint) -> list[str]:
    whole = Tally()
    for tally in tallies:
        whole.merge(tally)
    if not whole.failed:
        return []
    which = f"{SERVERS[place]}: " if len(plan.sides) > 1 else ""
    counts = [f"{status}: {count:,}" for status, count in sorted(whole.statuses.items())]
    counts += [f"{kind}: {count:,}" for kind, count in whole.errors.items()]
    lines = [
        paint(f"{which}{whole.failed:,} of {whole.requests:,} requests failed", "red")
        + "  "
        + "   ".join(counts)
    ]
    for failure in list(whole.failures.values())[:_MOST_FAILURES]:
        body = plan.bodies[failure.place].name if failure.place is not None else ""
        said = " ".join(failure.text.split())
        lines.append(paint(f"  {failure.kind}{f' ({body})' if body else ''}: {said}", "dim"))
    return lines


def _share_of_machine(plan: Plan, levels: Sequence[Level]) -> list[str]:
    """What the generator takes on a machine that the server needs too."""
    if not plan.sides[0].where.local:
        return []
    busy = max(
        (tally.busy / tally.seconds for level in levels for tally in level.tallies if tally.seconds),
        default=0,
    )
    count = processors()
    if busy / count <= _MUCH:
        return []
    return [
        f"This generator took up to {100 * busy / count:.0f} % of this machine's {plural(count, 'processor')}, which the "
        "server may have needed."
    ]


def _doubts(plan: Plan, where: str, tally: Tally, paint: Paint) -> list[str]:
    lines = []
    if tally.limited:
        share = 100 * tally.busy / tally.seconds
        lines.append(
            f"{where}: this generator took {share:.0f} % of a processor. It may have been the limit itself; the server "
            "may do better."
        )
    if tally.unpunctual:
        late = duration(tally.late.percentile(0.99))
        lines.append(
            f"{where}: 1 in 100 requests left {late} after their time or later: the machine was too busy for this generator. "
            "The latencies have that in them."
        )
    if plan.requests and not tally.cut and tally.requests < plan.requests:
        lines.append(
            f"{where}: the time was up after {tally.requests:,} of {plan.requests:,} requests (--duration)."
        )
    if plan.max_p99 and tally.latency.percentile(0.99) * 1000 > plan.max_p99:
        found = duration(tally.latency.percentile(0.99))
        lines.append(f"{where}: p99 is {found}, more than {plan.max_p99:g} ms.")
    return [paint(line, "yellow") for line in lines]
