"""Downloads over a connection that cuts, stalls, refuses and lies: whole in the end, or one clear error."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from inference_server.storage.errors import ContentError
from inference_server.storage.source import SourceError
from tests.storage.bringing import PART, Here, blobs, content, leftovers
from tests.storage.flaky_http import Change, Cut, FlakyHttp, Length, Stall, Status

BODY = os.urandom(6 * PART + 1234)
SHA256 = hashlib.sha256(BODY).hexdigest()
ETAG = '"v1"'


def starts(web: FlakyHttp, path: str = "/m.bin") -> list[int]:
    """Where the requests for a page began, those that only looked left out."""
    asked = [seen.range for seen in web.requests(path) if seen.method == "GET" and seen.range != "bytes=0-0"]
    return sorted(int(text.partition("=")[2].partition("-")[0] or 0) if text else 0 for text in asked)


def test_parts_are_fetched_apart_and_put_together(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag=ETAG)
    brought = here.bring(web.url("/m.bin"))
    assert content(here.dest) == {"m.bin": BODY}
    assert starts(web) == [number * PART for number in range(7)]
    assert brought.fetched == len(BODY)
    assert blobs(here) == {SHA256}
    assert leftovers(here) == set()


@pytest.mark.parametrize("fault", [Cut(5000), Stall(5000), Status(503, retry_after=0), Status(429), Cut(0)])
def test_a_part_goes_on_where_it_broke_off(here: Here, web: FlakyHttp, fault: object) -> None:
    web.put("/m.bin", BODY, etag=ETAG, faults=[fault, None, fault])
    here.bring(web.url("/m.bin"))
    assert content(here.dest) == {"m.bin": BODY}
    began = starts(web)
    assert len(began) == 9
    if isinstance(fault, Cut) and fault.after:
        assert sum(at % PART == 5000 for at in began) == 2
    assert sum("; again in" in line for line in here.said) == 2


def test_a_source_that_asks_to_wait_is_waited_for(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag=ETAG, faults=[Status(503, retry_after=1)])
    began = time.monotonic()
    here.bring(web.url("/m.bin"), connections=1)
    assert time.monotonic() - began >= 1


def test_one_that_asks_for_too_long_is_given_up(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag=ETAG, faults=[Status(503, retry_after=3600)] * 20)
    with pytest.raises(SourceError, match=r"given up after 1 attempts; it asks to wait 3600 s"):
        here.bring(web.url("/m.bin"))


def test_what_came_is_kept_for_the_next_run(here: Here, web: FlakyHttp) -> None:
    page = web.put("/m.bin", BODY, etag=ETAG, faults=[None, *[Status(500)] * 99])
    with pytest.raises(SourceError, match="given up after 3 attempts"):
        here.bring(web.url("/m.bin"), connections=1, retries=2)
    assert not here.dest.exists()
    page.faults.clear()
    web.seen.clear()
    brought = here.bring(web.url("/m.bin"))
    assert starts(web) == [3 * PART, 4 * PART, 5 * PART, 6 * PART]
    assert brought.fetched == len(BODY) - 3 * PART
    assert content(here.dest) == {"m.bin": BODY}
    assert leftovers(here) == set()


def test_an_object_that_changes_between_runs_starts_over(here: Here, web: FlakyHttp) -> None:
    page = web.put("/m.bin", BODY, etag=ETAG, faults=[None, *[Status(500)] * 99])
    with pytest.raises(SourceError):
        here.bring(web.url("/m.bin"), connections=1, retries=0)
    page.faults.clear()
    page.body, page.etag = BODY[::-1], '"v2"'
    here.bring(web.url("/m.bin"))
    assert content(here.dest) == {"m.bin": BODY[::-1]}


def test_an_object_that_changes_meanwhile_starts_over(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag=ETAG, faults=[None, None, Change(BODY[::-1], '"v2"')])
    here.bring(web.url("/m.bin"))
    assert content(here.dest) == {"m.bin": BODY[::-1]}
    assert any("beginning anew" in line for line in here.said)


@pytest.mark.parametrize("page", [{}, {"ranges": False, "etag": ETAG}, {"chunked": True}, {"sized": False}])
def test_what_cannot_be_taken_up_in_the_middle_is_read_again(
    here: Here, web: FlakyHttp, page: dict[str, object]
) -> None:
    web.put("/m.bin", BODY, faults=[Cut(PART + 7)], **page)
    brought = here.bring(web.url("/m.bin"))
    if page.get("sized", True):  # nothing tells a cut from the end where the connection is the length
        assert content(here.dest) == {"m.bin": BODY}
        assert brought.fetched >= len(BODY)
    assert leftovers(here) == set()


def test_without_a_validator_it_is_fetched_every_time(here: Here, web: FlakyHttp) -> None:
    page = web.put("/m.bin", BODY)
    here.bring(web.url("/m.bin"))
    assert here.bring(web.url("/m.bin")).fetched == len(BODY)
    page.body = BODY[::-1]
    here.bring(web.url("/m.bin"))
    assert content(here.dest) == {"m.bin": BODY[::-1]}


@pytest.mark.parametrize("declared", [len(BODY) + 1000, 100])
def test_a_length_that_is_a_lie_is_no_model(here: Here, web: FlakyHttp, declared: int) -> None:
    web.put("/m.bin", BODY, etag=ETAG, ranges=False, faults=[Length(declared)] * 99)
    with pytest.raises(SourceError) as caught:
        here.bring(web.url("/m.bin"), retries=1)
    assert "\n" not in str(caught.value)
    assert not here.dest.exists()


def test_a_wrong_checksum_is_fetched_once_more_then_refused(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag=ETAG)
    wrong = "0" * 64
    with pytest.raises(ContentError, match=f"damaged twice.*{SHA256}.*{wrong}"):
        here.bring(web.url(f"/m.bin#sha256={wrong}"))
    assert len(starts(web)) == 14
    assert not here.dest.exists()
    assert leftovers(here) == set()
    assert blobs(here) == set()
    here.bring(web.url(f"/m.bin#sha256={SHA256}"))
    assert content(here.dest) == {"m.bin": BODY}
    md5 = hashlib.md5(BODY).hexdigest()
    assert here.bring(web.url(f"/m.bin#md5={md5}"), here.root / "other").files == 1


def test_a_request_asks_for_several_parts_in_a_row(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag=ETAG, faults=[None, Cut(PART + 5)])
    here.bring(web.url("/m.bin"), connections=1)
    assert content(here.dest) == {"m.bin": BODY}
    assert starts(web) == [0, 3 * PART, 4 * PART + 5, 5 * PART, 6 * PART]


def test_an_empty_file_is_a_file(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", b"", etag=ETAG)
    here.bring(web.url("/m.bin"))
    assert content(here.dest) == {"m.bin": b""}
