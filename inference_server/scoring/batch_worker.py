"""A worker that answers several requests with one run() call."""

from __future__ import annotations

import json
from time import monotonic, monotonic_ns
from typing import Dict, Hashable, Iterator, List, Sequence, Tuple

from inference_server.scoring import errors, wire
from inference_server.scoring.batch_calls import BatchCalls, Item
from inference_server.scoring.batching.buckets import cut
from inference_server.scoring.batching.merger import ROWS
from inference_server.scoring.batching.prover import Prover
from inference_server.scoring.channel import Record, record
from inference_server.scoring.request import Request
from inference_server.scoring.worker import Worker


class BatchWorker(BatchCalls):
    """Takes all that has come when it is free, merges what may share a call, and gives each its own answer.

    While rows are not proven (see `batching.proof`) it takes one at a time; when they never will be, it serves as
    any worker does, and costs no more.
    """

    # ------------------------------------------------------------ taking

    def serve(self) -> None:
        """Until the front says stop. Raises FrontGone when it is no longer there."""
        channel, prover, most = self.channel, self._prover, self._merger.max_batch_size
        while True:
            if prover is None or prover.merges:
                found = channel.gather(most, self.config.max_batch_bytes)
            else:
                found = [channel.next()]
            scores = [one for one in found if one.kind == wire.SCORE]
            if len(scores) < len(found):
                self._hear(found)
            last = found[-1].kind == wire.STOP
            if scores:
                self._take(scores, last)
            if last:
                channel.flush()
                return
            if prover is not None:
                self._prove(prover)
                if prover.refused:
                    self._limit.rest()  # the timer is another's from now on
                    Worker(channel, self.config, self.script).serve()
                    return

    def _hear(self, found: Sequence[Record]) -> None:
        for one in found:
            if one.kind == wire.VERDICT and self._prover is not None:
                self._prover.verdict(json.loads(one.body))

    def _prove(self, prover: Prover) -> None:
        """Compare, now that answers were given: they leave first."""
        sample, self._sample = self._sample, None
        if sample is not None:
            self.channel.flush()
            prover.sample(*sample)
        elif prover.due(not self.channel.at_hand):
            self.channel.flush()
            prover.compare()

    def _take(self, scores: List[Record], last: bool) -> None:
        """Answer all of `scores`; `last`: no more will come."""
        channel = self.channel
        taken = channel.take(scores[-1].seq)
        if not taken or (self._prover is not None and not self._prover.merges):
            self._singly(scores)
            return
        if len(scores) == 1 and self._merger.way == ROWS:
            if self._wanted(scores[0]):
                self._alone(scores[0], wire.DRAIN if last else wire.IDLE)
            return
        groups, alone = self._decode(scores)
        decode = (monotonic_ns() - taken) * 1e-9
        left_because = self._why_no_more(scores, last)
        for request in alone:
            self._alone(request, wire.SPLIT)
        for items in groups:
            for part, reason in self._parts(items, left_because if len(groups) == 1 else wire.SHAPE):
                self._answer_all(part, reason, decode)
        channel.flush()

    def _singly(self, scores: List[Record]) -> None:
        """Where nothing may be merged, and where the front has withdrawn requests."""
        withdrawn = self.channel.cells[wire.WITHDRAW]
        for request in scores:
            if withdrawn and request.seq >= withdrawn:
                self.channel.put(record(wire.WITHDRAWN, request.seq))
            elif self._wanted(request):
                self._alone(request, wire.PROVING)

    def _why_no_more(self, scores: Sequence[Record], last: bool) -> int:
        if last:
            return wire.DRAIN
        if len(scores) >= self._merger.max_batch_size:
            return wire.FULL
        if sum([len(request.body) for request in scores]) >= self.config.max_batch_bytes:
            return wire.BYTES
        return wire.IDLE

    # ------------------------------------------------------------ what may share a call

    def _decode(self, scores: Sequence[Record]) -> Tuple[List[List[Item]], List[Record]]:
        """Requests that may share a call, by key in order of arrival, and those that run alone. Those that cannot
        be decoded have their answer."""
        groups: Dict[Hashable, List[Item]] = {}
        alone: List[Record] = []
        left = self.channel.left
        make = self._merger.payload
        poison = self._poison
        suspects = bool(poison)
        now = monotonic() if suspects else 0.0
        methods = wire.METHODS
        equal = self._only_equal
        bad = self._prover.company.bad if self._prover is not None else None
        for request in scores:
            _, method, seq, query, meta, body, _ = request
            if left[seq % wire.LEFT_SLOTS] and not self._wanted(request):
                continue
            try:
                payload = make(Request(methods[method], query, body, meta))
            except errors.BadInput as refused:
                self._give(seq, refused.answer, None, 0.0, 0.0)
                continue
            except BaseException as error:
                self._give(seq, self._internal(error), None, 0.0, 0.0)
                continue
            if payload is None or method & wire.LONE or (suspects and poison.known(body, now)):
                if payload is not None and self._merger.way != ROWS:
                    groups["alone", seq] = [(request, payload)]
                else:
                    alone.append(request)
                continue
            if bad and payload.key in bad:
                alone.append(request)
                continue
            key = (payload.key, bytes(body)) if equal else payload.key
            group = groups.get(key)
            if group is None:
                groups[key] = [(request, payload)]
            else:
                group.append((request, payload))
        return list(groups.values()), alone

    @property
    def _only_equal(self) -> bool:
        """Whether it is not proven yet that different requests may share a call."""
        return self._prover is not None and self._prover.proof.rows == 1

    def _parts(self, items: List[Item], left_because: int) -> Iterator[Tuple[List[Item], int]]:
        """Requests of one key, cut into calls, and why each has no more rows."""
        most = self.caps.rows(items[0][1].key) if self.caps else self._merger.max_batch_size
        if self._prover is not None:
            proof = self._prover.proof
            most = min(most, proof.equal_rows if self._only_equal else proof.rows)
        payloads = [payload for _, payload in items]
        calls = cut(payloads, most)
        for at, call in enumerate(calls):
            yield [items[index] for index in call], wire.FULL if at + 1 < len(calls) else left_because
