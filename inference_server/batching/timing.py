"""How long a batch takes, learned from those that ran: t(rows) in seconds, for each class of shapes. No I/O."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Hashable

KEPT = 16  # observations of a size: a change shows after a dozen more of them
FADE = 512  # observations of any size after which one counts half as much against newer ones
FEW = 4  # below so many, the lower median stands for a size: the first call is often a slow one
EXACT = 8  # sizes below this have a place of their own, larger ones share four to each power of two


class Size:
    """Batches of about the same number of rows: the last few, and when the newest of them came."""

    __slots__ = ("at", "rows", "seconds")

    def __init__(self) -> None:
        self.rows: deque[int] = deque(maxlen=KEPT)
        self.seconds: deque[float] = deque(maxlen=KEPT)
        self.at = 0

    def middle(self) -> tuple[float, float]:
        """Rows and seconds that stand for all; of each, the mean of the middle half: outliers do not move it.

        Since more rows take longer, the middle of the times belongs to the middle of the sizes.
        """
        return _middle(self.rows), _middle(self.seconds)


def _middle(values: deque[int] | deque[float]) -> float:
    ordered = sorted(values)
    count = len(ordered)
    if count < FEW:
        return ordered[(count - 1) // 2]
    half = ordered[count // 4 : count - count // 4]
    return sum(half) / len(half)


class BatchTime:
    """t(rows) of one class of shapes: a few points, never falling, straight between them.

    One call of `observe` for each batch costs about a microsecond; the curve is drawn again by the first
    `predict` after it.
    """

    def __init__(self) -> None:
        self.seen = 0  # batches
        self._sizes: dict[int, Size] = {}
        self._curve_rows: list[float] = []
        self._curve_seconds: list[float] = []
        self._drawn = 0

    def observe(self, rows: int, seconds: float) -> None:
        """A batch of `rows` took `seconds`."""
        place = _place(rows)
        size = self._sizes.get(place)
        if size is None:
            size = self._sizes[place] = Size()
        self.seen += 1
        size.at = self.seen
        size.rows.append(rows)
        size.seconds.append(seconds)

    def predict(self, rows: float) -> float:
        """Seconds for a batch of `rows`; 0.0 when nothing has been seen.

        Beyond what has been seen it never flatters: a larger batch takes as much more for each row as the
        largest ones did, and with one size seen, as if every row cost the same; a smaller batch takes as
        little less as the smallest ones did, and with one size seen, just as long.
        """
        if self._drawn != self.seen:
            self._draw()
        sizes, times = self._curve_rows, self._curve_seconds
        if not sizes:
            return 0.0
        after = bisect_left(sizes, rows)
        if after == 0:
            return self._below(rows)
        if after == len(sizes):
            return self._above(rows)
        before = after - 1
        share = (rows - sizes[before]) / (sizes[after] - sizes[before])
        return times[before] + share * (times[after] - times[before])

    def _below(self, rows: float) -> float:
        sizes, times = self._curve_rows, self._curve_seconds
        if len(sizes) == 1:
            return times[0]
        slope = (times[1] - times[0]) / (sizes[1] - sizes[0])
        return times[0] - min(slope, times[0] / sizes[0]) * (sizes[0] - rows)

    def _above(self, rows: float) -> float:
        sizes, times = self._curve_rows, self._curve_seconds
        slope = times[-1] / sizes[-1]
        if len(sizes) > 1:
            half = min(
                bisect_left(sizes, sizes[-1] / 2), len(sizes) - 2
            )  # far enough for noise not to matter
            slope = min(slope, (times[-1] - times[half]) / (sizes[-1] - sizes[half]))
        return times[-1] + slope * (rows - sizes[-1])

    def _draw(self) -> None:
        """Points of all sizes; where a larger one was faster, both meet between, nearer to the newer and fuller."""
        self._drawn = self.seen
        blocks: list[tuple[float, float, list[float]]] = []  # seconds, weight, the rows that share them
        for _, size in sorted(self._sizes.items()):
            rows, seconds = size.middle()
            weight = len(size.rows) * 0.5 ** ((self.seen - size.at) / FADE)
            block = (seconds, weight, [rows])
            while blocks and blocks[-1][0] > block[0]:
                other = blocks.pop()
                both = other[1] + block[1]
                mean = (other[0] * other[1] + block[0] * block[1]) / both if both else block[0]
                block = (mean, both, [*other[2], *block[2]])
            blocks.append(block)
        self._curve_rows = [rows for block in blocks for rows in block[2]]
        self._curve_seconds = [block[0] for block in blocks for _ in block[2]]


def _place(rows: int) -> int:
    if rows < EXACT:
        return rows
    power = rows.bit_length() - 1
    return 4 * power + ((rows >> (power - 2)) & 3)


class Timings:
    """One t(rows) for each class of shapes, and one over all of them for a class that is new."""

    def __init__(self, most: int = 64) -> None:
        self.overall = BatchTime()
        self._classes: OrderedDict[Hashable, BatchTime] = OrderedDict()
        self._most = most

    def observe(self, key: Hashable, rows: int, seconds: float) -> None:
        """A batch of the class took `seconds`. The class longest without one is forgotten for a new one."""
        self.overall.observe(rows, seconds)
        known = self._classes.get(key)
        if known is None:
            known = self._classes[key] = BatchTime()
            if len(self._classes) > self._most:
                self._classes.popitem(last=False)
        else:
            self._classes.move_to_end(key)
        known.observe(rows, seconds)

    def predict(self, key: Hashable, rows: float) -> float:
        """Seconds for a batch of the class; 0.0 when no batch of any class has been seen."""
        known = self._classes.get(key)
        return (known or self.overall).predict(rows)
