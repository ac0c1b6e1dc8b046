"""The page of what was simulated."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.simulate import crowd, poison, sweep
from benchmarks.simulate.arrivals import BURST
from benchmarks.simulate.crowd import Leaving, Overload
from benchmarks.simulate.poison import Cost
from benchmarks.simulate.sweep import Peak, Point
from benchmarks.simulate.tables import load
from benchmarks.tables import table

LOSS = 0.05  # what a wait must save somewhere to be worth having
HEAD = """# Simulated batching

Written by `python -m benchmarks.simulate`: the code that decides in the server (`inference_server/batching/`, and the
worker's way to take failed batches apart) under a fake clock, with batch times measured on a real machine. All of it is
seeded: the same tables give the same figures.

"""
WAITS = f"""## When a batch leaves

A free worker takes all that waits, up to {sweep.MAX_ROWS} rows. The columns say by how much the mean and the 99th percentile of the
time until the answer are over those of the **best fixed wait**, searched on other arrivals of the same kind for each figure
by itself. *Learned* is what the server does: it waits where waiting has paid on the requests just before.
Tight bursts are of {BURST} requests in the mean, a fiftieth of a lone run() apart; in loose ones it is half of one.

"""


def page(
    names: Sequence[str],
    points: Sequence[Point],
    peaks: Sequence[Peak],
    costs: Sequence[Cost],
    leavings: Sequence[Leaving],
    overloads: Sequence[Overload],
) -> str:
    """All tables, and what they say."""
    parts = [
        HEAD,
        _models(names),
        WAITS,
        _worst(points),
        *(_points(name, points) for name in names),
        _peaks(peaks),
        _poison(costs),
        _leaving(leavings),
        _overload(overloads),
    ]
    return "\n".join(part.strip() + "\n" for part in parts)


def _models(names: Sequence[str]) -> str:
    rows = []
    for name in names:
        model = load(name)
        times = [f"{1e3 * model.seconds(rows):.3g}" for rows in (1, 8, 32, 64)]
        rows.append([f"{name}: {model.title}", *times, f"{model.capacity(sweep.MAX_ROWS):,.0f}"])
    measured = "; ".join(sorted({load(name).measured for name in names}))
    head = ["model", *(f"{rows} rows, ms" for rows in (1, 8, 32, 64)), "rows/s at most"]
    return (
        f"{table(head, rows)}\n\nDecoding, run() and encoding of a batch, {measured} "
        "(`python -m benchmarks.simulate.measure`).\n"
    )


def _over(value: float, best: float) -> float:
    return value / best - 1


def _percent(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.1%}"


def _worst(points: Sequence[Point]) -> str:
    """What the sweep says about waiting, in one table and one sentence."""
    lines = []
    for kind in dict.fromkeys(point.kind for point in points):
        some = [point for point in points if point.kind == kind]
        figures = [
            max(_over(getattr(getattr(point, way), figure), getattr(point.best, figure)) for point in some)
            for way in ("take_all", "learned")
            for figure in ("mean", "p99")
        ]
        lines.append([kind, *map(_percent, figures)])
    head = ["the worst of all points", "take all: mean", "p99", "learned: mean", "p99"]
    lost = [
        f"{point.table} at {point.load:.0%} ({point.kind})"
        for point in points
        if max(_over(point.take_all.mean, point.best.mean), _over(point.take_all.p99, point.best.p99)) > LOSS
    ]
    return (
        f"{table(head, lines)}\n\nTaking all loses more than {LOSS:.0%} at {len(lost)} of {len(points)} points: "
        f"{', '.join(lost) or 'none'}. That is why the wait is learned.\n"
    )


def _points(name: str, points: Sequence[Point]) -> str:
    rows = []
    for point in points:
        if point.table != name:
            continue
        rows.append(
            [
                f"{point.kind}, {point.load:.0%}",
                f"{1e3 * point.best.mean:.3g}",
                f"{1e3 * point.best.p99:.3g}",
                f"{1e3 * point.best_window:.2g}",
                _percent(_over(point.take_all.mean, point.best.mean)),
                _percent(_over(point.take_all.p99, point.best.p99)),
                _percent(_over(point.learned.mean, point.best.mean)),
                _percent(_over(point.learned.p99, point.best.p99)),
                f"{1e3 * point.learned_window:.2g}",
            ]
        )
    head = ["arrivals, load", "best mean, ms", "best p99, ms", "its wait, ms"]
    return (
        f"### {name}\n\n{table([*head, 'take all: mean', 'p99', 'learned: mean', 'p99', 'wait, ms'], rows)}\n"
    )


def _peaks(peaks: Sequence[Peak]) -> str:
    rows = [
        [
            each.table,
            f"{each.best:,.0f}",
            f"{each.take_all / each.best:.1%}",
            f"{each.learned / each.best:.1%}",
        ]
        for each in peaks
    ]
    head = ["peak, answers/s", "best wait", "take all", "learned"]
    return f"At {sweep.OVER:g} times the capacity:\n\n{table(head, rows)}\n"


def _poison(costs: Sequence[Cost]) -> str:
    rows = [
        [
            f"{cost.table}, {cost.raises}",
            f"{1e6 * cost.clean:.1f}",
            f"{1e6 * cost.best:.1f}",
            _percent(_over(cost.ours, cost.best)),
            _percent(_over(cost.halves, cost.best)),
        ]
        for cost in costs
    ]
    head = ["model, raise", "none faulty, µs", "best plan, µs", "ours: over it", "halves: over it"]
    return (
        f"## Faulty requests\n\n{poison.RATE:.0%} of the requests make run() raise, in batches of {poison.BATCH}; each good one "
        "is to get its answer. The cost for each good request, beside the best plan of taking batches apart that dynamic "
        "programming finds. A late raise comes at the end of what run() would have taken, an early one after a "
        f"twentieth.\n\n{table(head, rows)}\n"
    )


def _leaving(leavings: Sequence[Leaving]) -> str:
    rows = [
        [
            each.table,
            f"{each.ours:,.0f}",
            f"{each.keeps_working:,.0f}",
            f"{each.ours / each.keeps_working:.2f} ×",
            f"{each.ran_for_nobody:,}",
            f"{each.waiting}",
        ]
        for each in leavings
    ]
    head = [
        "model",
        "ours, answers/s",
        "one that keeps working",
        "ratio",
        "run for nobody",
        "in the queue at the end",
    ]
    return (
        f"## Half of the clients leave\n\nAt {crowd.OVER:g} times the capacity, each after about two full batches; "
        f"{crowd.COUNT:,} requests. Only answers that somebody waits for count.\n\n{table(head, rows)}\n"
    )


def _overload(overloads: Sequence[Overload]) -> str:
    rows = [
        [
            f"{each.table}, {each.workers}",
            f"{each.batches:g}",
            f"{each.goodput:.1%}",
            f"{each.p99:.1%}",
            f"{each.late:.1%}",
            f"{each.wait_error:.1%}",
        ]
        for each in overloads
    ]
    head = [
        "model, workers",
        "deadline, batches",
        "goodput",
        "p99 / deadline",
        "let in, but late",
        "wait error, p90",
    ]
    return (
        f"## Twice as much as can be done\n\nAt {crowd.OVER:g} times the capacity, every request with the same deadline, in "
        f"times of a full batch; batch times vary by {crowd.NOISE:.0%} at random. Who would be late is refused at once. Goodput is "
        "answers in time, of the capacity; the p99 is of those answered.\n\n"
        f"{table(head, rows)}\n"
    )
