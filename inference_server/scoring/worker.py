"""A worker: one loaded score.py, one loop that takes requests and gives answers."""

from __future__ import annotations

import json
import logging
import os
from time import monotonic_ns
from typing import Any, Callable, Dict, Optional, Tuple

from inference_server.scoring import errors, records, wire
from inference_server.scoring.channel import Channel, FrontGone, Record, record
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.importing import imported
from inference_server.scoring.limit import ScoringLimit, ScoringTimeout
from inference_server.scoring.redaction import redacted
from inference_server.scoring.request import Request
from inference_server.scoring.results import Answer
from inference_server.scoring.results import answer as answer_of
from inference_server.scoring.script import Script
from inference_server.scoring.stream import NextControl, send_stream

logger = logging.getLogger("azmlinfsrv")

# An answer, the milliseconds of run() if its value could be turned into one, the microseconds of decoding the
# request before it and of encoding the value after it.
Timed = Tuple[Answer, Optional[float], float, float]


class Worker:
    """Owns the script and the channel; run() is called on the main thread, one request at a time."""

    def __init__(self, channel: Channel, config: ScoringConfig, script: Script) -> None:
        self.channel = channel
        self.config = config
        self.script = script
        self._limit = ScoringLimit(config.scoring_timeout_ms, channel)
        channel.before_wait = self._limit.rest
        self._run = script.run
        self._collects = config.app_insights_enabled and config.mdc_storage_enabled

    def serve(self) -> None:
        """Until the front says stop. Raises FrontGone when it is no longer there."""
        channel = self.channel
        while True:
            record = channel.next()
            if record.kind == wire.SCORE:
                self.score(record)
            elif record.kind == wire.STOP:
                channel.flush()
                return

    def score(self, request: Record) -> None:
        """One request, from its record to its answer."""
        channel = self.channel
        seq = request.seq
        taken = channel.take(seq)
        if not taken:
            channel.put(record(wire.WITHDRAWN, seq))
            return
        answer, exec_ms, decode_us, encode_us = self._answer(request, taken)
        body = answer.body
        if isinstance(body, bytes) and channel.mine:  # as `_give` does, without the call: nearly all end here
            channel.put(*pack_head(wire.ANSWER, seq, answer, len(body), exec_ms, decode_us, encode_us), body)
            return
        self._give(seq, answer, exec_ms, decode_us, encode_us)

    def _give(
        self,
        seq: int,
        answer: Answer,
        exec_ms: Optional[float],
        decode_us: float,
        encode_us: float,
        before: bytes = b"",
    ) -> None:
        """Send an answer, after the records `before` in one write with it; of a stream, send all of it."""
        channel = self.channel
        if not channel.mine:  # run() forked, and this is the child: the answer is its parent's to give
            os._exit(0)
        body = answer.body
        if isinstance(body, bytes):
            head, headers = pack_head(wire.ANSWER, seq, answer, len(body), exec_ms, decode_us, encode_us)
            channel.put(before + head, headers, body)
            return
        head, headers = pack_head(wire.STREAM, seq, answer, 0, exec_ms)
        channel.put(before + head, headers)
        broke = send_stream(channel, seq, body, self._control_of(seq))
        if broke is not None:
            self._tell_failure(seq, broke)

    def _control_of(self, seq: int) -> NextControl:
        return lambda wait: self.channel.next_control(seq, wait)

    def _answer(self, request: Record, taken: int) -> Timed:
        """The answer to what was taken at `taken`, and how long it took."""
        _, method, _, query, meta, body, _ = request
        cells = self.channel.cells
        try:
            arguments = self.script.arguments(Request(wire.METHODS[method], query, body, meta))
        except errors.BadInput as refused:
            return refused.answer, None, 0.0, 0.0
        except BaseException as error:
            return self._internal(error), None, 0.0, 0.0
        began = cells[wire.BEGAN] = monotonic_ns()
        decode_us = (began - taken) * 1e-3
        try:
            result = self._limit.run(self._run, arguments)
        except BaseException as error:
            return self._failed(request.seq, error), None, decode_us, 0.0
        ended = monotonic_ns()
        exec_ms = (ended - began) * 1e-6
        cells[wire.BEGAN] = 0
        try:
            answer = answer_of(result)
        except errors.Unserializable as error:
            return self._internal(error), None, decode_us, 0.0
        except BaseException as error:
            self._tell_failure(request.seq, error)
            return errors.script_failed(error), None, decode_us, 0.0
        encode_us = (monotonic_ns() - ended) * 1e-3
        if self._collects and answer.status < 400:
            self._collect(request.seq, arguments, result)
        return answer, exec_ms, decode_us, encode_us

    def _failed(self, seq: int, error: BaseException) -> Answer:
        """The answer to a request whose run() raised; the log has the story."""
        self._tell_failure(seq, error)
        if not isinstance(error, (ScoringTimeout, TimeoutError)):
            return errors.script_failed(error)
        answer = errors.timed_out(self.config.scoring_timeout_ms)
        # a script may raise TimeoutError for its own reasons
        answer.timed_out = isinstance(error, ScoringTimeout)
        return answer

    def _collect(self, seq: int, arguments: Dict[str, Any], result: Any) -> None:
        """Model data collection: what run() got and what it gave."""
        self._tell(seq, lambda: records.of_model_data(self._inputs(arguments), result))

    def _inputs(self, arguments: Dict[str, Any]) -> Any:
        """What collected data shows as the input: the plain argument, or all of them in schema mode."""
        plain = {name: value for name, value in arguments.items() if name != "request_headers"}
        return plain if self.script.mode == "schema" else next(iter(plain.values()), None)

    def _internal(self, error: BaseException) -> Answer:
        summary, detail = errors.describe_failure(error)
        # Of a result with no JSON form the one line says all; the traceback would show our own code only.
        more = "" if isinstance(error, errors.Unserializable) else "\n" + detail
        logger.error("Encountered Exception: %s%s", summary, more)
        return errors.internal_error(error)

    def _tell_failure(self, seq: int, error: BaseException) -> None:
        """The whole story goes to the log, and to the exporters; the caller sees a fixed text."""
        self._log_failure(error)
        if self.config.app_insights_enabled:
            self._tell(seq, lambda: records.of_exception(error))
        if self.config.tells_failures:
            self._tell(seq, lambda: records.of_failure(error))

    def _log_failure(self, error: BaseException) -> None:
        logger.error("%s", errors.failure_log(error))

    def _tell(self, seq: int, made: Callable[[], Dict[str, Any]]) -> None:
        """Give the front's exporters what `made` returns; where it fails, that is logged and the request goes on."""
        try:
            send_entry(self.channel, seq, made())
        except FrontGone:
            raise
        except Exception as error:
            logger.warning("Telemetry of a request was lost: %s", type(error).__name__)


def send_entry(channel: Channel, seq: int, entry: Dict[str, Any]) -> None:
    """Give the front's exporters a record about request `seq` (0: none)."""
    body = redacted(json.dumps(entry)).encode()
    channel.put(record(wire.LOG, seq, body=len(body)), b"", body)


def pack_head(
    kind: int,
    seq: int,
    answer: Answer,
    body_bytes: int,
    exec_ms: Optional[float],
    decode_us: float = 0.0,
    encode_us: float = 0.0,
) -> Tuple[bytes, bytes]:
    """The record header of an answer, and its header block of CRLF-ended lines."""
    flags = 0 if answer.failed is None else wire.FAILED_TRUE if answer.failed else wire.FAILED_FALSE
    if exec_ms is not None:
        flags |= wire.HAS_EXEC_MS
    elif answer.timed_out:
        flags |= wire.TIMED_OUT
    content_type = wire.CONTENT_TYPE_CODES.get(answer.content_type)
    lines = answer.headers
    if content_type is None:
        lines = [("Content-Type", answer.content_type), *lines]
        content_type = 0
    headers = b""
    if lines:
        headers = "".join([f"{name}: {value}\r\n" for name, value in lines]).encode("latin-1")
    head = wire.TO_FRONT.pack(
        kind,
        flags,
        content_type,
        seq,
        answer.status,
        exec_ms or 0.0,
        decode_us,
        encode_us,
        len(headers),
        body_bytes,
    )
    return head, headers


def describe(script: Script, config: ScoringConfig, **more: Any) -> bytes:
    """What the front must know of a loaded script, and `more`: the body of READY."""
    facts = {
        "pid": os.getpid(),
        "mode": script.mode,
        "needs_headers": script.needs_headers,
        "needs_content_type": script.needs_content_type,
        "accepts_options": script.accepts_options,
        "accepts_head": script.accepts_head,
        "swaggers": script.swaggers,
        "files": imported(config),
        **more,
    }  # type: Dict[str, Any]
    return json.dumps(facts).encode()
