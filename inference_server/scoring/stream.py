"""A streamed answer: the generator is pulled only as fast as its reader takes it."""

from __future__ import annotations

from time import monotonic_ns
from typing import Callable, Iterator, Optional

from inference_server.scoring import wire
from inference_server.scoring.channel import Channel, FrontGone, Record, record

PIECE_BYTES = 64 * 1024
LOOK_NS = 1000000  # how often a fast stream looks whether its reader has left

NextControl = Callable[[bool], Optional[Record]]


def send_stream(
    channel: Channel, seq: int, chunks: Iterator[bytes], next_control: NextControl
) -> Optional[BaseException]:
    """Send `chunks` after the head of stream `seq` has gone; returns what broke the stream, or None.

    `next_control(wait)` gives the front's CREDIT and CLOSE records for this stream. A reader that has left
    (CLOSE) or a front that is stopping (None while waiting) closes the generator. Memory stays bounded: at
    most wire.STREAM_CREDIT bytes are ahead of the reader. However it ends, the front is told, last of all: from
    then on it counts this worker as free.
    """
    broke: Optional[BaseException] = None
    complete = False
    try:
        complete = _send_all(channel, seq, chunks, next_control)
    except FrontGone:
        raise
    except BaseException as error:
        broke = error
    try:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    except BaseException as error:
        broke = broke or error
    channel.put(record(wire.END if complete else wire.BROKEN, seq))
    return broke


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A large item in pieces, so that credit bounds bytes and not items."""
    for chunk in chunks:
        if len(chunk) <= PIECE_BYTES:
            yield chunk
        else:
            for at in range(0, len(chunk), PIECE_BYTES):
                yield chunk[at : at + PIECE_BYTES]


def _send_all(channel: Channel, seq: int, chunks: Iterator[bytes], next_control: NextControl) -> bool:
    """Whether all went out; False: nobody wants the rest."""
    credit = wire.STREAM_CREDIT
    looked = 0
    for chunk in _pieces(chunks):
        if not chunk:
            continue  # an empty chunk would end a chunked body
        # Sent at once unless the last one went a moment ago; the front fetches what is left in the outbox.
        channel.put(record(wire.CHUNK, seq, body=len(chunk)), b"", chunk)
        credit -= len(chunk)
        now = monotonic_ns()
        if credit > 0 and now - looked < LOOK_NS:
            continue
        looked = now
        while True:
            control = next_control(credit <= 0)
            if control is None:
                if credit > 0:
                    break
                return False
            if control.kind == wire.CLOSE:
                return False
            credit += control.size
    return True
