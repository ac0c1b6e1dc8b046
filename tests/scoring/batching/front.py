"""The front's side of one real worker that batches, in the test's hands: what is sent together is taken together."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import inference_server
from inference_server.scoring import wire
from inference_server.scoring.config import ScoringConfig
from inference_server.workers.process import make_page

BOOTSTRAP = Path(inference_server.__file__).parent / "scoring" / "bootstrap.py"
SECONDS = 30.0

# what travels of a request's head when its body's type matters
JSON_META = b"/score\nHTTP/1.1\nhttp\nhere:1\nthere:2\nthe-id\ncontent-type: application/json"


class Answer(NamedTuple):
    status: int
    body: bytes
    flags: int
    exec_ms: float

    def json(self) -> Any:
        return json.loads(self.body)


class Batch(NamedTuple):
    """One run() call, as the worker reports it."""

    requests: int
    rows: int
    run: float
    decode: float
    encode: float
    reason: int


class Front:
    """`send` writes requests in one go; `answers` collects what comes back."""

    def __init__(self, folder: Path, source: str, **config: Any) -> None:
        self.folder = folder
        script = folder / "score.py"
        script.write_text(textwrap.dedent(source))
        settings = {"entry_script": str(script), "app_root": str(folder), "max_batch_size": 32, **config}
        settings.setdefault("proof_dir", str(folder / "mismatches"))
        self._sock, theirs = socket.socketpair()
        self._sock.settimeout(SECONDS)
        self.page, descriptor = make_page()
        self.cells = memoryview(self.page)[: wire.LEFT].cast("Q")
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        descriptors = (theirs.fileno(), descriptor)
        places = ["--fd", str(descriptors[0]), "--page", str(descriptors[1])]
        self.process = subprocess.Popen(
            [sys.executable, str(BOOTSTRAP), "--parent", str(os.getpid()), *places],
            pass_fds=descriptors,
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
        )
        theirs.close()
        os.close(descriptor)
        self._data = b""
        self._seq = 0
        self.answers: dict[int, Answer] = {}
        self.batches: list[Batch] = []
        self.proofs: list[dict[str, Any]] = []
        self.withdrawn: list[int] = []
        self.told: list[tuple[int, dict[str, Any]]] = []  # for exporters: the request's number, the entry
        self.ready: dict[str, Any] = {}
        start = ScoringConfig(**settings).to_json()
        self._sock.sendall(wire.TO_WORKER.pack(wire.START, 0, 0, 0, 0, len(start)) + start)
        self.until(lambda: self.ready)

    def close(self) -> None:
        self._sock.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.cells.release()
        self._log.close()

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    # ------------------------------------------------------------ sending

    def send(self, bodies: Sequence[Any], lone: bool = False, meta: bytes = JSON_META) -> list[int]:
        """Requests with `bodies`, as JSON unless they are bytes, in one write; returns their numbers."""
        seqs = []
        pieces = []
        for body in bodies:
            self._seq += 1
            seqs.append(self._seq)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            method = wire.METHOD_CODES["POST"] | (wire.LONE if lone else 0)
            head = wire.TO_WORKER.pack(wire.SCORE, method, self._seq, 0, len(meta), len(data))
            pieces += [head, meta, data]
        self._sock.sendall(b"".join(pieces))
        return seqs

    def tell(self, kind: int, facts: Any = None) -> None:
        body = json.dumps(facts).encode() if facts is not None else b""
        self._sock.sendall(wire.TO_WORKER.pack(kind, 0, 0, 0, 0, len(body)) + body)

    def logs(self, text: str) -> None:
        """Wait until the worker's log has `text`: a line may come after the answers it is about."""
        end = time.monotonic() + SECONDS
        while text not in self.log:
            assert time.monotonic() < end, self.log
            time.sleep(0.005)

    def ask(self, bodies: Sequence[Any], **more: Any) -> list[Answer]:
        """The answers to `bodies`, sent together."""
        seqs = self.send(bodies, **more)
        self.until(lambda: all(seq in self.answers for seq in seqs))
        return [self.answers[seq] for seq in seqs]

    def teach(self, bodies: Sequence[Any], together: int = 8, most: int = 400) -> int:
        """Send `bodies` over and over until the worker has a verdict; returns how many requests that took."""
        sent = 0
        while sent < most and not any(proof["state"] in ("agreed", "refused") for proof in self.proofs):
            self.ask([bodies[(sent + at) % len(bodies)] for at in range(together)])
            sent += together
        return sent

    # ------------------------------------------------------------ receiving

    def until(self, done: Callable[[], Any]) -> None:
        end = time.monotonic() + SECONDS
        while not done():
            assert time.monotonic() < end, self.log
            data = self._sock.recv(65536)
            assert data, f"the worker has gone:\n{self.log}"
            self._data += data
            self._parse()

    def _parse(self) -> None:
        size = wire.TO_FRONT.size
        while len(self._data) >= size:
            kind, flags, _, seq, status, exec_ms, _, _, headers, length = wire.TO_FRONT.unpack_from(
                self._data
            )
            end = size + headers + length
            if len(self._data) < end:
                return
            body = self._data[size + headers : end]
            self._data = self._data[end:]
            if kind == wire.ANSWER:
                assert seq not in self.answers, "a second answer"
                self.answers[seq] = Answer(status, body, flags, exec_ms)
            elif kind == wire.BATCH:
                self.batches.append(Batch(*wire.BATCH_FACTS.unpack(body)))
            elif kind == wire.PROOF:
                self.proofs.append(json.loads(body))
            elif kind == wire.WITHDRAWN:
                self.withdrawn.append(seq)
            elif kind == wire.LOG:
                self.told.append((seq, json.loads(body)))
            elif kind == wire.READY:
                self.ready = json.loads(body)
            else:
                assert kind != wire.FAILED, json.loads(body)
