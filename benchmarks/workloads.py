"""What the servers are asked to do, and how an answer is known to be right."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
CHUNKS = 100
TOKENS, LONGEST = 16, 128  # of the encoder's texts
MODULES = {"lengths": "encoder"}


@dataclass(frozen=True)
class Workload:
    """One kind of request. `right` gets the body of an answer and says whether it is the expected one."""

    name: str  # the module in benchmarks/work, unless MODULES names another
    title: str
    body: bytes
    right: Callable[[bytes], bool]
    more: tuple[bytes, ...] = ()  # other bodies, sent in turn with the first

    def body_file(self) -> Path:
        """The request's body as a file, for load generators that read one; several bodies are lines."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json{'l' if self.more else ''}"
        path.write_bytes(b"\n".join((self.body, *self.more)))
        return path


def _tiny() -> Workload:
    return Workload(
        "tiny", "tiny JSON", b'{"data": [1, 2, 3]}', lambda answer: bool(json.loads(answer) == {"sum": 6})
    )


def _mlp() -> Workload:
    """Requests differ, as they do: a server that may remember nothing must not seem to."""
    chance = random.Random(0)
    bodies = [{"data": [[round(chance.uniform(-1, 1), 3) for _ in range(64)]]} for _ in range(128)]
    expected: list[Any] = []

    def right(answer: bytes) -> bool:
        if not expected:
            from benchmarks.work import mlp

            expected.extend(mlp.answer(bodies[0])[0])
        (got,) = json.loads(answer)
        return all(abs(a - b) < 1e-3 for a, b in zip(got, expected, strict=True))

    first, *more = (json.dumps(body).encode() for body in bodies)
    return Workload("mlp", "MLP, one row a request", first, right, tuple(more))


def _body() -> Workload:
    text = base64.b64encode(random.Random(0).randbytes(450_000)).decode()
    return Workload(
        "body",
        "600 KB body",
        json.dumps({"text": text}).encode(),
        lambda answer: bool(json.loads(answer) == {"length": len(text)}),
    )


def _stream() -> Workload:
    from benchmarks.work.stream import CHUNK

    def right(answer: bytes) -> bool:
        return answer.count(CHUNK.strip().encode()) == CHUNKS

    return Workload("stream", f"stream of {CHUNKS} chunks", json.dumps({"chunks": CHUNKS}).encode(), right)


def _embedding(answer: bytes) -> bool:
    """One vector of 384 numbers and length 1."""
    (vector,) = json.loads(answer)
    return len(vector) == 384 and abs(sum(number * number for number in vector) - 1) < 1e-3


def _text(chance: random.Random, tokens: int) -> bytes:
    return json.dumps({"data": [[chance.randrange(1000, 20_000) for _ in range(tokens)]]}).encode()


def _encoder() -> Workload:
    title = f"sentence encoder on ONNX Runtime, {TOKENS} tokens"
    return Workload("encoder", title, _text(random.Random(0), TOKENS), _embedding)


def _lengths() -> Workload:
    """Texts as they come: most are short, some are ten times as long."""
    chance = random.Random(0)
    bodies = [_text(chance, min(LONGEST, max(4, round(chance.lognormvariate(2.7, 0.8))))) for _ in range(128)]
    return Workload(
        "lengths",
        f"sentence encoder, texts of 4 to {LONGEST} tokens",
        bodies[0],
        _embedding,
        tuple(bodies[1:]),
    )


WORKLOADS = {
    workload.name: workload for workload in (_tiny(), _mlp(), _body(), _stream(), _encoder(), _lengths())
}
DEVICE = Workload(
    "device",
    "a device of its own",
    b'{"data": [[1.5]]}',
    lambda answer: bool(json.loads(answer) == [[3.0]]),
)
