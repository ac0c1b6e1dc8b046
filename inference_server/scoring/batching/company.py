"""Kinds of requests that do not go together, though each of them succeeds alone."""

from __future__ import annotations

from typing import Dict, Hashable, Set

FAILURES = 3  # merged calls of a kind, in turn, that fail where none of their requests does alone
MOST = 64  # kinds


class Company:
    """By the key of requests (Payload.key). Where answers to bad input are texts and not rows, for example, bad
    input cannot share a call, while that of another shape can."""

    def __init__(self) -> None:
        self._failures: Dict[Hashable, int] = {}
        self.bad: Set[Hashable] = set()
        self._well: Set[Hashable] = set()

    def fails(self, key: Hashable) -> bool:
        """A merged call of that kind failed. Whether no requests of this script should be merged at all: nothing
        ever went well, or a kind that did no longer does, or too many kinds do not."""
        count = self._failures.get(key, 0) + 1
        if len(self._failures) >= MOST and key not in self._failures:
            self._failures.clear()
        self._failures[key] = count
        if count >= FAILURES:
            del self._failures[key]
            self.bad.add(key)
            return not self._well or key in self._well or len(self.bad) > MOST
        return False

    def does_well(self, key: Hashable) -> None:
        """A merged call of that kind succeeded."""
        if len(self._well) < MOST:
            self._well.add(key)
        if self._failures:
            self._failures.pop(key, None)
