"""Where the time of a request went.

    parse    from its first byte to its last (0 when it came in one piece)
    queue    until it was sent to a worker
    channel  to the worker and back, and while it lay there ready behind what the worker ran before it
    decode   the worker makes the arguments of run()
    run      run(); all the time at the worker when that has not timed it: a script that raised, a worker that died,
             a limit that passed, a caller who left
    encode   the worker makes the answer
    write    the answer is rendered and handed to the system; of a stream: from its head to its last byte

They are measured by two clocks, the front's and the worker's, each on its own: channel is what is left. Together
they are the whole. Decode, run and encode of requests that were run together are those of their common call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import sub

from inference_server.messages import Batch, Ids
from inference_server.telemetry.access import Entry
from inference_server.telemetry.durations import Durations
from inference_server.telemetry.names import PHASE_BOUNDS, PHASES

# Seconds, in the order of names.PHASES.
Phases = tuple[float, float, float, float, float, float, float]

# What is kept of an answered request. A plain tuple: one is made per request.
Row = tuple[
    int,  # status
    float,  # seconds from its first byte to the end of its answer
    float,  # of these: the answer was rendered and written
    float,  # when it arrived, monotonic seconds
    float,  # when its last byte did
    float,  # when it was sent to a worker; 0.0: it was not
    float,  # microseconds of decoding
    float | None,  # milliseconds of run(); None: not timed
    float,  # microseconds of encoding
    int,  # bytes sent
    int,  # bytes of its body
    Ids,
    Batch | None,
]
SENT, TIMED = 5, 7  # their places


def rows(entries: Iterable[Entry]) -> list[Row]:
    """The requests among `entries`; entries of other routes, and requests that no script may see, are none."""
    return [
        (
            status,
            seconds,
            written,
            request.arrived,
            request.received,
            request.sent,
            answer.decode_us,
            answer.exec_ms,
            answer.encode_us,
            bytes_out,
            request.body_bytes,
            request.ids,
            request.batch,
        )
        for _, status, _, _, _, seconds, bytes_out, request, answer, written in entries
        if request is not None and answer is not None
    ]


def phases(
    seconds: float,
    written: float,
    arrived: float,
    received: float,
    sent: float,
    decode_us: float,
    run_ms: float | None,
    encode_us: float,
) -> Phases:
    """The phases of one request, from what a Row holds."""
    parse = received - arrived
    if not sent:
        return parse, max(0.0, seconds - parse - written), 0.0, 0.0, 0.0, 0.0, written
    decode, encode = decode_us * 1e-6, encode_us * 1e-6
    there = max(0.0, seconds - (sent - arrived) - written - decode - encode)
    if run_ms is None:
        return parse, sent - received, 0.0, decode, there, encode, written
    run = run_ms * 1e-3
    return parse, sent - received, max(0.0, there - run), decode, run, encode, written


class PhaseMetrics:
    """A histogram of each phase; that of run() in two, since what the worker has not timed is no measurement."""

    __slots__ = ("durations", "untimed")

    def __init__(self) -> None:
        self.durations = {name: Durations(PHASE_BOUNDS) for name in PHASES}
        self.untimed = Durations(PHASE_BOUNDS)  # run() of requests whose worker has not timed it

    def histograms(self) -> Iterator[tuple[str, list[tuple[str, float]], float]]:
        """Name, cumulative counts by upper bound, and sum of each phase."""
        untimed = self.untimed
        for name, durations in self.durations.items():
            buckets, total = durations.buckets(), durations.total
            if name == "run":
                both = zip(buckets, untimed.buckets(), strict=True)
                buckets, total = (
                    [(bound, one + other) for (bound, one), (_, other) in both],
                    total + untimed.total,
                )
            yield name, buckets, total

    def count(self, finished: Sequence[Row]) -> None:
        """Count those of `finished` that were sent to a worker.

        Column by column, which costs half of what a call of `phases` for each of them would.
        """
        usual: Sequence[Row] = [row for row in finished if row[TIMED] is not None and row[SENT]]
        if len(usual) < len(finished):
            odd = [phases(*row[1:9]) for row in finished if row[TIMED] is None and row[SENT]]
            if odd:
                for name, column in zip(PHASES, zip(*odd, strict=True), strict=True):
                    (self.untimed if name == "run" else self.durations[name]).add(column)
        if usual:
            self._count_timed(usual)

    def _count_timed(self, finished: Sequence[Row]) -> None:
        _, whole, write, arrived, received, sent, decode, run, encode, *_ = zip(*finished, strict=True)
        queue = list(map(sub, sent, received))
        if received != arrived:
            parse = list(map(sub, received, arrived))
            whole = tuple(map(sub, whole, parse))
        else:
            parse = [0.0] * len(finished)
        channel = [
            rest if (rest := all_ - q - w - (d + e) * 1e-6 - r * 1e-3) > 0.0 else 0.0
            for all_, q, w, d, e, r in zip(whole, queue, write, decode, encode, run, strict=True)
        ]
        durations = self.durations
        durations["parse"].add(parse)
        durations["queue"].add(queue)
        durations["channel"].add(channel)
        durations["decode"].add(decode, 1e-6)
        durations["run"].add(run, 1e-3)
        durations["encode"].add(encode, 1e-6)
        durations["write"].add(write)
