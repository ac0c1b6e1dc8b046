"""Holds the interpreter lock inside one C call, as a badly written extension does: no other thread can run."""

from __future__ import annotations

import ctypes
from typing import Any


def answer(payload: dict[str, Any]) -> dict[str, Any]:
    ctypes.PyDLL(None).sleep(int(payload["seconds"]))  # PyDLL keeps the lock; CDLL would let it go
    return {"held": payload["seconds"]}
