"""How figures are written for people."""

from __future__ import annotations

MIB = 1024**2


def rate(value: float) -> str:
    """Requests a second: three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def milliseconds(value: float) -> str:
    """With its unit, to three digits."""
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def duration(seconds: float) -> str:
    """In µs or ms, to three digits."""
    return f"{seconds * 1e6:.0f} µs" if seconds < 0.0009995 else milliseconds(seconds * 1000)


def megabytes(value: int) -> str:
    """Bytes as MiB or GiB."""
    return f"{value / MIB / 1024:.1f} GiB" if value >= 1024 * MIB else f"{value / MIB:.0f} MiB"


def size(value: float) -> str:
    """Bytes in the unit that gives them few digits."""
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} GB" if value < 999.5 else f"{value:,.0f} GB"


def times(value: float) -> str:
    """A ratio to two digits at least."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def plural(count: int, word: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
