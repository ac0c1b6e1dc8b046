"""The picture of `azmlinfsrv bench --plot`: latency against load, as rate over callers or over what was due."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from inference_server.load.generator import Closed
from inference_server.load.level import SHARES, Level
from inference_server.load.tally import Tally

_INCHES = (9, 5.5)
_DOTS = 150  # an inch
_LOG = (
    20  # times the least latency that the largest is: from there on each is seen on a logarithmic scale only
)
_COLOURS = ("#1f6fb4", "#d9541e")
_STYLES = {"p50": ("o", "-"), "p99": ("^", "--")}


class NotInstalled(Exception):
    """What draws is not there; the text says how to get it."""


def check() -> None:
    """Raises NotInstalled: before anything is measured for a picture that cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise NotInstalled("--plot needs matplotlib: pip install 'azmlinfsrv[plot]'")


def draw(path: str, urls: Sequence[str], levels: Sequence[Level]) -> None:
    """Write the picture, in the format that the file's name ends with. Raises OSError."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DOTS, layout="constrained")
    axes = figure.add_subplot()
    latencies = [_line(axes, place, url, levels, len(urls) > 1) for place, url in enumerate(urls)]
    found = [value for some in latencies for value in some]
    if found and max(found) > _LOG * min(found):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("requests answered a second (beside the points: callers, or requests due a second)")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel("latency, ms")
    axes.set_title(" and ".join(urls), fontsize=10)
    axes.grid(alpha=0.3, which="both")
    if found:
        axes.legend()
    figure.savefig(path, metadata={"Date": None} if path.lower().endswith(".svg") else None)


def _line(axes: Any, place: int, url: str, levels: Sequence[Level], several: bool) -> list[float]:
    """One server's latencies at each level, a line for each loop and share; returns all in milliseconds."""
    drawn: list[float] = []
    for kind in ("closed", "open"):
        chosen = [level for level in levels if isinstance(level.pace, Closed) == (kind == "closed")]
        points = [(level, level.tallies[place]) for level in chosen]
        points = [(level, tally) for level, tally in points if tally.latency.count]
        for share, (marker, line) in _STYLES.items():
            if points:
                label = f"{share}, {kind} loop" + (f", {url}" if several else "")
                look = {
                    "marker": marker,
                    "linestyle": line,
                    "color": _colour(place, kind, several),
                    "label": label,
                }
                if kind == "open":
                    look["markerfacecolor"] = "white"
                drawn += _curve(axes, points, share, look)
    return drawn


def _colour(place: int, kind: str, several: bool) -> str:
    """By server, or where there is one only by loop."""
    return _COLOURS[place if several else int(kind == "open")]


def _curve(
    axes: Any,
    points: Sequence[tuple[Level, Tally]],
    share: str,
    look: dict[str, str],
) -> list[float]:
    rates = [tally.rate for _, tally in points]
    values = [tally.latency.percentile(SHARES[share]) * 1000 for _, tally in points]
    axes.plot(rates, values, alpha=0.9, **look)
    if share == "p50":
        for (level, _), x, y in zip(points, rates, values, strict=True):
            text = f"{level.pace.callers}" if isinstance(level.pace, Closed) else f"{level.pace.rate:g}/s"
            axes.annotate(
                text, (x, y), textcoords="offset points", xytext=(6, -12), fontsize=8, color=look["color"]
            )
    return values
