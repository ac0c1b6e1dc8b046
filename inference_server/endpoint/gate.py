"""Who is let in: the bounds of the queue and the predicted wait, and how those predictions turned out."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from inference_server.batching.admission import Admission, Load
from inference_server.batching.queue import Queue
from inference_server.messages import Answer, ScoringRequest
from inference_server.workers.answers import TOO_LATE, refused, unavailable
from inference_server.workers.pool import Pool

FULL = "The server has as many waiting requests as it may hold. Try again later."
REFUSED = "The request was not taken in: {}. Try again later."


class Gate:
    """Decides from a body's length and a deadline alone, so the body need not have been read."""

    def __init__(
        self, queue: Queue, pool: Pool, admission: Admission, refused: Callable[[str], None]
    ) -> None:
        self.admission = admission
        self._queue = queue
        self._pool = pool
        self._refused = refused

    def refusal(self, body_bytes: int, deadline: float) -> Answer | None:
        """503 when the queue is full, 429 when the request would wait for too long; None: it may come in.

        Nothing of the body need have come yet. `deadline` is in monotonic seconds, 0.0 for none.
        """
        if not self._queue.fits(body_bytes):
            return unavailable(FULL)
        if not deadline and not self.admission.limited:
            return None
        return self._weighed(deadline, self._pool.rows_of_body(body_bytes), self._pool.load())

    def let_in(self, request: ScoringRequest) -> Answer | None:
        """As `refusal`; one that may come in is watched, so that predictions get better."""
        if not self._queue.fits(request.body_bytes):
            return unavailable(FULL)
        if not request.deadline and not self.admission.limited:
            return None
        rows, load = self._pool.rows_of_body(request.body_bytes), self._pool.load()
        answer = self._weighed(request.deadline, rows, load)
        if answer is None:
            forecast = self.admission.forecast(rows, load)
            if forecast.wait:
                self.admission.accuracy.expect(request, forecast)
                self._compare_when_answered(request)
        return answer

    def _weighed(self, deadline: float, rows: int, load: Load) -> Answer | None:
        no = self.admission.refuse(monotonic(), deadline, rows, load)
        if no is None:
            return None
        self._refused(no.reason)
        return refused(no.status, REFUSED.format(no.reason), no.retry_after)

    def _compare_when_answered(self, request: ScoringRequest) -> None:
        accuracy, reply, since = self.admission.accuracy, request.reply, monotonic()

        def answered(answer: Answer) -> None:
            request.reply = reply  # else the two would hold each other
            took = monotonic() - since
            if answer.exec_ms is not None:
                worked = answer.decode_us + answer.exec_ms * 1e3 + answer.encode_us
                accuracy.answered(request, took - worked * 1e-6, took)
            elif answer.status == TOO_LATE:
                accuracy.missed(request, took)
            else:
                accuracy.forget(request)
            reply(answer)

        request.reply = answered

    def left(self, request: ScoringRequest) -> None:
        """The caller has gone: what was predicted does not matter any more."""
        self.admission.accuracy.forget(request)
