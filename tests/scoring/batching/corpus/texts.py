"""A list of sentences, a label for each."""

from __future__ import annotations

import json
import random
from typing import Any

SAFE = True

GOOD = {"good", "great", "fine"}
WORDS = ["good", "bad", "great", "fine", "so-so", 'say "hi"', "café", "\u2603", "back\\slash"]


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    made = []
    for text in json.loads(raw_data)["inputs"]:
        words = text.split()
        score = sum(word in GOOD for word in words) / len(words)
        made.append(
            {"label": "POSITIVE" if score > 0.3 else "NEGATIVE", "score": score, "text": text.upper()}
        )
    return made


def bodies(rng: random.Random) -> list[bytes]:
    def text() -> str:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 9)))

    return [
        json.dumps(
            {"inputs": [text() for _ in range(rng.randint(1, 3))]}, ensure_ascii=rng.random() < 0.5
        ).encode()
        for _ in range(40)
    ]
