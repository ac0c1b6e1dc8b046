"""The run() calls of a worker that batches: their answers, and what becomes of a call that fails."""

from __future__ import annotations

import logging
import os
import random
from time import monotonic, monotonic_ns
from typing import Any, List, Optional, Sequence, Tuple

from inference_server.scoring import errors, wire
from inference_server.scoring.batching.caps import Caps, release, too_big
from inference_server.scoring.batching.cuts import Cuts
from inference_server.scoring.batching.merger import ROWS, Merger
from inference_server.scoring.batching.payload import NotSplittable, Payload, described
from inference_server.scoring.batching.poison import Fingerprints, Parts
from inference_server.scoring.batching.prover import Prover
from inference_server.scoring.channel import Channel, FrontGone, Record, record
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.limit import ScoringTimeout
from inference_server.scoring.request import Request
from inference_server.scoring.results import Answer
from inference_server.scoring.results import answer as answer_of
from inference_server.scoring.script import SCHEMA, Script
from inference_server.scoring.worker import Timed, Worker, pack_head

logger = logging.getLogger("azmlinfsrv")

Item = Tuple[Record, Payload]

RECOVERY_SECONDS = 10.0  # a failed batch is taken apart by halves for so long; the rest then goes one by one


class BatchCalls(Worker):
    """Makes merged calls and single ones. Which requests share a call is settled elsewhere."""

    def __init__(self, channel: Channel, config: ScoringConfig, script: Script, merger: Merger) -> None:
        super().__init__(channel, config, script)
        self._merger = merger
        self.caps = Caps(merger.max_batch_size)
        self._poison = Fingerprints()
        self._cuts = Cuts()
        # Decoded inputs that run() may have changed before it raised; text cannot be changed.
        self._mutable = script.mode == SCHEMA
        self._reexecutes = config.batch_reexecution and merger.reexecute
        self._prover: Optional[Prover] = None  # None: rows are merged without proof, or there are none
        if merger.way == ROWS and config.batch_proof:
            self._prover = Prover(channel, config, script, merger, self._limit.run)
        self._called = b""  # the record of the single call that is being answered
        self._reason = wire.IDLE  # why the single call being made has no company
        # A call of which one request is to be run alone when all answers have left, and that request's place
        self._sample: Optional[Tuple[List[Record], int, Answer]] = None

    def _wanted(self, request: Record) -> bool:
        """Whether somebody still waits for it; else it is done with."""
        if not self.channel.left[request.seq % wire.LEFT_SLOTS]:
            return True
        self.channel.put(record(wire.WITHDRAWN, request.seq))
        return False

    # ------------------------------------------------------------ single calls

    def _alone(self, request: Record, reason: int) -> bool:
        """One request, called as without batching. Whether run() succeeded."""
        seq = request.seq
        cells = self.channel.cells
        if request.method & wire.LONE:
            request = request._replace(method=request.method & ~wire.LONE)
        cells[wire.ALONE] = seq
        cells[wire.BEGAN] = 0
        cells[wire.TAKEN] = taken = monotonic_ns()
        self._reason = reason
        timed = self._answer(request, taken)
        answer = timed[0]
        called, self._called = self._called, b""
        self._give(seq, *timed, before=called)  # one write: the front is not woken twice
        cells[wire.ALONE] = 0
        if answer.failed:
            return False
        if self._prover is not None and self._prover.wants_samples:
            self._prover.add(request, answer)
        return True

    def _answer(self, request: Record, taken: int) -> Timed:
        """As without batching; the front is to be told of this call, with the answer."""
        timed = super()._answer(request, taken)
        exec_ms = timed[1]
        if exec_ms is not None and self.channel.mine:
            seconds = exec_ms * 1e-3
            self._called = _batch_record(
                request.seq, 1, 0, seconds, timed[2] * 1e-6, timed[3] * 1e-6, self._reason
            )
            self._cuts.ran(1, seconds)
            if self._prover is not None:
                self._prover.proof.worked(1, seconds)
        return timed

    # ------------------------------------------------------------ merged calls

    def _answer_all(self, items: List[Item], reason: int, decode: float) -> None:
        """Requests that share a call, from there to their answers. `decode`: seconds since they were taken."""
        if len(items) == 1 and self._merger.way == ROWS:
            self._alone(items[0][0], reason)
            return
        error = self._attempt(items, reason, decode)
        if error is not None:
            self._recover(items, error)

    def _attempt(self, items: Sequence[Item], reason: int, decode: float) -> Optional[BaseException]:
        """Call run() for all `items` and give their answers; returns what it raised instead."""
        channel, merger = self.channel, self._merger
        cells = channel.cells
        payloads = [payload for _, payload in items]
        cells[wire.ALONE] = items[0][0].seq if len(items) == 1 else 0
        cells[wire.BEGAN] = 0
        cells[wire.TAKEN] = taken = monotonic_ns()
        failed: Optional[BaseException] = None
        values: List[Any] = []
        began = ended = 0
        try:
            arguments = merger.arguments(payloads)
            cells[wire.BEGAN] = began = monotonic_ns()
            result = self._limit.run(merger.run, arguments)
            ended = monotonic_ns()
            values = merger.split(result, payloads)
        except FrontGone:
            raise
        except BaseException as error:
            failed = error
        cells[wire.BEGAN] = 0
        (self._cuts.raised if failed else self._cuts.ran)(len(items), (monotonic_ns() - taken) * 1e-9)
        if not channel.mine:  # run() forked, and this is the child
            os._exit(0)
        if failed is not None:
            return failed
        answers = self._encode(items, values)
        encoded = monotonic_ns()
        decode += (began - taken) * 1e-9
        times = ((ended - began) * 1e-9, decode, (encoded - ended) * 1e-9)
        self._give_all(items, answers, times, reason)
        cells[wire.ALONE] = 0
        self._learn(items, answers, times[0])
        if self._collects:
            self._collect_all(items, answers, values)
        return None

    def _encode(self, items: Sequence[Item], values: Sequence[Any]) -> List[Answer]:
        answers = []
        for (request, _), value in zip(items, values):
            if isinstance(value, BaseException):  # run_batch() gave it in the place of a result
                answers.append(self._failed(request.seq, value))
                continue
            try:
                answers.append(answer_of(value))
            except errors.Unserializable as error:
                answers.append(self._internal(error))
            except BaseException as error:
                answers.append(self._failed(request.seq, error))
        return answers

    def _give_all(
        self,
        items: Sequence[Item],
        answers: Sequence[Answer],
        times: Tuple[float, float, float],
        reason: int,
    ) -> None:
        """The answers of one call, many in one write."""
        run, decode, encode = times
        exec_ms, decode_us, encode_us = run * 1e3, decode * 1e6, encode * 1e6
        rows = sum([payload.rows for _, payload in items])
        pieces = [_batch_record(items[-1][0].seq, len(items), rows, run, decode, encode, reason)]
        streams: List[Tuple[int, Answer]] = []
        for (request, _), answer in zip(items, answers):
            body = answer.body
            if not isinstance(body, bytes):
                streams.append((request.seq, answer))
                continue
            timed = None if answer.failed or answer.status == 500 else exec_ms
            pieces += pack_head(wire.ANSWER, request.seq, answer, len(body), timed, decode_us, encode_us)
            pieces.append(body)
        self.channel.put(b"".join(pieces))
        for seq, answer in streams:  # each until its end: the front knows no two at a time
            self._give(seq, answer, exec_ms, decode_us, encode_us)

    def _learn(self, items: Sequence[Item], answers: Sequence[Answer], seconds: float) -> None:
        if self.caps:
            self.caps.fitted(items[0][1].key, sum([payload.rows for _, payload in items]))
        if self._prover is not None and len(items) > 1:
            proof = self._prover.proof
            proof.worked(len(items), seconds)
            self._prover.company.does_well(items[0][1].key)
            self._prover.shared(items[0][0], answers[0])
            if proof.sample_due():
                at = random.randrange(len(items))
                self._sample = ([request for request, _ in items], at, answers[at])

    def _collect_all(self, items: Sequence[Item], answers: Sequence[Answer], values: Sequence[Any]) -> None:
        """Model data collection shows each request as if it had been called alone."""
        for (request, _), answer, value in zip(items, answers, values):
            if answer.status < 400:
                self._collect(request.seq, self.script.arguments(self._request(request)), value)

    @staticmethod
    def _request(request: Record) -> Request:
        return Request(wire.METHODS[request.method], request.query, request.body, request.meta)

    # ------------------------------------------------------------ when a call fails

    def _recover(self, items: List[Item], error: BaseException) -> None:
        """A call failed: whoever can get an answer does, and only those at fault their error."""
        if len(items) == 1 or not self._reexecutes:
            self._fail_all(items, error)
        elif too_big(error):
            self._run_smaller(items)
        else:
            faults = self._isolate(items, error)
            logger.warning(
                "A run() call for %d requests failed (%s). They were run again in parts: %d failed alone.",
                len(items),
                described(error),
                faults,
            )
            if not faults and self._prover is not None and not isinstance(error, ScoringTimeout):
                self._prover.fails_merged(items[0][1].key, error)

    def _log_failure(self, error: BaseException) -> None:
        if isinstance(error, NotSplittable):  # one line says all: a traceback would show our own code only
            logger.error("Encountered Exception: %s", error)
        else:
            super()._log_failure(error)

    def _fail_all(self, items: Sequence[Item], error: BaseException) -> None:
        """One account in the log, an error for each."""
        answer = self._failed(items[0][0].seq, error)
        if len(items) > 1:
            logger.warning(
                "%d requests shared this run() call and get its error: none is run again, as was asked for",
                len(items),
            )
        for request, _ in items:
            self._give(request.seq, answer, None, 0.0, 0.0)
        self.channel.cells[wire.ALONE] = 0

    def _run_smaller(self, items: List[Item]) -> None:
        """The device's memory was short: fewer rows at a time, now and later."""
        release()
        key = items[0][1].key
        rows = sum([payload.rows for _, payload in items])
        cap = self.caps.failed(key, rows)
        logger.warning("%d rows did not fit into memory: no more than %d go into a run() call", rows, cap)
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            again = self._again(half)
            if again:
                self._answer_all(again, wire.SPLIT, 0.0)

    def _isolate(self, items: List[Item], error: BaseException) -> int:
        """Run the parts of a failed call; returns how many requests failed alone."""
        parts = Parts(len(items), self._cuts.first)
        if isinstance(error, ScoringTimeout):
            parts.singly()
        until = monotonic() + min(RECOVERY_SECONDS, (self.config.scoring_timeout_ms or 1e9) / 1000)
        faults = 0
        while True:
            span = parts.next()
            if span is None:
                return faults
            part = self._again(items[span[0] : span[1]])
            succeeded = not part or self._run_part(part, parts)
            if not succeeded and len(part) == 1:
                faults += 1
                self._poison.add(part[0][0].body, monotonic())
            parts.told(succeeded)
            if monotonic() > until:
                parts.singly()

    def _run_part(self, part: List[Item], parts: Parts) -> bool:
        if len(part) == 1 and self._merger.way == ROWS:
            return self._alone(part[0][0], wire.SPLIT)
        error = self._attempt(part, wire.SPLIT, 0.0)
        if error is None:
            return True
        if len(part) == 1:
            self._fail_all(part, error)
        elif isinstance(error, ScoringTimeout):
            parts.singly()
        return False

    def _again(self, items: Sequence[Item]) -> List[Item]:
        """Those that somebody still waits for, ready for another call."""
        again = []
        for request, payload in items:
            if self._wanted(request):
                fresh = self._merger.payload(self._request(request)) if self._mutable else payload
                assert fresh is not None
                again.append((request, fresh))
        return again


def _batch_record(
    seq: int, requests: int, rows: int, run: float, decode: float, encode: float, reason: int
) -> bytes:
    body = wire.BATCH_FACTS.pack(requests, rows, run, decode, encode, reason)
    return record(wire.BATCH, seq, body=len(body)) + body
