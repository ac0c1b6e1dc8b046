"""The same work under mosec: its own JSON codec, batches up to 64, 1 ms at most to fill one (0 would mean its default of 10 ms)."""

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
        server.append_worker(Score, num=1, max_batch_size=64, max_wait_time=1)
    server.run()
