"""A model of 1 GB comes from a store on the loopback: beside obstore, which only reads it.

Each run is a process of its own, from its start to its end. obstore reads the object as one stream, as its documentation
shows, into nothing and into a file. Ours fetches it in parts, computes its SHA-256, keeps it in the cache and has it in
the destination. Files lie in memory (/dev/shm) where there is room, so that no disk is measured. Runs take turns; a
figure is the middle of its rounds. The servers of the stores share the cores.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables import Goal, number, share, table

TITLE = "1 GB into a destination"
SIZE = 1_000_000_000
ROUNDS, REPEATS = 3, 7
PIECE = 50_000_000
MEMORY = "/dev/shm"
OBSTORE = """\
import sys
import obstore
from obstore.store import {kind} as Store
store = Store({where!r}, {options})
file = open(sys.argv[1], "wb", buffering=0) if len(sys.argv) > 1 else None
for piece in obstore.get(store, "model.bin").stream():
    if file:
        file.write(piece)
"""
WATCH = """\
import os, sys, time
begun = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - begun, usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
WAYS = {
    "obstore": "obstore reads it into nothing",
    "obstore-file": "obstore reads it into a file",
    "ours": "azmlinfsrv storage-initializer",
    "cached": "… into another destination, from the cache",
    "again": "… when all of it is there",
}


@dataclass(frozen=True)
class Ended:
    """A process that ran well: seconds from start to end, and its peak of memory in MB."""

    seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Kept:
    """The object in one store: its address, what our command's environment needs, and how obstore opens the store."""

    store: str
    address: str
    environ: Mapping[str, str]
    obstore: str


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    """Only ours is asked."""
    record: dict[str, Any] = {"size": SIZE, "rows": []}
    for store in (_seaweedfs, _azurite):
        try:
            with (
                tempfile.TemporaryDirectory() as folder,
                store(Path(folder)) as kept,
                _files(folder) as files,
            ):
                record["rows"] += _rows(kept, files)
        except (RuntimeError, OSError, ImportError, AssertionError) as error:
            record["rows"].append(
                {"store": store.__name__.strip("_"), "failed": str(error) or type(error).__name__}
            )
        print(f"storage: {record['rows'][-1]}", flush=True)
    return record


@contextlib.contextmanager
def _files(folder: str) -> Iterator[Path]:
    """Where files are written: in memory, if three of them fit, else in `folder`."""
    fits = os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free > 3 * SIZE
    with tempfile.TemporaryDirectory(dir=MEMORY if fits else folder) as files:
        yield Path(files)


def _rows(kept: Kept, folder: Path) -> list[dict[str, Any]]:
    found: dict[str, list[Ended]] = {way: [] for way in WAYS}
    program = str(Path(sys.executable).with_name("azmlinfsrv"))
    for _ in range(ROUNDS):
        cache = {**kept.environ, "AZMLINFSRV_STORAGE_CACHE_DIR": str(folder / "cache")}

        def ours(dest: str, cache: dict[str, str] = cache) -> Ended:
            return _ran([program, "storage-initializer", kept.address, str(folder / dest)], cache)

        found["obstore"].append(_ran([sys.executable, "-c", kept.obstore], {}))
        found["obstore-file"].append(_ran([sys.executable, "-c", kept.obstore, str(folder / "file")], {}))
        (folder / "file").unlink()
        found["ours"].append(ours("model"))
        assert (folder / "model" / "model.bin").stat().st_size == SIZE
        found["cached"].append(ours("another"))
        found["again"] += [ours("model") for _ in range(REPEATS)]
        for name in ("model", "another", ".model.azmlinfsrv", ".another.azmlinfsrv", "cache"):
            shutil.rmtree(folder / name)
    return [
        {
            "store": kept.store,
            "way": way,
            "seconds": statistics.median(run.seconds for run in runs),
            "worst_s": max(run.seconds for run in runs),
            "memory_mb": max(run.memory_mb for run in runs),
        }
        for way, runs in found.items()
    ]


def _ran(command: Sequence[str], environ: Mapping[str, str]) -> Ended:
    """Run it below a process that is small: a child's peak of memory begins with that of its parent."""
    watched = [sys.executable, "-S", "-c", WATCH, *command]
    done = subprocess.run(watched, env={**os.environ, **environ}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stdout + done.stderr)[-500:]}")
    seconds, memory_kb = done.stderr.splitlines()[-1].split()
    return Ended(float(seconds), int(memory_kb) * 1024 / 1e6)


@contextlib.contextmanager
def _seaweedfs(folder: Path) -> Iterator[Kept]:
    from obstore.store import S3Store

    from tests.storage.emulators import seaweedfs

    (folder / "s3").mkdir()
    with seaweedfs(folder / "s3") as server:
        server.put("bench", "first", b"1")  # makes the bucket
        options = {
            "endpoint": server.endpoint,
            "access_key_id": server.key,
            "secret_access_key": server.secret,
            "region": "us-east-1",
            "client_options": {"allow_http": True, "timeout": "1h"},
        }
        _put(S3Store("bench", **options))
        text = OBSTORE.format(kind="S3Store", where="bench", options=f"**{options!r}")
        yield Kept("SeaweedFS (S3)", "s3://bench/model.bin", server.environ, text)


@contextlib.contextmanager
def _azurite(folder: Path) -> Iterator[Kept]:
    from obstore.store import AzureStore

    from tests.storage.emulators import ACCOUNT, ACCOUNT_KEY, azurite

    (folder / "azure").mkdir()
    with azurite(folder / "azure") as server:
        container = server.container()
        options = {
            "account_name": ACCOUNT,
            "account_key": ACCOUNT_KEY,
            "endpoint": server.endpoint,
            "client_options": {"allow_http": True, "timeout": "1h"},
        }
        _put(AzureStore(container, **options))
        text = OBSTORE.format(kind="AzureStore", where=container, options=f"**{options!r}")
        environ = {"AZURE_STORAGE_CONNECTION_STRING": server.connection_string}
        yield Kept("Azurite (Azure Blob)", server.url(container, "model.bin"), environ, text)


def _put(store: Any) -> None:
    import obstore

    block = os.urandom(PIECE)
    pieces = (block[place:] + block[:place] for place in range(SIZE // PIECE))
    obstore.put(store, "model.bin", pieces, use_multipart=True)


def report(record: dict[str, Any]) -> str:
    rows = []
    for row in record["rows"]:
        if "failed" in row:
            rows.append([row["store"], row["failed"]])
            continue
        rate = (
            record["size"] / row["seconds"] / 1e6
            if row["way"] in ("obstore", "obstore-file", "ours")
            else None
        )
        rows.append(
            [
                f"{row['store']}: {WAYS[row['way']]}",
                number(row["seconds"], " s"),
                number(rate, " MB/s"),
                number(row["memory_mb"], " MB"),
            ]
        )
    return table(["", "in the middle", "rate", "peak memory"], rows)


def goals(record: dict[str, Any]) -> list[Goal]:
    made = []
    for store in dict.fromkeys(row["store"] for row in record["rows"] if "failed" not in row):
        by_way = {row["way"]: row for row in record["rows"] if row["store"] == store and "failed" not in row}
        ours, alone = by_way["ours"], by_way["obstore"]
        made += [
            Goal(
                f"{store}: rate to that of obstore alone",
                share(alone["seconds"], ours["seconds"]),
                0.8,
                unit=" ×",
            ),
            Goal(f"{store}: peak memory", ours["memory_mb"], 100, False, " MB"),
            Goal(f"{store}: a run with everything there", by_way["again"]["seconds"], 0.3, False, " s"),
        ]
    return made
