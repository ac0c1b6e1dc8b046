"""Calls of every size before the worker is ready, for a script that names a request to make them with:

    BATCH_SAMPLE = {"data": [[0.0] * 20]}

Compilers and a GPU's libraries settle on their ways at the first call of a size, which would else be a caller's.
"""

from __future__ import annotations

import json
import logging
from types import ModuleType
from typing import Any, Iterator

from inference_server.scoring import errors
from inference_server.scoring.batching.caps import Caps, release, too_big
from inference_server.scoring.batching.merger import Merger
from inference_server.scoring.request import Request
from inference_server.scoring.wire import META_LINES

BATCH_SAMPLE = "BATCH_SAMPLE"

logger = logging.getLogger("azmlinfsrv")

_JSON_META = "\n".join([""] * META_LINES + ["content-type: application/json"]).encode()


def asked(module: ModuleType) -> bool:
    return getattr(module, BATCH_SAMPLE, None) is not None


def warm_up(module: ModuleType, merger: Merger, caps: Caps) -> None:
    """Call run() for 1, 2, 4, … of the sample that `module` names, up to the largest batch.

    A size that does not fit into memory is the cap from then on. Any other failure is logged and ends the
    warm-up: the worker serves nevertheless.
    """
    request = Request("POST", b"", _body(getattr(module, BATCH_SAMPLE)), _JSON_META)
    rows = 0
    key: Any = None
    try:
        for requests in _doubled(merger.max_batch_size):
            payloads = []
            for _ in range(requests):  # decoded each by itself, as those of callers are
                payload = merger.payload(request)
                if payload is None:
                    logger.warning("%s cannot be merged: it is not warmed up with", BATCH_SAMPLE)
                    return
                payloads.append(payload)
            key, rows = payloads[0].key, sum([payload.rows for payload in payloads])
            if rows > merger.max_batch_size:
                break
            merger.split(merger.run(**merger.arguments(payloads)), payloads)
    except BaseException as error:
        if key is not None and too_big(error):
            release()
            cap = caps.failed(key, rows)
            logger.warning("%d rows did not fit into memory: no more than %d go into a run() call", rows, cap)
        else:
            logger.warning("Warming up with %s failed: %s", BATCH_SAMPLE, _said(error))
        return
    logger.info("Calls for up to %d rows were warmed up", merger.max_batch_size)


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, errors.BadInput) else errors.describe_failure(error)[0]


def _body(sample: Any) -> bytes:
    if isinstance(sample, bytes):
        return sample
    return (sample if isinstance(sample, str) else json.dumps(sample)).encode()


def _doubled(most: int) -> Iterator[int]:
    """1, 2, 4, … and `most`."""
    size = 1
    while size < most:
        yield size
        size *= 2
    yield most
