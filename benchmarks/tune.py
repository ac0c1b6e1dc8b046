"""Which settings a peer is measured with: every batch size, wait and codec for a few seconds, and the best of them.

python -m benchmarks.tune [--server mosec] [--workload mlp] [--seconds 3]
"""

from __future__ import annotations

import argparse
import itertools

from benchmarks.load import wrk
from benchmarks.measure import CONNECTIONS
from benchmarks.servers import SERVERS, running
from benchmarks.tables import number, table
from benchmarks.workloads import WORKLOADS

BATCHES = (16, 32, 64)
WAITS = {
    "mosec": (0, 1, 2, 10)
}  # milliseconds; the others have no such setting, or have their own idea of it
CODECS = {"mosec": ("json", "orjson")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--server", choices=("mosec", "litserve", "bentoml"), default="mosec")
    parser.add_argument("--workload", choices=("mlp", "encoder"), default="mlp")
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    server, workload = SERVERS[arguments.server], WORKLOADS[arguments.workload]
    found = []
    waits, codecs = WAITS.get(server.name, (0,)), CODECS.get(server.name, ("",))
    for batch, wait, codec in itertools.product(BATCHES, waits, codecs):
        variables = {"BENCH_BATCH": str(batch), "BENCH_WAIT": str(wait), "BENCH_CODEC": codec}
        with running(server, workload, variables) as now:
            wrk.run(now.port, server.route, workload.body_file(), 1, CONNECTIONS)
            peak = wrk.run(now.port, server.route, workload.body_file(), arguments.seconds, CONNECTIONS)
        found.append((peak.rate, batch, wait, codec, peak.errors))
        print(f"batch {batch}, wait {wait} ms, {codec}: {number(peak.rate)}/s", flush=True)
    rows = [
        [server.title, str(batch), str(wait), codec, number(rate), str(errors)]
        for rate, batch, wait, codec, errors in sorted(found, reverse=True)
    ]
    print(table(["server", "batch", "wait ms", "codec", "requests/s", "errors"], rows))


if __name__ == "__main__":
    main()
