from __future__ import annotations

from inference_server.scoring.batching.proof import (
    AGAIN,
    FREE_SECONDS,
    LONGEST_SINGLES,
    PROVEN,
    PROVING,
    REFUSED,
    SAMPLE_EACH,
    Proof,
)


def prove(
    proof: Proof, requests: int, single: float, per_row: float, mixed: bool = True, kinds: int = 9
) -> list[int]:
    """Serve `requests` single calls with all comparisons that are due; returns their rows."""
    made = []
    for _ in range(requests):
        if proof.state == PROVEN:
            break
        proof.worked(1, single)
        proof.different += mixed
        rows = proof.next(mixed)
        if rows is None:
            continue
        made.append(rows)
        if rows == AGAIN:
            proof.repeated(single)
        else:
            proof.merged(rows, rows, rows if mixed else 1, min(kinds, rows), single + per_row * rows)
    return made


def test_a_quick_script_is_proven_within_a_few_requests_up_to_the_largest_batch() -> None:
    proof = Proof(32)
    made = prove(proof, 200, 0.0001, 0.0)
    assert proof.state == PROVEN
    assert proof.rows == 32
    assert made[0] == AGAIN
    assert {2, 4, 8, 16, 32} <= set(made)
    assert proof.requests <= 60


def test_few_different_requests_are_enough_when_no_others_come() -> None:
    proof = Proof(32)
    while proof.state == PROVING:
        proof.worked(1, 0.0001)
        rows = proof.next(True)
        if rows == AGAIN:
            proof.repeated(0.0001)
        elif rows:
            proof.merged(rows, rows, 2, 2, 0.0001)
    assert 100 < proof.requests < 200


def test_one_that_gains_nothing_is_proven_within_200_requests() -> None:
    proof = Proof(32)
    prove(proof, 200, 0.02, 0.02)
    assert proof.state == PROVEN


def test_callers_never_wait_long_for_a_comparison() -> None:
    proof = Proof(64)
    single = 0.5
    for rows in prove(proof, 400, single, single):
        assert rows <= 2 * LONGEST_SINGLES
    assert proof.rows < 64


def test_comparisons_take_a_bounded_share_of_the_time() -> None:
    proof = Proof(32)
    single = 1.0
    spent = busy = 0.0
    for _ in range(300):
        proof.worked(1, single)
        busy += single
        rows = proof.next(True)
        if rows == AGAIN:
            proof.repeated(single)
            spent += single
        elif rows:
            proof.wasted(single * rows)
            spent += single * rows
    assert spent <= FREE_SECONDS + 0.5 * busy


def test_equal_requests_prove_nothing_for_different_ones() -> None:
    proof = Proof(16)
    prove(proof, 200, 0.0001, 0.0, mixed=False)
    assert proof.state == PROVING
    assert proof.rows == 1
    assert proof.equal_rows == 16
    prove(proof, 200, 0.0001, 0.0)
    assert proof.state == PROVEN
    assert proof.rows == 16


def test_answers_that_are_all_alike_count_for_less() -> None:
    few, many = Proof(32), Proof(32)
    few.different = many.different = 100
    alike = prove(few, 500, 0.0001, 0.0, kinds=1)
    differing = prove(many, 500, 0.0001, 0.0)
    assert few.state == many.state == PROVEN
    assert len(alike) > len(differing)


def test_a_refusal_is_for_good() -> None:
    proof = Proof(32)
    prove(proof, 200, 0.0001, 0.0)
    proof.refuse("it differs")
    proof.accept(32)
    assert proof.state == REFUSED
    assert proof.rows == proof.equal_rows == 1
    assert proof.next(True) is None
    assert not proof.sample_due()


def test_what_others_have_proven_holds_here_up_to_their_rows() -> None:
    proof = Proof(32)
    proof.worked(1, 0.001)
    proof.accept(8)
    assert (proof.state, proof.rows) == (PROVEN, 8)
    assert proof.next(True) == 16
    proof.merged(16, 16, 9, 9, 0.002)
    assert proof.rows == 16


def test_what_is_too_much_for_one_call_ends_the_growth() -> None:
    proof = Proof(32)
    proof.limit(4, 0.1)
    prove(proof, 400, 0.0001, 0.0)
    assert (proof.state, proof.rows) == (PROVEN, 4)
    other = Proof(32)
    other.limit(1, 0.1)
    assert other.state == REFUSED


def test_samples_are_one_in_a_hundred_and_a_hundredth_of_the_time() -> None:
    proof = Proof(32)
    prove(proof, 200, 0.1, 0.0)
    assert proof.state == PROVEN
    busy = spent = 0.0
    samples = 0
    for _ in range(2000):
        proof.worked(32, 0.2)
        busy += 0.2
        if proof.sample_due():
            proof.sampled(0.1)
            samples += 1
            spent += 0.1
    assert samples > 10
    assert samples <= 2000 * 32 / SAMPLE_EACH
    assert spent <= FREE_SECONDS + 0.011 * busy
