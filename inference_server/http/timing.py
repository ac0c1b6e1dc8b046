"""The `Server-Timing` header: where the time of this request went until its answer was rendered.

    Server-Timing: parse;dur=0.000, queue;dur=0.112;desc="idle", channel;dur=0.090, decode;dur=0.051,
        run;dur=1.870;desc="rows=32 requests=32", encode;dur=0.032, total;dur=2.155          (one line)

Durations are in milliseconds, as the W3C's Server Timing has them. The descriptions are there where requests are
batched: why the batch was no larger, and what it held. Writing is not in it: that comes after the header.
"""

from __future__ import annotations

from inference_server.messages import Answer, ScoringRequest
from inference_server.telemetry.names import BATCH_REASONS
from inference_server.telemetry.phases import phases


def line(request: ScoringRequest, answer: Answer, answered: float) -> bytes:
    """The header line, its CRLF included. `answered`: when the answer came, in monotonic seconds."""
    total = answered - request.arrived
    parse, queue, channel, decode, run, encode, _ = phases(
        total,
        0.0,
        request.arrived,
        request.received,
        request.sent,
        answer.decode_us,
        answer.exec_ms,
        answer.encode_us,
    )
    left = held = ""
    if (batch := request.batch) is not None:
        left = f';desc="{BATCH_REASONS[batch.reason]}"'
        rows = f"rows={batch.rows} " if batch.rows else ""
        held = f';desc="{rows}requests={batch.requests}"'
    found = f"Server-Timing: parse;dur={parse * 1000:.3f}, queue;dur={queue * 1000:.3f}{left}"
    if request.sent:
        found += (
            f", channel;dur={channel * 1000:.3f}, decode;dur={decode * 1000:.3f}"
            f", run;dur={run * 1000:.3f}{held}, encode;dur={encode * 1000:.3f}"
        )
    return f"{found}, total;dur={total * 1000:.3f}\r\n".encode("ascii")
