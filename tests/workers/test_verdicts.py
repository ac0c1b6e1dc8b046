"""What the workers of a deployment find out together, told by hand."""

from __future__ import annotations

import pytest

from inference_server.workers.requests import ScriptFacts
from inference_server.workers.verdicts import SCRIPTS, Verdicts


def facts(digest: str = "a", way: str = "rows", proof: bool = True) -> ScriptFacts:
    return ScriptFacts(batching={"way": way, "why": f"it is {way}", "proof": proof}, digest=digest)


def test_ways_that_need_no_proof_are_on_or_off_at_once() -> None:
    verdicts = Verdicts(8)
    assert verdicts.report() is None
    assert verdicts.ready(facts("a", "run_batch", False)).merges
    assert verdicts.ready(facts("b", "rows", False)).merges
    assert not verdicts.ready(facts("c", "single", False)).merges
    report = verdicts.report()
    assert report is not None
    assert (report.way, report.state, report.reason) == ("single", "off", "it is single")


def test_what_one_worker_proves_holds_for_all_and_grows() -> None:
    verdicts = Verdicts(32)
    first = verdicts.ready(facts())
    assert first.record() is None
    assert verdicts.told(facts(), {"state": "proving", "agreed": 3, "requests": 9}) is None
    on = verdicts.told(facts(), {"state": "agreed", "agreed": 40, "requests": 90, "rows": 8})
    assert on is not None
    assert on.merges
    assert on.record() == {"state": "proven", "why": "", "rows": 8}
    assert verdicts.told(facts(), {"state": "proving", "agreed": 1}) is None  # of one that has not heard yet
    assert verdicts.ready(facts()) == on
    grown = verdicts.told(facts(), {"state": "agreed", "rows": 32})
    assert grown is not None
    assert grown.rows == 32
    smaller = verdicts.told(facts(), {"state": "agreed", "rows": 4})
    assert smaller is not None
    assert smaller.rows == 32


def test_equal_requests_may_share_a_call_before_there_is_a_verdict() -> None:
    verdicts = Verdicts(8)
    verdicts.ready(facts())
    news = verdicts.told(facts(), {"state": "proving", "agreed": 3, "requests": 9, "same": True})
    assert news is not None
    assert news.merges
    assert news.record() is None
    assert verdicts.told(facts(), {"state": "proving", "agreed": 4, "requests": 10, "same": True}) is None


def test_a_refusal_is_for_good_and_says_where_the_requests_are(caplog: pytest.LogCaptureFixture) -> None:
    verdicts = Verdicts(8)
    verdicts.ready(facts())
    verdicts.told(facts(), {"state": "agreed", "rows": 8})
    no = verdicts.told(facts(), {"state": "refused", "why": "row 3 differs", "repro": "/tmp/x.json"})
    assert no is not None
    assert not no.merges
    assert no.record() == {"state": "refused", "why": "row 3 differs", "rows": 0}
    assert "row 3 differs" in caplog.text
    assert "/tmp/x.json" in caplog.text
    assert verdicts.told(facts(), {"state": "agreed", "rows": 8}) is None
    assert not verdicts.ready(facts()).merges
    report = verdicts.report()
    assert report is not None
    assert (report.state, report.reason, report.repro) == ("refused", "row 3 differs", "/tmp/x.json")


def test_another_script_is_judged_anew_and_a_death_while_comparing_is_a_refusal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    verdicts = Verdicts(8)
    verdicts.ready(facts("a"))
    assert verdicts.checking_died(facts("a"), by_others=True) is None
    assert "should another" in caplog.text
    verdicts.ready(facts("c"))
    crashed = verdicts.checking_died(facts("c"), by_others=False)
    assert crashed is not None
    assert not crashed.merges
    no = verdicts.checking_died(facts("a"), by_others=True)
    assert no is not None
    assert "died" in no.why
    assert verdicts.checking_died(facts("a"), by_others=True) is None
    assert verdicts.ready(facts("b")).state == "proving"
    _fill(verdicts)
    assert verdicts.ready(facts("a")).state == "proving"  # forgotten by now


def test_kills_by_others_count_only_while_they_keep_the_proof_from_going_on() -> None:
    verdicts = Verdicts(8)
    verdicts.ready(facts())
    assert verdicts.checking_died(facts(), by_others=True) is None
    verdicts.told(facts(), {"state": "agreed", "rows": 4})  # by another worker, or the next
    assert verdicts.checking_died(facts(), by_others=True) is None
    verdicts.told(facts(), {"state": "agreed", "rows": 8})  # all there is to prove: samples follow
    for _ in range(5):
        assert verdicts.checking_died(facts(), by_others=True) is None
    assert verdicts.ready(facts()).merges
    no = verdicts.checking_died(facts(), by_others=False)
    assert no is not None
    assert not no.merges


def _fill(verdicts: Verdicts) -> None:
    for number in range(SCRIPTS):
        verdicts.ready(facts(str(number)))
