"""The records that cross the channel between the front and a worker, and the shared page beside it.

Both directions are a plain byte stream of records: a fixed header, then the parts whose lengths it gives.
A *frame* is what one write carries: many records, one after the other. Only bytes, numbers and JSON cross;
nothing is unpickled. All numbers are little-endian.
"""

from __future__ import annotations

import struct

# On the loopback a worker shows who it is by the token its environment holds under this name.
TOKEN_VARIABLE = "AZMLINFSRV_CHANNEL_TOKEN"

# ---------------------------------------------------------------- front -> worker
# kind, method, seq (64 bits: a worker may serve for years), length of query, of meta, of body
TO_WORKER = struct.Struct("<BBQIIQ")

START = 1  # body: JSON of scoring.config.ScoringConfig; always the first record
SCORE = 2  # one request
CREDIT = 3  # seq may send `body length` more bytes of its stream (no body follows)
CLOSE = 4  # the caller of stream seq has left: close the generator
STOP = 5  # finish what is in hand, then exit 0
FORK = 6  # to a preload template only: fork a worker; two descriptors travel with this record
VERDICT = (
    7  # body: JSON {"state": "proven" | "refused", "why": str}: what this script's workers found together
)

_NAMES = ("", "GET", "POST", "OPTIONS", "HEAD")  # the index is what crosses
METHOD_CODES = {name: code for code, name in enumerate(_NAMES)}
LONE = 0x40  # beside the method of SCORE: never merge this request with another
METHODS = {code | lone: name for code, name in enumerate(_NAMES) for lone in (0, LONE)}  # of what crosses

# meta, when the script needs any: latin-1 lines joined by \n (a header can hold neither \n nor NUL)
#   target as received · HTTP version · scheme · server host:port · client host:port · request id
#   then `name: value` per header, names in lower case
META_LINES = 6

# ---------------------------------------------------------------- worker -> front
# kind, flags, content type code, seq, status, milliseconds of run(), microseconds of decoding, of encoding,
# length of headers, of body
TO_FRONT = struct.Struct("<BBBQHdffIQ")

STATE = 11  # body: JSON {"state": "loading", "doing": "..."}
READY = 12  # body: JSON, scoring.worker.describe()
FAILED = 13  # body: JSON {"summary", "detail"}: the script could not be loaded; the worker exits
ANSWER = 14  # a whole answer
STREAM = 15  # an answer's head; CHUNKs follow
CHUNK = 16  # bytes of a stream
END = 17  # the stream is complete
BROKEN = 18  # the stream broke after its head was sent
WITHDRAWN = 19  # seq was not run: the front asked for it back in time
LOG = 20  # body: JSON {"logger","level","message",...} for the front's exporters
FORKED = 21  # from a template: seq is the tag of the FORK, status 0; body JSON {"pid"}
EXITED = 22  # from a template: body JSON {"pid","status"}
BATCH = 23  # one run() call of a worker that batches, before its ANSWERs: BATCH_FACTS; seq: its last request
PROOF = 24  # body: JSON {"state": "proving" | "agreed" | "refused", "agreed", "requests", "why", "repro"}
FILES = 25  # body: JSON {"files": [...]}: the user's own that are loaded by now; where saving reloads

# requests, rows, seconds of run(), of decoding, of encoding, why it was no larger
BATCH_FACTS = struct.Struct("<IIdddB")
FULL = 1  # as many rows as a call may have
IDLE = 2  # all that had come
DEADLINE = 3  # a wait for others was over; only the front knows
SHAPE = 4  # what came with it has another shape, or other values beside its rows
DRAIN = 5
BYTES = 6  # as many bytes as are taken at a time
SPLIT = 7  # part of a batch that failed, or a request that is to run alone
PROVING = 8  # one by one, since the script's rows are not proven independent

# flags of ANSWER and STREAM
FAILED_FALSE = 1  # x-ms-run-function-failed: False
FAILED_TRUE = 2  # x-ms-run-function-failed: True
HAS_EXEC_MS = 4  # x-ms-run-fn-exec-ms is sent
TIMED_OUT = 8  # run() was ended by the scoring timeout

# content type codes; 0: none, or it stands in the headers
CONTENT_TYPES = ("", "application/json", "text/html; charset=utf-8", "application/octet-stream")
CONTENT_TYPE_CODES = {text: code for code, text in enumerate(CONTENT_TYPES)}

# ---------------------------------------------------------------- the shared page
# Where the system can share memory, a page lies beside the socket. The worker notes in it what it runs and
# keeps its unsent answers there, so both survive a worker that dies between two instructions, and cost no
# system call. Its head is CELLS numbers of 64 bits:
MARK = 0  # seq of the request last taken in hand
TAKEN = 1  # when it was taken (monotonic ns)
BEGAN = 2  # when its run() began (monotonic ns); 0 while it is being decoded
WITHDRAW = 3  # written by the front: do not start this seq or a later one (0: start all)
SENT = 4  # bytes of this worker's stream that were sent before the outbox's first byte
FILLED = 5  # bytes of whole records in the outbox
ALONE = 6  # by a worker that batches: seq of the request whose run() call it has to itself now; 0: none
CHECKING = 7  # 1 while run() is called only to compare answers: it is nobody's request
CELLS = 8
# Then a ring of bytes, one for each seq modulo LEFT_SLOTS: the front writes 0 when it sends that seq and 1 when its
# caller has left. Only a worker that batches reads it.
LEFT = CELLS * 8  # offset of the ring
LEFT_SLOTS = 8192
OUTBOX = LEFT + LEFT_SLOTS  # offset of the outbox
OUTBOX_BYTES = 256 * 1024
PAGE_BYTES = OUTBOX + OUTBOX_BYTES

STREAM_CREDIT = 256 * 1024  # bytes a stream may send before its reader grants more
