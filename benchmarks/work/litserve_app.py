"""The same work under LitServe: fast queue, batches up to 32 (of the encoder 16), no waiting for a batch to fill."""

from __future__ import annotations

import importlib
import os
import sys

import litserve

NAME = os.environ["BENCH_WORKLOAD"]
BATCH = int(os.environ.get("BENCH_BATCH", "16" if NAME == "encoder" else "32"))
TIMEOUT = float(os.environ.get("BENCH_TIMEOUT_MS", "300000")) / 1000
work = importlib.import_module(NAME)


class Score(litserve.LitAPI):
    def setup(self, device):
        pass

    def batch(self, inputs):
        return inputs

    def unbatch(self, output):
        return output

    def predict(self, payloads):
        return work.answer_batch(payloads)


class Stream(litserve.LitAPI):
    def setup(self, device):
        pass

    def predict(self, payload):
        yield from work.chunks(payload)

    def encode_response(self, output):
        yield from output


if __name__ == "__main__":
    api = Stream(stream=True) if NAME == "stream" else Score(max_batch_size=BATCH, batch_timeout=0.0)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=1, fast_queue=True, timeout=TIMEOUT
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
