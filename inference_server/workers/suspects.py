"""Bodies that took a worker with them when they were run alone: for a while they are not run with others."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from inference_server.messages import ScoringRequest

MOST = 64  # bodies that are remembered
SECONDS = 60.0  # for so long after the last time


class Suspects:
    """Small, and empty as good as always: whoever asks looks at its length first. Time is handed in."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, request: ScoringRequest, now: float) -> None:
        """The request crashed its worker."""
        print_ = _fingerprint(request)
        self._until[print_] = now + SECONDS
        self._until.move_to_end(print_)
        if len(self._until) > MOST:
            self._until.popitem(last=False)

    def holds(self, request: ScoringRequest, now: float) -> bool:
        """Whether a request with this body has done so lately."""
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        return _fingerprint(request) in self._until if self._until else False


def _fingerprint(request: ScoringRequest) -> bytes:
    digest = blake2b(digest_size=16)
    for piece in request.body:
        digest.update(piece)
    return digest.digest()
