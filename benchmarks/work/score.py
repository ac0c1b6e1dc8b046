"""The scoring script, the same file for ours and for azureml-inference-server-http."""

from __future__ import annotations

import importlib
import json
import os

NAME = os.environ["BENCH_WORKLOAD"]
work = importlib.import_module(NAME)


def init():
    if NAME == "stream":
        import flask

        global Response
        Response = flask.Response


def run_whole(raw_data):
    return work.answer(json.loads(raw_data))


def run_stream(raw_data):
    return Response(work.chunks(json.loads(raw_data)), mimetype="text/plain")


run = run_stream if NAME == "stream" else run_whole
