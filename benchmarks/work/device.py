"""A model on a device of its own: a call takes 10 ms and 0.5 ms a row, and the processor is free meanwhile.

For what is to be seen of scheduling alone: the time of a call does not depend on who else uses the two cores.
Each call is noted in a journal (BENCH_JOURNAL), so that what the work cost is known and not inferred.
A row whose first number is negative is poison: the call raises, before the work or after it (BENCH_RAISE).
"""

from __future__ import annotations

import os
import struct
import time
from typing import Any

CALL_SECONDS, ROW_SECONDS = 0.010, 0.0005
ENTRY = struct.Struct("<didi")  # when it began (monotonic seconds), rows, seconds, whether it raised
LATE = os.environ.get("BENCH_RAISE") == "late"
_path = os.environ.get("BENCH_JOURNAL")
_journal = os.open(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if _path else -1

Rows = list[list[float]]


def _refuse(rows: Rows) -> None:
    for row in rows:
        if row[0] < 0:
            raise ValueError("a negative row")


def scores(rows: Rows) -> Rows:
    began, raised = time.monotonic(), 1
    try:
        if not LATE:
            _refuse(rows)
        time.sleep(CALL_SECONDS + ROW_SECONDS * len(rows))
        _refuse(rows)
        raised = 0
    finally:
        if _journal >= 0:
            spent = time.monotonic() - began
            os.write(_journal, ENTRY.pack(began, len(rows), spent, raised))
    return [[2 * row[0]] for row in rows]


def answer(payload: dict[str, Any]) -> Rows:
    return scores(payload["data"])


def answer_batch(payloads: list[dict[str, Any]]) -> list[Rows]:
    rows = scores([row for payload in payloads for row in payload["data"]])
    answers, at = [], 0
    for payload in payloads:
        count = len(payload["data"])
        answers.append(rows[at : at + count])
        at += count
    return answers
