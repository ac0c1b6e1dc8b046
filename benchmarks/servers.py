"""The servers that are measured: how each is started on a workload, and where it answers."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import processes
from benchmarks.environments import MODEL, python_of
from benchmarks.load.lone import Connection
from benchmarks.workloads import MODULES, RESULTS, Workload

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "benchmarks" / "work"
START_SECONDS = 60.0


Command = Callable[[Path, int, str], list[str]]
EVERY = ("tiny", "mlp", "body", "stream")


@dataclass(frozen=True)
class Server:
    """One way to serve. `command` gets the environment's bin folder, a port and the workload's name."""

    name: str
    title: str
    environment: str
    route: str
    health: str
    command: Command
    workloads: tuple[str, ...] = EVERY
    variables: Mapping[str, str] = field(default_factory=dict)  # for its process, beside the common ones


# Which of the scripts in benchmarks/work serves a workload where score.py does not.
SCRIPTS = {"stream": "score_stream.py"}
BATCH_SCRIPTS = {"encoder": "score_batch.py", "lengths": "score_pad.py"}


BATCH_SIZES = {"lengths": 64}  # elsewhere 16; of many lengths more wait, so that like ones can be found


def azmlinfsrv(*more: str, scripts: Mapping[str, str] = SCRIPTS) -> Command:
    """The command line of ours and of azureml-inference-server-http, which is the same."""

    def command(folder: Path, port: int, workload: str) -> list[str]:
        script = scripts.get(workload, "score.py")
        return [f"{folder}/azmlinfsrv", "--entry_script", script, "--port", str(port), *more]

    return command


def _batching(scripts: Mapping[str, str]) -> Command:
    def command(folder: Path, port: int, workload: str) -> list[str]:
        size = str(BATCH_SIZES.get(workload, 16))
        return azmlinfsrv("--max_batch_size", size, scripts=scripts)(folder, port, workload)

    return command


def _python(script: str, *before: str) -> Command:
    def command(folder: Path, port: int, workload: str) -> list[str]:
        return [f"{folder}/python", script, *before, str(port)]

    return command


def _bentoml(folder: Path, port: int, workload: str) -> list[str]:
    return [f"{folder}/bentoml", "serve", "bentoml_app:Score", "--host", "127.0.0.1", "--port", str(port)]


_mosec = _python("mosec_app.py", "--address", "127.0.0.1", "--port")
ENCODER = ("encoder", "lengths")
OURS = Server(
    "ours",
    "azmlinfsrv (this project)",
    "ours",
    "/score",
    "/livez",
    azmlinfsrv(),
    (*EVERY, *ENCODER),
)

SERVERS = {
    server.name: server
    for server in (
        OURS,
        replace(
            OURS,
            name="ours-batching",
            title="azmlinfsrv, batching",
            command=_batching(BATCH_SCRIPTS),
            workloads=("mlp", "encoder", "lengths"),
        ),
        replace(
            OURS,
            name="ours-schema",
            title="azmlinfsrv, batching, `@input_schema`",
            command=_batching({"mlp": "score_schema.py"}),
            workloads=("mlp",),
        ),
        replace(
            OURS,
            name="ours-naive",
            title="azmlinfsrv, batching, padded to the longest",
            command=azmlinfsrv("--max_batch_size", "16", scripts={"lengths": "score_batch.py"}),
            workloads=("lengths",),
        ),
        Server(
            "azureml",
            "azureml-inference-server-http, 1 worker",
            "azureml",
            "/score",
            "/",
            azmlinfsrv(),
            (*EVERY, *ENCODER),
        ),
        Server(
            "azureml-2",
            "azureml-inference-server-http, 2 workers",
            "azureml",
            "/score",
            "/",
            azmlinfsrv("--worker_count", "2"),
        ),
        Server(
            "mosec",
            "mosec",
            "mosec",
            "/inference",
            "/",
            _mosec,
            (*EVERY, *ENCODER),
        ),
        Server(
            "mosec-orjson",
            "mosec, orjson codec",
            "mosec",
            "/inference",
            "/",
            _mosec,
            ("mlp",),
            {"BENCH_CODEC": "orjson"},
        ),
        Server(
            "litserve",
            "LitServe",
            "litserve",
            "/predict",
            "/health",
            _python("litserve_app.py"),
            (*EVERY, "encoder"),
        ),
        Server("bentoml", "BentoML", "bentoml", "/score", "/livez", _bentoml, (*EVERY, "encoder")),
        Server(
            "bare",
            "bare protocol + socketpair + JSON worker",
            "limits",
            "/",
            "/",
            _python("../limits/bare.py"),
            ("tiny", "mlp", "body"),
        ),
    )
}


@dataclass
class Running:
    """A server that answers."""

    server: Server
    workload: Workload
    port: int
    process: subprocess.Popen[bytes]
    command: str
    first_answer: float  # seconds from the start of its process to the first right answer
    log: Path

    def connect(self) -> Connection:
        return Connection(self.port, self.server.route, self.workload.body)


def environment(workload: str, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every server gets: nothing of the caller's settings, one thread for numpy, the workload's module."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
    }
    return {
        **kept,
        "BENCH_WORKLOAD": MODULES.get(workload, workload),
        "BENCH_MODEL": str(MODEL),
        "BENTOML_DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(WORK),
        **(variables or {}),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    server: Server, workload: Workload, variables: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Start a server, wait for its first right answer, hand it over, end it. Raises RuntimeError when it fails."""
    folder = python_of(server.environment).parent
    port = free_port()
    command = server.command(folder, port, workload.name)
    log = RESULTS / "logs" / f"{server.name}-{workload.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=WORK,
            env=environment(workload.name, {**server.variables, **(variables or {})}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        seconds = _first_answer(server, workload, port, process, begun, log)
        yield Running(server, workload, port, process, " ".join(command), seconds, log)
    finally:
        processes.stop(process)


def _first_answer(
    server: Server, workload: Workload, port: int, process: subprocess.Popen[bytes], begun: float, log: Path
) -> float:
    last = "no answer"
    while time.perf_counter() - begun < START_SECONDS and process.poll() is None:
        try:
            with contextlib.closing(Connection(port, server.route, workload.body)) as connection:
                status, body = connection.ask()
        except OSError as error:
            last = str(error)
            time.sleep(0.005)
            continue
        if status == 200:
            if not workload.right(body):
                raise RuntimeError(f"{server.name} answers {workload.name} wrongly: {body[:200]!r}")
            return time.perf_counter() - begun
        last = f"{status} {body[:200]!r}"
        time.sleep(0.005)
    raise RuntimeError(f"{server.name} did not come up for {workload.name} ({last}); its output is in {log}")
