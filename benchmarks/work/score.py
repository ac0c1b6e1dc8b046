"""The scoring script, the same file for ours and for azureml-inference-server-http."""

from __future__ import annotations

import importlib
import json
import os


def init():
    global work
    work = importlib.import_module(os.environ["BENCH_WORKLOAD"])


def run(raw_data):
    return work.answer(json.loads(raw_data))
