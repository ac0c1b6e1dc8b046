"""A large body, as an image in base64 would be: 600 KB of JSON in, a short answer out. The work is to read it."""

from __future__ import annotations

from typing import Any


def answer(payload: dict[str, Any]) -> dict[str, Any]:
    return {"length": len(payload["text"])}


def answer_batch(payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [answer(payload) for payload in payloads]
