"""Compares merged calls with single ones, between requests, and tells the front what came of it."""

from __future__ import annotations

import json
import logging
from time import monotonic, perf_counter
from typing import Any, Callable, Dict, Hashable, List, Optional, Sequence, Set, Tuple

from inference_server.scoring import wire
from inference_server.scoring.answer import Answer
from inference_server.scoring.batching import repro
from inference_server.scoring.batching.caps import release, too_big
from inference_server.scoring.batching.company import Company
from inference_server.scoring.batching.compare import difference
from inference_server.scoring.batching.merger import Merger
from inference_server.scoring.batching.payload import Payload, described
from inference_server.scoring.batching.proof import AGAIN, PROVEN, PROVING, REFUSED, Proof
from inference_server.scoring.batching.samples import Sample, Samples
from inference_server.scoring.channel import Channel, FrontGone, Record, record
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.limit import ScoringTimeout
from inference_server.scoring.request import Request
from inference_server.scoring.results import answer as answer_of
from inference_server.scoring.script import Script

logger = logging.getLogger("azmlinfsrv")

EACH = 4  # answered requests, then a comparison; sooner where nobody waits
TELL_SECONDS = 1.0  # between two reports while the proof goes on
FAILURES = 3  # second calls in turn that fail

Call = Callable[[Callable[..., Any], Dict[str, Any]], Any]


class Prover:
    """Drives one Proof. `call` calls a function under the scoring limit.

    Each method that calls run() is to be called when all answers have left, and takes as long as that call.
    """

    def __init__(
        self, channel: Channel, config: ScoringConfig, script: Script, merger: Merger, call: Call
    ) -> None:
        self._channel = channel
        self._config = config
        self._script = script
        self._merger = merger
        self._call = call
        self.proof = Proof(merger.max_batch_size)
        self._samples = Samples()
        self._new = 0
        self.company = Company()
        self._repeat_failures = 0
        self._learned: Set[int] = set()  # rows of single calls that the merger has learned from
        self._told = 0.0
        self._told_rows = 0

    # ------------------------------------------------------------ what is fed in

    @property
    def merges(self) -> bool:
        """Whether any requests may share a call."""
        return self.proof.equal_rows > 1

    @property
    def refused(self) -> bool:
        """Whether none ever may."""
        return self.proof.state == REFUSED

    @property
    def wants_samples(self) -> bool:
        proof = self.proof
        return proof.state == PROVING or (proof.state == PROVEN and proof.rows < proof.most)

    def add(self, request: Record, answer: Answer) -> None:
        """`request` was answered by a call of its own."""
        if not isinstance(answer.body, bytes):
            self._refuse("run() streams its answers, and a stream cannot be split")
            return
        if answer.status != 200:
            return
        self.proof.different += self._samples.add(request, answer)
        self._new += 1

    def shared(self, request: Record, answer: Answer) -> None:
        """`request` was answered in the company of equal ones, while different ones may not share a call yet."""
        if self.proof.state == PROVING and isinstance(answer.body, bytes) and answer.status == 200:
            if request not in self._samples:
                self.proof.different += self._samples.add(request, answer)
            self._new += 1

    def due(self, idle: bool) -> bool:
        """Whether `compare` has something to do; `idle`: no request is at hand."""
        if self.proof.state == PROVING:
            return self._new > 0 and (idle or self._new >= EACH)
        return len(self._samples) > 1 and self.proof.next(mixed=True) is not None

    def verdict(self, facts: Dict[str, Any]) -> None:
        """What the workers of this script have found together, from the front, which has logged it."""
        if facts["state"] == REFUSED:
            if self.proof.state != REFUSED:
                self.proof.refuse(str(facts["why"]))
                self._samples.clear()
            return
        self.proof.accept(int(facts.get("rows") or self._merger.max_batch_size))
        self._told_rows = max(self._told_rows, self.proof.rows)

    def fails_merged(self, key: Hashable, failed: BaseException) -> None:
        """A merged call for callers failed, and each of its requests succeeded alone."""
        if self.company.fails(key):
            self._refuse(
                f"merged calls fail ({described(failed)}), though none of their requests fails alone"
            )

    # ------------------------------------------------------------ comparing

    def compare(self) -> None:
        """Make one comparison, if one is due and affordable."""
        self._new = 0
        group = self._samples.group(self._payload, self.proof.most, self.company.bad)
        if not group:
            return
        rows = self.proof.next(mixed=len(group) > 1)
        if rows is None:
            return
        self._channel.cells[wire.CHECKING] = 1
        began, counted = perf_counter(), self.proof.spent
        try:
            if rows == AGAIN:
                # with another number of rows than before, where there is one: see _learn
                self._repeat(next((one for one in group if one.rows not in self._learned), group[-1]))
            else:
                self._merge(self._samples.choose(group, rows))
        finally:
            self._channel.cells[wire.CHECKING] = 0
            counted = self.proof.spent - counted
            if counted >= 0:  # else a verdict has closed the account
                self.proof.wasted(perf_counter() - began - counted)  # decoding, encoding, comparing
        self._report()
        if not self.wants_samples:
            self._samples.clear()

    def sample(self, company: Sequence[Record], at: int, answer: Answer) -> None:
        """Run request `at` of a merged call, which got `answer`, alone."""
        self._channel.cells[wire.CHECKING] = 1
        try:
            began = perf_counter()
            alone = self._alone(company[at])
            seconds = perf_counter() - began
        finally:
            self._channel.cells[wire.CHECKING] = 0
        why = difference(alone, answer) if alone is not None else ""
        if not why or alone is None:
            self.proof.sampled(seconds)
            return
        self._refuse(
            f"run() gave a request another answer in company than alone: {why}",
            repro.Mismatch(why, [_sent(one) for one in company], at, alone, answer),
        )

    def _payload(self, request: Record) -> Optional[Payload]:
        try:
            return self._merger.payload(_request(request))
        except Exception:
            return None

    def _alone(self, request: Record, learn: bool = False) -> Optional[Answer]:
        """The answer of a single call; None when it failed."""
        try:
            arguments = self._script.arguments(_request(request))
            result = self._call(self._script.run, arguments)
            if learn:
                self._learn(request, result)
            return answer_of(result)
        except FrontGone:
            raise
        except BaseException:
            return None

    def _learn(self, request: Record, result: Any) -> None:
        """Show the merger what a single call gives: a list that has as many items for other numbers of rows is none
        of rows."""
        payload = self._payload(request)
        if payload is not None:
            self._learned.add(payload.rows)
            self._merger.split(result, [payload])

    def _repeat(self, sample: Sample) -> None:
        began = perf_counter()
        again = self._alone(sample.record, learn=True)
        seconds = perf_counter() - began
        if again is None:
            self.proof.wasted(seconds)
            self._repeat_failures += 1
            if self._repeat_failures >= FAILURES:  # once may be chance
                self._refuse("run() fails when it is called again with an input that it has answered")
            return
        why = difference(sample.answer, again)
        if why:
            self._refuse(
                f"run() gives different answers to the same input: {why}",
                repro.Mismatch(why, [_sent(sample.record)], 0, sample.answer, again),
            )
            return
        self._repeat_failures = 0
        self.proof.repeated(seconds)

    def _merge(self, chosen: Sequence[Sample]) -> None:
        rows = sum(sample.rows for sample in chosen)
        began = perf_counter()
        try:
            answers, seconds = self._merged(chosen)
        except FrontGone:
            raise
        except BaseException as error:
            spent = perf_counter() - began
            if isinstance(error, ScoringTimeout) or too_big(error):
                release()
                self.proof.limit(rows // 2, spent)
            else:
                self._spoiled(chosen, error, spent)
            return
        for at, (sample, answer) in enumerate(zip(chosen, answers)):
            why = difference(sample.answer, answer)
            if why:
                self._refuse(
                    f"run() gave a request another answer in company than alone: {why}",
                    repro.Mismatch(why, [_sent(one.record) for one in chosen], at, sample.answer, answer),
                )
                return
        self.company.does_well(chosen[0].key)
        bodies = len({id(sample) for sample in chosen})
        kinds = len({sample.answer.body for sample in chosen})
        self.proof.merged(rows, len(chosen), bodies, kinds, seconds)

    def _spoiled(self, chosen: Sequence[Sample], error: BaseException, spent: float) -> None:
        """A merged call failed. One of its requests may have done that, so smaller company is tried; two of whom
        one did are not used again."""
        if len(chosen) > 2:
            self.proof.wasted(spent)
            middle = (len(chosen) + 1) // 2
            for half in (chosen[:middle], chosen[middle:]):
                if len(half) > 1 and self.proof.state != REFUSED:
                    self._merge(half)
            return
        self.proof.wasted(spent)
        if self.company.fails(chosen[0].key):
            why = f"run() failed on the rows of two requests at once: {described(error)}"
            sent = [_sent(sample.record) for sample in chosen]
            self._refuse(why, repro.Mismatch(why, sent, 0, chosen[0].answer, None))
        self._samples.discard(chosen)

    def _merged(self, chosen: Sequence[Sample]) -> Tuple[List[Answer], float]:
        """The answers of a merged call, and the seconds of run()."""
        merger = self._merger
        payloads = []
        for sample in chosen:  # decoded anew: run() may have changed what it was given
            payload = merger.payload(_request(sample.record))
            assert payload is not None
            payloads.append(payload)
        arguments = merger.arguments(payloads)
        began = perf_counter()
        result = self._call(merger.run, arguments)
        seconds = perf_counter() - began
        return [answer_of(part) for part in merger.split(result, payloads)], seconds

    # ------------------------------------------------------------ what came of it

    def _refuse(self, why: str, mismatch: Optional[repro.Mismatch] = None) -> None:
        if self.proof.state == REFUSED:
            return
        path = ""
        if mismatch is not None:
            path = repro.save(self._config.proof_dir, self._script.file, self._config._asdict(), mismatch)
        self.proof.refuse(why)
        self._samples.clear()
        logger.warning(
            "Requests are not merged: %s%s", why, f". Kept to be run again: {path}" if path else ""
        )
        self._tell(REFUSED, path)

    def _report(self) -> None:
        proof = self.proof
        if proof.state == PROVEN and proof.rows > self._told_rows:
            if not self._told_rows:
                logger.info(
                    "Rows of different requests share run() calls from now on: %d answers were as alone",
                    proof.agreed,
                )
            self._told_rows = proof.rows
            self._tell("agreed")
        elif proof.state == PROVING and monotonic() - self._told >= TELL_SECONDS:
            self._tell(PROVING)

    def _tell(self, state: str, path: str = "") -> None:
        proof = self.proof
        self._told = monotonic()
        facts = {
            "state": state,
            "agreed": proof.agreed,
            "requests": proof.requests,
            "rows": proof.rows,
            "same": state == PROVING and self.merges,
            "why": proof.why,
            "repro": path,
        }
        body = json.dumps(facts).encode()
        self._channel.put(record(wire.PROOF, body=len(body)), b"", body)
        self._channel.flush()


def _request(request: Record) -> Request:
    return Request(wire.METHODS[request.method], request.query, request.body, request.meta)


def _sent(request: Record) -> repro.Sent:
    method = wire.METHODS[request.method]
    return repro.Sent(method, request.query, request.meta, bytes(request.body))
