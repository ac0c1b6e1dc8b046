from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.messages import Answer, Head, ScoringRequest
from inference_server.scoring import wire
from inference_server.telemetry.access import Entry, about
from inference_server.telemetry.durations import Durations
from inference_server.telemetry.names import PHASES
from inference_server.telemetry.phases import PhaseMetrics, phases, rows
from inference_server.telemetry.recent import Recent, shown
from inference_server.workers.batch_worker import Batch

ABOUT = about("h", b"POST /score HTTP/1.1", b"", b"")


def entry(
    seconds: float = 0.010,
    written: float = 0.001,
    received: float = 0.0,
    sent: float | None = 0.002,
    decode_us: float = 500.0,
    run_ms: float | None = 3.0,
    encode_us: float = 250.0,
    status: int = 200,
    batch: Batch | None = None,
) -> Entry:
    """What a request that arrived at 100.0 leaves behind; `received` and `sent` are seconds after that."""
    request = ScoringRequest(cast(Head, None), [], 7, 100.0, lambda answer: None)
    request.received = 100.0 + received
    request.sent = 100.0 + sent if sent is not None else 0.0
    request.batch = batch
    answer = Answer(status, b"", exec_ms=run_ms, decode_us=decode_us, encode_us=encode_us)
    return (ABOUT, status, 0, 0, True, seconds, 20, request, answer, written)


def of(made: Entry) -> dict[str, float]:
    (row,) = rows([made])
    return dict(zip(PHASES, phases(*row[1:9]), strict=True))


def test_the_phases_of_a_request() -> None:
    found = of(entry(received=0.0005))
    expected = {"parse": 0.5, "queue": 1.5, "decode": 0.5, "run": 3.0, "encode": 0.25, "write": 1.0}
    expected["channel"] = 10 - sum(expected.values())
    assert found == pytest.approx({name: value / 1000 for name, value in expected.items()})


def test_what_the_worker_has_not_timed_counts_as_run() -> None:
    found = of(entry(run_ms=None, decode_us=0.0, encode_us=0.0, status=500))
    assert found["run"] == pytest.approx(0.007)
    assert found["channel"] == 0


def test_a_request_that_no_worker_got_has_only_waited() -> None:
    found = of(entry(seconds=0.05, sent=None, run_ms=None, status=408))
    assert found["queue"] == pytest.approx(0.049)
    assert sum(found.values()) == pytest.approx(0.05)


def test_two_clocks_never_make_a_phase_negative() -> None:
    assert of(entry(seconds=0.004, run_ms=3.5))["channel"] == 0.0


some = st.floats(0.0, 400.0)
made = st.builds(
    lambda received, waited, decode, run, encode, rest, written, sent, timed: entry(
        received + waited + decode + run + encode + rest + written,
        written,
        received,
        received + waited if sent else None,
        decode * 1e6,
        run * 1e3 if timed else None,
        encode * 1e6,
    ),
    *(some, some, some, some, some, some, some, st.booleans(), st.booleans()),
)


@given(st.lists(made, max_size=20))
def test_many_at_a_time_are_counted_as_one_by_one(entries: list[Entry]) -> None:
    bulk = PhaseMetrics()
    finished = rows(entries)
    bulk.count(finished)
    sent = [row for row in finished if row[5]]
    for place, name in enumerate(PHASES):
        values = [phases(*row[1:9])[place] for row in sent]
        _, buckets, total = next(one for one in bulk.histograms() if one[0] == name)
        assert buckets[-1] == ("+Inf", len(values))
        assert total == pytest.approx(sum(values), abs=1e-6)
    assert sum(bulk.durations["run"].counts) == sum(row[7] is not None for row in sent)
    for row in sent:
        assert sum(phases(*row[1:9])) == pytest.approx(row[1], abs=1e-6)


@given(st.lists(st.floats(0.0, 400.0), max_size=50), st.sampled_from([1.0, 1e-3, 1e-6]))
def test_a_histogram_filled_at_once_is_the_one_filled_by_hand(values: list[float], unit: float) -> None:
    durations = Durations((0.1, 1.0, 60.0))
    durations.add([value / unit for value in values], unit)
    near = [value for value in values if any(abs(value - bound) < 1e-6 for bound in durations.bounds)]
    if not near:
        expected = [sum(value <= bound for value in values) for bound in (0.1, 1.0, 60.0, 1e9)]
        assert [count for _, count in durations.buckets()] == expected
    assert durations.total == pytest.approx(sum(values))


def test_the_ring_keeps_the_last_ones() -> None:
    recent = Recent(3)
    for number in range(5):
        recent.add(rows([entry(status=200 + number)]))
    assert recent.finished == 5
    assert [row[0] for row in recent.since(0, 10)] == [202, 203, 204]
    assert [row[0] for row in recent.since(3, 10)] == [203, 204]
    assert [row[0] for row in recent.since(0, 1)] == [204]
    assert recent.since(5, 10) == recent.since(9, 10) == []


def test_what_is_shown_of_a_request() -> None:
    batch, other = Batch(4, 32, 0.01, 0.0, 0.0, wire.SHAPE), Batch(1, 0, 0.01, 0.0, 0.0, wire.IDLE)
    found = shown(rows([entry(batch=batch), entry(batch=batch), entry(batch=other), entry()]), now=101.0)
    assert found[0] == {
        "id": "",
        "client_id": "",
        "status": 200,
        "ended_s_ago": 0.99,
        "ms": 10.0,
        "phases_ms": {
            "parse": 0.0,
            "queue": 2.0,
            "channel": 3.25,
            "decode": 0.5,
            "run": 3.0,
            "encode": 0.25,
            "write": 1.0,
        },
        "batch": {"call": 0, "requests": 4, "rows": 32, "reason": "shape"},
    }
    assert [row.get("batch", {}).get("call") for row in found] == [0, 0, 1, None]
