"""A convolutional network and a transformer on a GPU: how much of what the device can do gets through the server?

In process: decode, best batch, encode, with nothing else. Served: the same through ours with `run_batch`. Left out, with the
reason, where there is no CUDA device; BENCH_GPU=cpu tries the section itself on the processor, and its figures mean nothing.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.environments import python_of
from benchmarks.load import wrk
from benchmarks.servers import OURS, WORK, azmlinfsrv, environment, running
from benchmarks.tables import Goal, number, percent, share, table
from benchmarks.workloads import Workload

TITLE = "Models on a GPU"
CONNECTIONS = {"cuda": 256, "cpu": 4}


def _ten(answer: bytes) -> bool:
    return len(json.loads(answer)) == 10


def workloads() -> list[Workload]:
    chance = random.Random(0)
    image = {"data": base64.b64encode(chance.randbytes(3 * 224 * 224)).decode()}
    ids = {"data": [chance.randrange(1000, 20_000) for _ in range(128)]}
    return [
        Workload("resnet", "ResNet-50, an image of 224 × 224", json.dumps(image).encode(), _ten),
        Workload("bert", "BERT base, 128 tokens", json.dumps(ids).encode(), _ten),
    ]


def device() -> tuple[str, str]:
    """What to run on, and its name; an empty name's place is taken by the reason why there is none."""
    if os.environ.get("BENCH_GPU") == "cpu":
        return "cpu", "the processor, as a trial"
    if shutil.which("nvidia-smi") is None:
        return "", "no CUDA device: nvidia-smi is not there"
    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    names = asked.stdout.strip().splitlines()
    return (
        ("cuda", names[0]) if asked.returncode == 0 and names else ("", "no CUDA device answers nvidia-smi")
    )


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    kind, name = device()
    if not kind:
        print(f"gpu: left out, {name}", flush=True)
        return {"skipped": name}
    variables = {"BENCH_DEVICE": kind}
    record: dict[str, Any] = {"device": name, "rows": []}
    for workload in workloads():
        row: dict[str, Any] = {"workload": workload.name, "title": workload.title}
        try:
            row |= in_process(workload, seconds, variables)
            row["served"] = served(workload, int(row["batch_size"]), seconds, variables)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            row["failed"] = f"{error} {getattr(error, 'stderr', '') or ''}"[-500:]
        record["rows"].append(row)
        print(f"gpu: {row}", flush=True)
    return record


def in_process(workload: Workload, seconds: float, variables: dict[str, str]) -> dict[str, float]:
    command = [str(python_of("gpu")), "../limits/in_process.py", str(workload.body_file()), str(2 * seconds)]
    done = subprocess.run(
        command,
        cwd=WORK,
        env=environment(workload.name, variables),
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def served(workload: Workload, size: int, seconds: float, variables: dict[str, str]) -> float:
    command = azmlinfsrv("--max_batch_size", str(size), scripts={workload.name: "score_batch.py"})
    server = replace(OURS, name="ours-gpu", environment="gpu", command=command)
    connections = CONNECTIONS[variables["BENCH_DEVICE"]]
    with running(server, workload, variables) as now:
        wrk.run(now.port, server.route, workload.body_file(), seconds / 2, connections)
        peak = wrk.run(now.port, server.route, workload.body_file(), seconds, connections)
        if peak.errors:
            raise RuntimeError(f"{peak.errors} requests were not answered with 200")
        return peak.rate


def report(record: dict[str, Any]) -> str:
    if "skipped" in record:
        return f"Left out: {record['skipped']}."
    rows = [
        [row["title"], row["failed"]]
        if "failed" in row
        else [
            row["title"],
            number(row["one"]),
            f"{number(row['batch'])} (batches of {row['batch_size']})",
            number(row["served"]),
            percent(share(row["served"], row["batch"])),
        ]
        for row in record["rows"]
    ]
    head = ["model", "in process, one by one /s", "in process, best batch /s", "served /s", "of in process"]
    return f"{table(head, rows)}\n\nOn {record['device']}."


def goals(record: dict[str, Any]) -> list[Goal]:
    found = {row["workload"]: share(row.get("served"), row.get("batch")) for row in record.get("rows", ())}
    return [
        Goal("ResNet-50 on a GPU, share of in-process throughput", found.get("resnet"), 0.9),
        Goal("BERT on a GPU, share of in-process throughput", found.get("bert"), 0.9),
    ]
