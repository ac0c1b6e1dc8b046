"""The script of the soak: every answer is the caller's own, every run is counted, and some requests are poison."""

from __future__ import annotations

import json
import mmap
import os
import signal
import time


def init():
    global runs
    with open(os.environ["SOAK_RUNS"], "r+b") as file:
        runs = mmap.mmap(file.fileno(), 0)


def run(raw_data):
    request = json.loads(raw_data)
    number = request["number"]
    runs[number] = min(255, runs[number] + 1)  # a shared file: the count outlives the worker
    what = request.get("do")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "sleep":
        time.sleep(request["seconds"])
    return {"number": number, "twice": 2 * number}
