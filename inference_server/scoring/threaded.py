"""A worker that runs several requests at a time, for scripts whose authors asked for it."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Optional

from inference_server.scoring import wire
from inference_server.scoring.channel import Channel, Record
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.script import Script
from inference_server.scoring.stream import NextControl
from inference_server.scoring.worker import Worker


class ThreadedWorker(Worker):
    """The main thread reads the channel; `config.threads` threads call run().

    Time limits are kept by the front alone: a thread cannot be interrupted.
    """

    def __init__(self, channel: Channel, config: ScoringConfig, script: Script) -> None:
        super().__init__(channel, config._replace(scoring_timeout_ms=0), script)
        self.config = config
        self._threads = ThreadPoolExecutor(config.threads, thread_name_prefix="run")
        self._controls: Dict[int, queue.SimpleQueue[Optional[Record]]] = {}

    def serve(self) -> None:
        """Until the front says stop; what is in hand is finished first. Raises FrontGone."""
        while True:
            record = self.channel.next()
            if record.kind == wire.SCORE:
                self._controls[record.seq] = queue.SimpleQueue()
                self._threads.submit(self._score_and_forget, record)
            elif record.kind == wire.STOP:
                for controls in list(self._controls.values()):
                    controls.put(None)
                self._threads.shutdown(wait=True)
                return
            else:
                waiting = self._controls.get(record.seq)
                if waiting is not None:
                    waiting.put(record)

    def _score_and_forget(self, record: Record) -> None:
        try:
            self.score(record)
        finally:
            del self._controls[record.seq]

    def _control_of(self, seq: int) -> NextControl:
        controls = self._controls[seq]

        def next_control(wait: bool) -> Optional[Record]:
            try:
                return controls.get(block=wait)
            except queue.Empty:
                return None

        return next_control
