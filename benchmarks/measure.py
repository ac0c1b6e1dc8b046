"""One server on one workload, measured; all servers in turn, several rounds."""

from __future__ import annotations

import json
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.environments import REQUIREMENTS, exported_model, python_of
from benchmarks.load import lone, open_loop, wrk
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import ROOT, SERVERS, WORK, Running, Server, environment, running
from benchmarks.workloads import MODULES, WORKLOADS, Workload

CONNECTIONS = 64


@dataclass(frozen=True)
class Plan:
    """How long and how often. Seconds are for each single measurement."""

    servers: Sequence[str]
    workloads: Sequence[str]
    sections: Sequence[str]
    rounds: int = 2
    seconds: float = 3.0
    rates: Sequence[float] = (200, 2000)  # of the open loop, on tiny JSON only
    idle_seconds: float = 5.0  # 0: idle processor time is not measured
    hold_seconds: float = 60.0  # how long run() holds the interpreter lock in the health measurement


def everything(plan: Plan) -> dict[str, Any]:
    """All that the plan names, as one JSON-ready record. Raises SystemExit when wrk is missing."""
    result: dict[str, Any] = {
        "machine": machine(),
        "plan": asdict(plan),
        "versions": {"wrk": wrk.version(), **_versions(plan.servers)},
        "commands": {},
        "cells": [],
        "limits": {},
        "health": [],
        "scenarios": {},
        "took_s": {},
    }
    sections: dict[str, Callable[[], None]] = {
        **{name: partial(compare, name, plan, result) for name in plan.workloads},
        "health": partial(liveness, plan, result),
        **{name: partial(_scenario, name, plan, result) for name in SCENARIOS},
    }
    for name, section in sections.items():
        if name in plan.sections or (name in plan.workloads and "servers" in plan.sections):
            begun = time.monotonic()
            section()
            result["took_s"][name] = time.monotonic() - begun
            print(f"-- {name}: {result['took_s'][name]:.0f} s", flush=True)
    return result


def compare(name: str, plan: Plan, result: dict[str, Any]) -> None:
    """All servers on one workload, in turn, round after round."""
    if MODULES.get(name, name) == "encoder":
        exported_model()
    result["limits"][name] = in_process(WORKLOADS[name], plan.seconds)
    servers = [server for server in plan.servers if name in SERVERS[server].workloads]
    for turn in range(plan.rounds):
        # Each round begins with another server, so that a slow minute of the machine does not always hit the same.
        shift = turn % len(servers) if servers else 0
        for server in [*servers[shift:], *servers[:shift]]:
            result["cells"].append(cell(SERVERS[server], WORKLOADS[name], turn, plan, result["commands"]))


def liveness(plan: Plan, result: dict[str, Any]) -> None:
    wanted = [name for name in ("ours", "azureml", "mosec") if name in plan.servers]
    result["health"] = [health(SERVERS[name], plan.hold_seconds) for name in wanted]


def _scenario(name: str, plan: Plan, result: dict[str, Any]) -> None:
    result["scenarios"][name] = SCENARIOS[name].measure(plan.servers, plan.seconds)


def cell(
    server: Server, workload: Workload, turn: int, plan: Plan, commands: dict[str, Any]
) -> dict[str, Any]:
    """Start the server, check its answer, measure it, end it. A server that fails gets its reason, not a figure."""
    record: dict[str, Any] = {"server": server.name, "workload": workload.name, "round": turn + 1}
    try:
        with running(server, workload) as now:
            record["start_s"] = now.first_answer
            if workload.name == "tiny" and turn == 0 and plan.idle_seconds:
                record["idle_cpu"] = idle(now, plan.idle_seconds)
            wrk.run(now.port, server.route, workload.body_file(), 1, CONNECTIONS)  # warm
            alone = lone.latencies(now.connect(), plan.seconds / 2)
            record["lone_p50_ms"] = lone.percentile(alone, 0.5)
            record["lone_p99_ms"] = lone.percentile(alone, 0.99)
            peak = wrk.run(now.port, server.route, workload.body_file(), plan.seconds, CONNECTIONS)
            record |= {"rate": peak.rate, "p50_ms": peak.p50, "p99_ms": peak.p99, "errors": peak.errors}
            record["memory_mib"] = processes.memory_mib(now.process.pid)
            if workload.name == "tiny":
                record["tails"] = tails(now, plan, peak.rate)
            commands[server.name] = _short(now.command, now.port)
            commands["wrk"] = _short(peak.command, now.port)
            if now.process.poll() is not None:
                raise RuntimeError(f"{server.name} ended by itself; its output is in {now.log}")
    except (RuntimeError, OSError, ValueError) as error:
        record["failed"] = str(error)
    _say(record)
    return record


def tails(now: Running, plan: Plan, peak: float) -> dict[str, dict[str, float]]:
    """Latencies at constant rates; a rate near or over the server's peak is left out, it would only grow a queue."""
    found = {}
    for rate in plan.rates:
        if rate > 0.8 * peak:
            continue
        tail = open_loop.run(now.port, now.server.route, now.workload.body, rate, plan.seconds, CONNECTIONS)
        shares = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
        found[f"{rate:g}"] = {
            **{
                name: lone.percentile(tail.latencies, share)
                for name, share in shares.items()
                if tail.latencies
            },
            "failed": tail.failed,
        }
    return found


def idle(now: Running, seconds: float) -> float:
    """Share of one processor that a server uses while nobody asks it anything."""
    time.sleep(1)
    before = processes.cpu_seconds(now.process.pid)
    time.sleep(seconds)
    return (processes.cpu_seconds(now.process.pid) - before) / seconds


def in_process(workload: Workload, seconds: float) -> dict[str, float] | None:
    """Requests a second of the work without any server; None for a stream, which is nothing but a server's work.

    Half of the time is for the batch sizes that do not matter, so it gets twice as long as a server.
    """
    if workload.name == "stream":
        return None
    python = python_of("ours")
    command = [str(python), "../limits/in_process.py", str(workload.body_file()), str(2 * seconds)]
    output = subprocess.run(
        command, cwd=WORK, env=environment(workload.name), check=True, capture_output=True, text=True
    ).stdout
    record: dict[str, float] = json.loads(output)
    return record


def health(server: Server, seconds: float) -> dict[str, Any]:
    """10,000 probes of the liveness route, at a constant rate, while run() holds the interpreter lock all the time."""
    workload = Workload("hold", "holds the lock", b'{"seconds": 0}', lambda answer: b"held" in answer)
    record: dict[str, Any] = {
        "server": server.name,
        "route": server.health,
        "probes": 10_000,
        "held_s": seconds,
    }
    with running(server, workload) as now:
        body = b'{"seconds": %d}' % seconds
        holder = lone.Connection(now.port, server.route, body, timeout=seconds + 30)

        def hold() -> None:
            try:
                record["run_status"] = holder.ask()[0]
            except OSError as error:
                record["run_status"] = str(error)

        thread = threading.Thread(target=hold)
        thread.start()
        time.sleep(0.5)
        spread = seconds - 2
        tail = open_loop.run(now.port, server.health, b"", 10_000 / spread, spread, CONNECTIONS, "GET")
        record["still_held"] = thread.is_alive()
        record["answered"] = len(tail.latencies)
        for name, share in (("p50_ms", 0.5), ("p999_ms", 0.999), ("max_ms", 1.0)):
            record[name] = lone.percentile(tail.latencies, share) if tail.latencies else None
        thread.join()
    _say(record)
    return record


def machine() -> dict[str, Any]:
    """What it was measured on."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    kernel = ".".join(platform.release().split(".")[:2])
    return {
        "cpu": models[0].split(":", 1)[1].strip() if models else platform.processor(),
        "cores": len(models),
        "system": f"{platform.system()} {kernel} {platform.machine()}",
        "python": platform.python_version(),
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def _versions(servers: Sequence[str]) -> dict[str, str]:
    import inference_server

    named = {"ours": f"azmlinfsrv {inference_server.__version__}"}
    for name in servers:
        requirements = REQUIREMENTS.get(SERVERS[name].environment)
        if requirements:
            named[name] = " ".join(requirements).replace("==", " ")
    return {name: text for name, text in named.items() if name in servers}


def _short(command: str, port: int) -> str:
    """Paths as seen from the repository: the record names no folder of the machine."""
    return command.replace(f"{ROOT}/", "").replace(str(port), "PORT")


def _say(record: dict[str, Any]) -> None:
    shown = {name: round(value, 3) if isinstance(value, float) else value for name, value in record.items()}
    print("  ".join(f"{name} {value}" for name, value in shown.items() if name != "tails"), flush=True)
