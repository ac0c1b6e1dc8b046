"""Figures as text: numbers, ratios, Markdown tables, goals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Goal(NamedTuple):
    """What this project promises itself. `value` is None where it was not measured."""

    what: str
    value: float | None
    wanted: float
    more: bool = True  # whether more is better
    unit: str = ""


def number(value: float | None, unit: str = "") -> str:
    """Three digits that mean something; a dash for what was not measured."""
    if value is None or value != value:
        return "–"
    if value >= 1000:
        return f"{round(value, 3 - len(str(int(value)))):,.0f}{unit}"
    return f"{value:.3g}{unit}" if value < 100 else f"{value:.0f}{unit}"


def ratio(value: float | None, base: float | None) -> str:
    """How often `base` goes into `value`, as 3.1 × or 31 ×."""
    if not value or not base:
        return "–"
    return f"{value / base:.2g} ×" if value < 10 * base else f"{value / base:.0f} ×"


def share(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others are figures. Short rows are filled up."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    filled = ([*row, *[""] * (len(head) - len(row))] for row in rows)
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in filled)])


def goals_table(goals: Sequence[Goal]) -> str:
    rows = []
    for what, value, wanted, more, unit in goals:
        met = "–"
        if value is not None:
            met = "yes" if (value >= wanted if more else value <= wanted) else "**no**"
        rows.append([what, f"{'≥' if more else '≤'} {wanted:g}{unit}", number(value, unit), met])
    return table(["goal", "wanted", "measured", "met"], rows)
