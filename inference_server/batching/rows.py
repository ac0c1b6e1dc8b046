"""How many rows a request has, predicted before anybody has decoded it. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from inference_server.messages import ScoringRequest

MEMORY = 0.95  # weight of all that was seen before when another batch is: about the last twenty count
TIE = 0.0001  # how much more it must explain that rows come with requests than that they come with bytes


class Rows:
    """Learns from what workers report of their batches; until the first one a request counts as one row.

    The rows that requests have beyond their first are taken as `per_request * requests + per_byte * bytes`,
    fitted by least squares over the recent batches. So a text of any length stays one row where every
    request was one, and a body twice as long has twice the rows where bytes tell.

    `exact` may know better from the head of a request (the header of a binary format): it returns the
    count, or 0 when it cannot tell.
    """

    def __init__(self, exact: Callable[[ScoringRequest], int] | None = None) -> None:
        self._exact = exact
        self._per_request = 0.0
        self._per_byte = 0.0
        # sums over batches of: requests², requests·bytes, bytes², more·requests, more·bytes
        self._rr = self._rb = self._bb = self._mr = self._mb = 0.0

    def observe(self, requests: int, rows: int, body_bytes: int) -> None:
        """A run() call served so many requests with so many rows, whose bodies were `body_bytes` together."""
        more = rows - requests
        self._rr = MEMORY * self._rr + requests * requests
        self._rb = MEMORY * self._rb + requests * body_bytes
        self._bb = MEMORY * self._bb + body_bytes * body_bytes
        self._mr = MEMORY * self._mr + more * requests
        self._mb = MEMORY * self._mb + more * body_bytes
        if not self._bb or (more == 0 and self._mb < 1.0):
            self._per_request, self._per_byte = self._mr / self._rr, 0.0
            return
        # The tie goes to bytes: where all bodies are of one size, both explain the same.
        determinant = self._rr * (1 + TIE) * self._bb - self._rb * self._rb
        per_request = (self._mr * self._bb - self._mb * self._rb) / determinant
        per_byte = (self._mb - per_request * self._rb) / self._bb
        if per_byte < 0:  # longer bodies, fewer rows: bytes say nothing
            per_request, per_byte = self._mr / self._rr, 0.0
        self._per_request, self._per_byte = per_request, per_byte

    def of(self, request: ScoringRequest) -> int:
        """The rows of one request, at least 1."""
        if self._exact is not None and (rows := self._exact(request)):
            return rows
        return self.of_body(request.body_bytes)

    def of_body(self, body_bytes: int) -> int:
        """The rows of a request of which only the length of the body is known, at least 1."""
        more = self._per_request + self._per_byte * body_bytes
        return 1 if more < 0.5 else round(1 + more)

    def of_many(self, requests: int, body_bytes: int) -> int:
        """The rows of all of them together, at least one each."""
        return max(requests, round(requests * (1 + self._per_request) + self._per_byte * body_bytes))
