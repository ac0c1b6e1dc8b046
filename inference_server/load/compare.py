"""Two servers under the same load, turn about: how many times one is the other, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Student's t for 95 % by degrees of freedom, beginning with 1; more than 30 are taken for many.
_T = (
    *(12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_T_MANY = 1.96


@dataclass(frozen=True)
class Ratio:
    """A ratio, and the bounds between which it lies with 95 %."""

    value: float
    low: float
    high: float

    @property
    def noise(self) -> bool:
        """Whether the difference may be chance."""
        return self.low <= 1 <= self.high


def ratio(ones: Sequence[float], others: Sequence[float]) -> Ratio | None:
    """`others` as a multiple of `ones`, figures above 0 of turns that alternated. None: fewer than two turns of each.

    Each turn is set against the one beside it, so that what changes slowly on the machine changes both.
    """
    pairs = [(one, other) for one, other in zip(ones, others, strict=False) if one > 0 and other > 0]
    count = len(pairs)
    if count < 2:
        return None
    logs = [math.log(other / one) for one, other in pairs]
    mean = sum(logs) / count
    deviation = math.sqrt(sum((log - mean) ** 2 for log in logs) / (count - 1))
    t = _T[count - 2] if count - 2 < len(_T) else _T_MANY
    reach = t * deviation / math.sqrt(count)
    return Ratio(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))
