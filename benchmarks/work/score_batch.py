"""The scoring script of work that is handed its batches: `run_batch` gets the texts of the requests that wait."""

from __future__ import annotations

import importlib
import json
import os


def init():
    global work
    work = importlib.import_module(os.environ["BENCH_WORKLOAD"])


def run_batch(items):
    return work.answer_batch([json.loads(item) for item in items])
