"""The scoring script of the stream, the same file for ours and for azureml-inference-server-http."""

from __future__ import annotations

import json

import flask
import stream


def init():
    pass


def run(raw_data):
    return flask.Response(stream.chunks(json.loads(raw_data)), mimetype="text/plain")
