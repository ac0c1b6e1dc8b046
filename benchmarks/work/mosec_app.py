"""The same work under mosec: hand-written batching, batches up to 32 (of the encoder 16) and at most 1 ms to fill one.

Found by `python -m benchmarks.tune`: see there for the figures of other sizes, waits and codecs. A wait of 0 means
mosec's default of 10 ms.
"""

from __future__ import annotations

import importlib
import os

from mosec import Server, SSEWorker, Worker

NAME = os.environ["BENCH_WORKLOAD"]
BATCH = int(os.environ.get("BENCH_BATCH", "16" if NAME == "encoder" else "32"))
WAIT = int(os.environ.get("BENCH_WAIT", "1"))
work = importlib.import_module(NAME)


class Score(Worker):
    def forward(self, data):
        return work.answer_batch(data)


class Orjson(Score):
    """Its documentation shows how to bring another codec; who wants speed brings this one."""

    def deserialize(self, data):
        import orjson

        return orjson.loads(data)

    def serialize(self, data):
        import orjson

        return orjson.dumps(data)


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
        kind = Orjson if os.environ.get("BENCH_CODEC") == "orjson" else Score
        server.append_worker(kind, num=1, max_batch_size=BATCH, max_wait_time=WAIT)
    server.run()
