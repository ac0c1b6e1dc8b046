"""How many rows of a kind fit into the device's memory, learned from the calls that did not fit."""

from __future__ import annotations

import sys
from typing import Dict, Hashable, List

PATIENCE = 64  # calls of full size that must fit before more is tried
MOST = 256  # kinds

_TEXTS = (
    "out of memory",  # CUDA, torch, cupy
    "failed to allocate memory",  # ONNX Runtime's arena
    "alloc_failed",  # cuBLAS, cuDNN
    "resource_exhausted",  # TensorFlow, JAX
    "oom when allocating",
)


def too_big(error: BaseException) -> bool:
    """Whether `error` says that memory was short, so that fewer rows may do."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if not isinstance(error, Exception):
        return False
    try:
        text = str(error).lower()
    except Exception:
        return False
    return any(known in text for known in _TEXTS)


def release() -> None:
    """Give back what torch keeps of the device's memory for later."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is not None and cuda.is_initialized():
        cuda.empty_cache()


class Caps:
    """The rows of one call, by the kind of its rows (Payload.key). Kinds that always fitted cost nothing here."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._learned: Dict[Hashable, List[int]] = {}  # rows: allowed, too many, that fitted; calls since

    def __len__(self) -> int:
        return len(self._learned)

    def rows(self, key: Hashable) -> int:
        learned = self._learned.get(key)
        return learned[0] if learned is not None else self.most

    def failed(self, key: Hashable, rows: int) -> int:
        """A call of `rows` did not fit; returns how many may be tried next."""
        if key not in self._learned and len(self._learned) >= MOST:
            del self._learned[next(iter(self._learned))]
        fitted = self._learned[key][2] if key in self._learned else 0
        cap = fitted if 0 < fitted < rows else max(1, rows // 2)
        self._learned[key] = [cap, rows, fitted if fitted < rows else 0, 0]
        return cap

    def fitted(self, key: Hashable, rows: int) -> None:
        """A call of `rows` went well. After PATIENCE of full size, half way to what did not fit is tried: the cap
        closes in on the limit, and stays once it is within a sixteenth of it."""
        learned = self._learned.get(key)
        if learned is None or rows < learned[0]:
            return
        cap, bad, _, calls = learned
        step = (bad - cap) // 2
        if calls + 1 < PATIENCE or step <= bad // 16:
            learned[2:] = cap, calls + 1
        else:
            learned[:] = cap + step, bad, cap, 0
