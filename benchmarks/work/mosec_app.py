"""The same work under mosec: its own JSON codec, batches up to 32, at most 1 ms to fill one.

Found by trial: with 64 connections, batches of 32 gave it its best rate (64 gave a quarter less), and a longer wait
only cost the lone caller. A wait of 0 means its default of 10 ms.
"""

from __future__ import annotations

import importlib
import os

from mosec import Server, SSEWorker, Worker

NAME = os.environ["BENCH_WORKLOAD"]
work = importlib.import_module(NAME)


class Score(Worker):
    def forward(self, data):
        return work.answer_batch(data)


class Single(Worker):
    def forward(self, data):
        return work.answer(data)


class Stream(SSEWorker):
    def forward(self, data):
        for chunk in work.chunks(data):
            self.send_stream_event(chunk, index=0)
        return data


if __name__ == "__main__":
    server = Server()
    if NAME == "stream":
        server.append_worker(Stream, num=1)
    elif NAME == "hold":
        server.append_worker(Single, num=1, timeout=300)
    else:
        server.append_worker(Score, num=1, max_batch_size=32, max_wait_time=1)
    server.run()
