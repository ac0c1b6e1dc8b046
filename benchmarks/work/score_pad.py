"""The scoring script of the encoder with a padding declared: texts of like length come together. It fills them up itself."""

from __future__ import annotations

import json

import encoder

BATCH_PAD = {"data": 0}


def init():
    pass


def run_batch(items):
    return encoder.answer_batch([json.loads(item) for item in items])
