"""One real worker that batches: merged calls, what goes wrong in them, and what the front is told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_server.scoring import records, wire
from inference_server.scoring.batching import repro
from tests.scoring.batching.front import Front

Start = Callable[..., Front]

SUMS = """
    import json
    def init():
        pass
    def run(data):
        rows = json.loads(data)["data"]
        if any(row[0] < 0 for row in rows):
            raise ValueError("negative")
        return {"sums": [sum(row) for row in rows]}
"""
ITEMS = """
    import json, time
    calls = []
    def init():
        pass
    def run_batch(items):
        values = [json.loads(item) for item in items]
        if "calls" in values:
            return [list(calls)] * len(values)
        calls.append(values)
        if "late" in values:
            time.sleep(60)
        if "bad" in values:
            raise ValueError("bad one")
        if "short" in values:
            return values[1:]
        return [KeyError("mine") if value == "error" else value for value in values]
"""
DIFFERENT = [{"data": [[number, 1]]} for number in range(40)]


def replayed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`azmlinfsrv replay`."""
    command = [sys.executable, "-m", "inference_server", "replay", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def merged(front: Front) -> list[int]:
    """The sizes of the calls for more than one request."""
    return [batch.requests for batch in front.batches if batch.requests > 1]


# ---------------------------------------------------------------- rows


def test_rows_are_merged_once_they_are_proven(front: Start) -> None:
    one = front(SUMS)
    assert one.ready["batching"]["way"] == "rows"
    assert one.ready["batching"]["proof"]
    assert len(one.ready["digest"]) == 64
    assert one.teach(DIFFERENT) <= 200
    assert one.proofs[-1]["state"] == "agreed"
    assert one.proofs[-1]["rows"] == 32
    assert {batch.reason for batch in one.batches if batch.requests == 1} >= {wire.PROVING}
    one.batches.clear()
    answers = one.ask(DIFFERENT[:32])
    assert [answer.json()["sums"] for answer in answers] == [[number + 1] for number in range(32)]
    assert merged(one) == [32]
    assert one.batches[0].reason == wire.FULL


def test_answers_are_distinct_whatever_is_sent_together(front: Start) -> None:
    one = front(SUMS, batch_proof=False)
    for start in range(0, 600, 100):
        bodies = [
            {"data": [[number, row] for row in range(number % 3 + 1)]} for number in range(start, start + 100)
        ]
        for body, answer in zip(bodies, one.ask(bodies), strict=True):
            assert answer.json()["sums"] == [sum(row) for row in body["data"]]
    assert max(merged(one)) > 8
    assert all(batch.rows <= 32 for batch in one.batches)


def test_equal_requests_are_merged_before_different_ones_were_seen(front: Start) -> None:
    one = front(SUMS)
    same = [{"data": [[1, 1]]}]
    for _ in range(30):
        one.ask(same * 8)
    assert merged(one)
    assert not any(proof["state"] == "agreed" for proof in one.proofs)
    one.batches.clear()
    assert [answer.json()["sums"] for answer in one.ask(DIFFERENT[:4] + same * 4)][:4] == [[1], [2], [3], [4]]
    assert merged(one) == [5]  # DIFFERENT[1] is the same one
    one.teach(DIFFERENT)
    assert one.proofs[-1]["state"] == "agreed"


def test_few_bodies_from_many_callers_are_proven_although_equal_ones_share_calls_meanwhile(
    front: Start,
) -> None:
    one = front(SUMS)
    few = [{"data": [[number, 1]]} for number in range(20)] * 6
    for _ in range(12):
        answers = one.ask(few)
        assert [answer.json()["sums"] for answer in answers] == [[body["data"][0][0] + 1] for body in few]
        if one.proofs and one.proofs[-1]["state"] == "agreed":
            break
    assert one.proofs[-1]["state"] == "agreed"


def test_a_mismatch_is_kept_and_switches_merging_off(front: Start) -> None:
    one = front(
        """
        import json
        def init():
            pass
        def run(data):
            rows = json.loads(data)["data"]
            mean = sum(row[0] for row in rows) / len(rows)
            return [row[0] - mean for row in rows]
        """
    )
    one.teach(DIFFERENT)
    refused = one.proofs[-1]
    assert refused["state"] == "refused"
    facts = repro.read(refused["repro"])
    assert Path(refused["repro"]).stat().st_mode & 0o777 == 0o600
    assert len(facts["requests"]) > 1
    assert facts["alone"].body != facts["merged"].body
    assert refused["repro"] in one.log
    assert replayed(refused["repro"]).returncode == 1
    one.batches.clear()
    assert [answer.json() for answer in one.ask(DIFFERENT[:8])] == [[0.0]] * 8
    assert not merged(one)


def test_a_mismatch_that_comes_late_is_found_by_sampling(front: Start) -> None:
    one = front(
        """
        import json
        def init():
            pass
        def run(data):
            rows = json.loads(data)["data"]
            many = any(row[0] > 900 for row in rows)
            return [row[0] + (len(rows) if many else 0) for row in rows]
        """
    )
    one.teach(DIFFERENT)
    assert one.proofs[-1]["state"] == "agreed"
    late = [{"data": [[901 + number, 0]]} for number in range(32)]
    for _ in range(20):
        one.ask(late)
    one.until(lambda: one.proofs[-1]["state"] == "refused")
    refused = one.proofs[-1]
    facts = repro.read(refused["repro"])
    assert len(facts["requests"]) == 32
    assert replayed(refused["repro"]).returncode == 1
    fixed = one.folder / "fixed.py"
    fixed.write_text((one.folder / "score.py").read_text().replace("if many", "if 0"))
    assert replayed(refused["repro"], "--entry_script", str(fixed)).returncode == 0


def test_a_script_that_disagrees_with_itself_is_never_merged(front: Start) -> None:
    one = front(
        """
        import itertools, json
        count = itertools.count()
        def init():
            pass
        def run(data):
            return [next(count) for row in json.loads(data)["data"]]
        """
    )
    one.teach(DIFFERENT)
    assert one.proofs[-1]["state"] == "refused"
    assert "same input" in one.proofs[-1]["why"]
    assert not merged(one)


def test_streams_are_never_merged(front: Start) -> None:
    one = front(
        """
        import json
        def init():
            pass
        def run(data):
            return (str(row) for row in json.loads(data)["data"])
        """
    )
    one.send(DIFFERENT[:8])
    one.until(lambda: one.proofs)
    assert one.proofs[-1]["state"] == "refused"


def test_the_verdict_of_others_holds(front: Start) -> None:
    one = front(SUMS)
    one.tell(wire.VERDICT, {"state": "proven", "why": "", "rows": 8})
    one.ask(DIFFERENT[:16])
    assert merged(one)[0] == 8
    one.tell(wire.VERDICT, {"state": "refused", "why": "elsewhere it differed"})
    one.batches.clear()
    one.ask(DIFFERENT[:16])
    assert not merged(one)
    assert [answer.status for answer in one.ask(DIFFERENT[:4], lone=True)] == [200] * 4


def test_what_only_fails_in_company_ends_merging(front: Start) -> None:
    one = front(
        """
        import json
        def init():
            pass
        def run(data):
            rows = json.loads(data)["data"]
            if len(rows) > 1:
                raise TypeError("one row, please")
            return rows
        """,
        batch_proof=True,
    )
    one.teach(DIFFERENT)
    assert one.proofs[-1]["state"] == "refused"
    assert "one row, please" in one.proofs[-1]["why"]


def test_it_is_also_seen_when_it_first_happens_after_the_proof(front: Start) -> None:
    one = front(
        """
        import json
        def init():
            pass
        def run(data):
            rows = json.loads(data)["data"]
            if len(rows) > 1 and rows[0][0] > 900:
                raise TypeError("one row, please")
            return rows
        """
    )
    one.teach(DIFFERENT)
    assert one.proofs[-1]["state"] == "agreed"
    for _ in range(3):  # once it might be one of them that spoils its company
        assert one.proofs[-1]["state"] == "agreed"
        answers = one.ask([{"data": [[901, number]]} for number in range(8)])
        assert [answer.status for answer in answers] == [200] * 8
    one.until(lambda: one.proofs[-1]["state"] == "refused")


# ---------------------------------------------------------------- faults


def test_a_poisoned_request_fails_alone(front: Start) -> None:
    one = front(SUMS, batch_proof=False)
    one.ask(DIFFERENT[:8])
    bodies = [*DIFFERENT[:20], {"data": [[-1, 0]]}, *DIFFERENT[20:31]]
    answers = one.ask(bodies)
    assert [answer.status for answer in answers] == [200] * 20 + [500] + [200] * 11
    assert [answer.json()["sums"] for answer in answers if answer.status == 200] == [
        [n + 1] for n in range(31)
    ]
    one.logs("32 requests failed")
    assert one.log.count("Traceback") == 1
    one.batches.clear()
    assert [answer.status for answer in one.ask(bodies)] == [answer.status for answer in answers]
    assert merged(one) == [31]  # its fingerprint is known


def test_a_bad_body_is_refused_and_costs_its_neighbours_nothing(front: Start) -> None:
    one = front(SUMS, batch_proof=False)
    answers = one.ask([DIFFERENT[0], b"\xff\xfe{", DIFFERENT[1], DIFFERENT[2]])
    assert [answer.status for answer in answers] == [200, 400, 200, 200]
    assert merged(one) == [3]


def test_other_inputs_and_shapes_are_kept_apart(front: Start) -> None:
    one = front(
        """
        import json
        def init():
            pass
        def run(data):
            given = json.loads(data)
            return [[given.get("scale", 1) * value for value in row] for row in given["data"]]
        """,
        batch_proof=False,
    )
    bodies = [{"data": [[n] * (1 + n % 2)], "scale": n % 3} for n in range(30)]
    answers = one.ask(bodies)
    assert [answer.json() for answer in answers] == [[[n * (n % 3)] * (1 + n % 2)] for n in range(30)]
    assert {batch.reason for batch in one.batches} == {wire.SHAPE}


@pytest.mark.parametrize("config", [{"batch_reexecution": False}, {}])
def test_a_batch_may_not_be_run_again_when_that_is_asked_for(front: Start, config: dict[str, bool]) -> None:
    source = (
        ITEMS
        if config
        else ITEMS.replace(
            "def run_batch",
            "import inference_server\n    @inference_server.batched(reexecute=False)\n    def run_batch",
        )
    )
    one = front(source, **config)
    answers = one.ask([1, 2, "bad", 4])
    assert [answer.status for answer in answers] == [500] * 4
    assert one.ask(["calls"])[0].json() == [[1, 2, "bad", 4]]
    assert one.log.count("Traceback") == 1
    assert "4 requests shared this run() call and get its error" in one.log


def test_collected_data_is_each_request_s_own(front: Start) -> None:
    one = front(SUMS, batch_proof=False, app_insights_enabled=True, mdc_storage_enabled=True)
    one.ask(DIFFERENT[:6])
    one.until(lambda: len([1 for _, entry in one.told if entry["logger"] == records.MODEL_DATA]) == 6)
    collected = [(seq, entry) for seq, entry in one.told if entry["logger"] == records.MODEL_DATA]
    assert [seq for seq, _ in collected] == list(one.answers)
    for number, (_, entry) in enumerate(collected):
        assert f"[[{number}, 1]]" in json.dumps(entry).replace("\\", "")
        assert f"[{number + 1}]" in json.dumps(entry).replace("\\", "")


# ---------------------------------------------------------------- run_batch


def test_run_batch_is_trusted_and_takes_all_that_has_come(front: Start) -> None:
    one = front(ITEMS)
    assert one.ready["batching"]["way"] == "run_batch"
    assert [answer.json() for answer in one.ask(list(range(70)))] == list(range(70))
    assert sum(merged(one)) + sum(batch.requests == 1 for batch in one.batches) == 70
    assert max(merged(one)) == 32
    assert not one.proofs


def test_run_batch_may_fail_one_item(front: Start) -> None:
    one = front(ITEMS)
    answers = one.ask([1, "error", 3])
    assert [answer.status for answer in answers] == [200, 500, 200]
    assert answers[1].flags & wire.FAILED_TRUE
    assert one.log.count("KeyError") == 2  # summary, and once in the traceback
    assert merged(one) == [3]


def test_a_wrong_length_counts_as_a_raise(front: Start) -> None:
    one = front(ITEMS)
    answers = one.ask([1, 2, "short", 4, 5])
    assert [answer.status for answer in answers] == [200, 200, 500, 200, 200]
    assert [answer.json() for answer in answers if answer.status == 200] == [1, 2, 4, 5]
    assert (
        "Encountered Exception: wrong length: the batch function returned 0 results for 1 items\n" in one.log
    )
    assert "NotSplittable" not in one.log


def test_a_batch_function_is_told_of_when_batching_is_off(front: Start) -> None:
    assert (
        "run_batch() takes several requests at once where --max_batch_size"
        in front(ITEMS, max_batch_size=1).log
    )


def test_a_call_that_takes_too_long_is_run_again_one_by_one(front: Start) -> None:
    one = front(ITEMS, scoring_timeout_ms=300)
    answers = one.ask([1, 2, "late", 4])
    assert [answer.status for answer in answers] == [200, 200, 500, 200]
    assert answers[2].flags & wire.TIMED_OUT
    calls = one.ask(["calls"])[0].json()
    assert calls == [[1, 2, "late", 4], [1], [2], ["late"], [4]]


def test_a_lone_request_is_never_merged(front: Start) -> None:
    one = front(ITEMS)
    one.ask([1, 2, 3], lone=True)
    assert not merged(one)
    assert [batch.requests for batch in one.batches] == [1, 1, 1]


def test_short_memory_means_fewer_rows_from_then_on(front: Start) -> None:
    one = front(
        """
        import json
        def init():
            pass
        def run_batch(items):
            if len(items) > 5:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return [json.loads(item) for item in items]
        """
    )
    assert [answer.json() for answer in one.ask(list(range(32)))] == list(range(32))
    one.logs("did not fit into memory")
    log = one.log
    for _ in range(5):
        assert [answer.status for answer in one.ask(list(range(32)))] == [200] * 32
    assert max(merged(one)) <= 5
    assert one.log == log


def test_batches_of_every_size_are_run_before_ready_when_a_sample_is_named(front: Start) -> None:
    one = front(ITEMS + "    BATCH_SAMPLE = 7\n")
    calls = one.ask(["calls"])[0].json()
    assert [len(call) for call in calls] == [1, 2, 4, 8, 16, 32]
    assert "warmed up" in one.log


def test_a_warm_up_finds_what_fits_into_memory(front: Start) -> None:
    one = front(
        """
        import json
        BATCH_SAMPLE = {"data": [[1, 1]]}
        def init():
            pass
        def run(data):
            rows = json.loads(data)["data"]
            if len(rows) > 5:
                raise MemoryError
            return rows
        """,
        batch_proof=False,
    )
    assert "8 rows did not fit into memory: no more than 4" in one.log
    assert [answer.status for answer in one.ask(DIFFERENT[:12])] == [200] * 12
    assert merged(one) == [4, 4, 4]


def test_a_warm_up_that_fails_is_only_told(front: Start) -> None:
    one = front(ITEMS + "    BATCH_SAMPLE = '\"bad\"'\n")
    assert "Warming up with BATCH_SAMPLE failed: ValueError: bad one" in one.log
    assert one.ask([1])[0].json() == 1


# ---------------------------------------------------------------- callers and workers that leave


def test_nobody_runs_what_nobody_waits_for(front: Start) -> None:
    one = front(ITEMS)
    one.ask([0])
    for seq in (3, 5):  # the next ones are 2, 3, 4, 5
        one.page[wire.LEFT + seq % wire.LEFT_SLOTS] = 1
    seqs = one.send(["a", "b", "c", "d"])
    one.until(lambda: seqs[0] in one.answers and seqs[2] in one.answers and len(one.withdrawn) == 2)
    assert one.withdrawn == [3, 5]
    assert one.ask(["calls"])[0].json()[1:] == [["a", "c"]]


def test_what_the_front_withdraws_is_not_run(front: Start) -> None:
    one = front(ITEMS)
    one.cells[wire.WITHDRAW] = 3
    seqs = one.send(["a", "b", "c", "d"])
    one.until(lambda: len(one.withdrawn) == 2)
    one.cells[wire.WITHDRAW] = 0
    assert one.withdrawn == seqs[2:]
    assert one.ask(["calls"])[0].json() == [["a"], ["b"]]


def test_the_page_tells_whose_call_it_is(front: Start) -> None:
    one = front(
        """
        import json, os, signal
        def init():
            pass
        def run_batch(items):
            if '"die"' in items:
                os.kill(os.getpid(), signal.SIGKILL)
            return [json.loads(item) for item in items]
        """
    )
    one.ask([1, 2])
    one.send(["die", 4, 5])
    assert one.process.wait(10) == -signal.SIGKILL
    assert one.cells[wire.MARK] == 5
    assert one.cells[wire.ALONE] == 0
    two = front((one.folder / "score.py").read_text())
    two.send(["die"], lone=True)
    assert two.process.wait(10) == -signal.SIGKILL
    assert two.cells[wire.ALONE] == two.cells[wire.MARK] == 1


def test_a_worker_that_dies_over_a_comparison_says_so(front: Start) -> None:
    one = front(
        """
        import json, os, signal
        def init():
            pass
        def run(data):
            rows = json.loads(data)["data"]
            if len(rows) > 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return rows
        """
    )
    with pytest.raises((AssertionError, OSError)):
        one.teach(DIFFERENT)
    assert one.process.wait(10) == -signal.SIGKILL
    assert one.cells[wire.CHECKING] == 1
    assert all(answer.status == 200 for answer in one.answers.values())


def test_what_came_before_stop_is_answered(front: Start) -> None:
    one = front(ITEMS)
    seqs = one.send(list(range(10)))
    one.tell(wire.STOP)
    one.until(lambda: all(seq in one.answers for seq in seqs))
    assert one.process.wait(10) == 0


def test_threads_and_batching_are_not_had_together(front: Start) -> None:
    with pytest.raises(AssertionError, match="one thread"):
        front(ITEMS, threads=2)


def test_bodies_that_come_in_parts_are_merged_all_the_same(front: Start) -> None:
    one = front(ITEMS)
    bodies = ["x" * 300_000 + str(number) for number in range(6)]
    assert [answer.json() for answer in one.ask(bodies)] == bodies
