"""One pace of a load, and what each of the servers made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from inference_server.load.compare import Ratio, ratio
from inference_server.load.figures import plural, rate
from inference_server.load.generator import Closed, Open
from inference_server.load.tally import Tally

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


def name(pace: Closed | Open) -> str:
    """`8 callers`, `500 req/s`."""
    return plural(pace.callers, "caller") if isinstance(pace, Closed) else f"{rate(pace.rate)} req/s"


@dataclass
class Level:
    """One pace, and the tallies of its turns, by server."""

    pace: Closed | Open
    turns: list[list[Tally]] = field(default_factory=list)

    @property
    def tallies(self) -> list[Tally]:
        """All turns of each server together."""
        found = []
        for turns in self.turns:
            whole = Tally()
            for turn in turns:
                whole.merge(turn)
            found.append(whole)
        return found

    def compared(self) -> dict[str, Ratio | None]:
        """The second server as a multiple of the first: rate, and latency at each share."""
        ones, others = self.turns
        found = {"rate": ratio([turn.rate for turn in ones], [turn.rate for turn in others])}
        for share in ("p50", "p99"):
            figures = [[turn.latency.percentile(SHARES[share]) for turn in turns] for turns in (ones, others)]
            found[share] = ratio(*figures)
        return found
