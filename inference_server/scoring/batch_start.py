"""Settles, when a script is loaded, whether and how its requests share run() calls."""

from __future__ import annotations

from typing import Tuple

from inference_server.scoring import models, wire
from inference_server.scoring.batch_worker import BatchWorker
from inference_server.scoring.batching import repro, warmup
from inference_server.scoring.batching.merger import ROWS, SINGLE, choose
from inference_server.scoring.channel import Channel, say
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.importing import imported
from inference_server.scoring.script import Script
from inference_server.scoring.worker import Worker, describe


def batch_worker(channel: Channel, config: ScoringConfig, script: Script) -> Tuple[Worker, bytes]:
    """The worker for a script whose user asked for batching, and the body of its READY."""
    merger = choose(script, config)
    proves = merger.way == ROWS and config.batch_proof
    facts = {
        "way": merger.way,
        "why": merger.why,
        "proof": proves,
        "rows": merger.max_batch_size,
        "reexecute": merger.reexecute,
    }
    digest = repro.digest(script.file, *imported(config)) + models.stamp(config.model_dir)
    body = describe(script, config, batching=facts, digest=digest)
    if merger.way == SINGLE:
        return Worker(channel, config, script), body
    worker = BatchWorker(channel, config, script, merger)
    if warmup.asked(script.module):
        doing = {"state": "loading", "doing": "batches of every size are run for the first time"}
        say(channel, wire.STATE, doing)
        warmup.warm_up(script.module, merger, worker.caps)
    return worker, body
