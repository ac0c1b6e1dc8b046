from __future__ import annotations

import pytest

from inference_server.scoring.batching.caps import MOST, PATIENCE, Caps, too_big


class OutOfMemoryError(RuntimeError):
    """As torch.cuda has one."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 8.00 GiB for an array"),
        OutOfMemoryError("tried to allocate"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("Failed to allocate memory for requested buffer of size 1024"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    ],
)
def test_short_memory_is_recognised(error: BaseException) -> None:
    assert too_big(error)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit("out of memory"), Unprintable()])
def test_other_failures_are_not_taken_for_it(error: BaseException) -> None:
    assert not too_big(error)


@pytest.mark.parametrize("limit", [1, 3, 17, 31])
def test_the_cap_closes_in_on_what_fits(limit: int) -> None:
    caps = Caps(32)
    failures = 0
    for _ in range(40 * PATIENCE):
        rows = caps.rows("kind")
        if rows > limit:
            failures += 1
            caps.failed("kind", rows)
        else:
            caps.fitted("kind", rows)
    assert failures <= 8
    assert limit * 7 // 8 <= caps.rows("kind") <= limit
    assert caps.rows("another kind") == 32


def test_kinds_are_bounded() -> None:
    caps = Caps(32)
    for kind in range(MOST + 5):
        caps.failed(kind, 32)
    assert len(caps) == MOST
    assert caps.rows(0) == 32


def test_smaller_calls_prove_nothing() -> None:
    caps = Caps(32)
    caps.failed("kind", 32)
    for _ in range(3 * PATIENCE):
        caps.fitted("kind", 8)
    assert caps.rows("kind") == 16
