"""The peak: wrk keeps every connection busy, a new request as soon as an answer is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("post.lua")
_SECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Peak:
    """What wrk saw: requests a second, latencies in milliseconds, requests that were not answered with 2xx or 3xx."""

    rate: float
    p50: float
    p99: float
    errors: int
    command: str


def version() -> str:
    """wrk's own words; SystemExit that says how to get it where it is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed for the load: apt-get install wrk (or brew install wrk)")
    text = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    return text.split("\n", 1)[0].split("Copyright")[0].strip()


def run(port: int, route: str, body: Path, seconds: float, connections: int) -> Peak:
    """Load one server. One thread of wrk is more than any of them takes on two cores."""
    command = [
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s", "--latency"),
        *("-s", str(SCRIPT), f"http://127.0.0.1:{port}{route}", "--", str(body)),
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None:
        raise RuntimeError(f"wrk said something unexpected:\n{text}")
    errors = sum(int(found) for found in re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", text))
    return Peak(float(rate[1]), _latency(text, "50%"), _latency(text, "99%"), errors, " ".join(command))


def _latency(text: str, share: str) -> float:
    found = re.search(rf"^\s+{share}\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    return float(found[1]) * _SECONDS[found[2]] if found else float("nan")
