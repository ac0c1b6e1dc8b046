"""Every reference of an environment, read at the same time and each only once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple, Protocol

from inference_server.errors import SecretsError
from inference_server.secrets.reference import Piece, Reference, Unresolved, has_reference, pieces

THREADS = 8
VALUE_BYTES = 128 * 1024 - 1  # Linux takes no longer `NAME=value` into an environment


class Found(NamedTuple):
    """What a reference stands for."""

    text: str
    hidden: tuple[str, ...]  # what of it must not show in logs


class Source(Protocol):
    """Reads the references of one kind; from several threads."""

    def read(self, place: str) -> Found:
        """Raises Unresolved."""


@dataclass(frozen=True)
class Resolved:
    """The variables that held references, with their values. Its repr() tells no value."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)


def referring(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that hold references."""
    return {name: text for name, text in environment.items() if has_reference(text)}


def resolve(environment: Mapping[str, str], sources: Mapping[str, Source], timeout: float) -> Resolved:
    """Read all that the variables refer to, within `timeout` seconds (0: no limit).

    Raises SecretsError with a sentence for every variable that has no value.
    """
    problems: list[str] = []
    texts: dict[str, list[Piece]] = {}
    for name, text in referring(environment).items():
        try:
            texts[name] = pieces(text)
        except Unresolved as error:
            problems.append(f"{name}: {error}")
    wanted = {piece for parts in texts.values() for piece in parts if isinstance(piece, Reference)}
    answers = _Reading(wanted, sources).answers(timeout)
    late = Unresolved(f"no answer within {timeout:g} s")
    values: dict[str, str] = {}
    hidden: list[str] = []
    for name, parts in texts.items():
        try:
            values[name] = _joined(parts, answers, late, hidden)
        except Unresolved as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise SecretsError(problems)
    return Resolved(values, tuple(dict.fromkeys(hidden)))


def _joined(
    parts: list[Piece], answers: Mapping[Reference, Found | Unresolved], late: Unresolved, hidden: list[str]
) -> str:
    """The value of a variable; what is to be hidden of it is added to `hidden`. Raises Unresolved."""
    text = ""
    for piece in parts:
        if isinstance(piece, str):
            text += piece
            continue
        answer = answers.get(piece, late)
        if isinstance(answer, Unresolved):
            raise Unresolved(f"{piece}: {answer}")
        text += answer.text
        hidden += answer.hidden
    size = len(text.encode("utf-8", "surrogateescape"))
    if "\0" in text:
        raise Unresolved("the value holds a NUL byte, which no variable can: refer to text")
    if size > VALUE_BYTES:
        raise Unresolved(
            f"the value has {size} bytes, and a variable holds {VALUE_BYTES}: have the script read it itself"
        )
    return text


class _Reading:
    """Threads that take one reference after the other. They are left behind when they are late."""

    def __init__(self, wanted: set[Reference], sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._count = len(wanted)
        self._todo: queue.SimpleQueue[Reference] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Reference, Found | Unresolved]] = queue.SimpleQueue()
        for reference in wanted:
            self._todo.put(reference)

    def answers(self, timeout: float) -> dict[Reference, Found | Unresolved]:
        """What there is of each after `timeout` seconds (0: no limit)."""
        for _ in range(min(THREADS, self._count)):
            threading.Thread(target=self._work, name="secrets", daemon=True).start()
        until = monotonic() + timeout
        found: dict[Reference, Found | Unresolved] = {}
        while len(found) < self._count:
            try:
                reference, answer = self._done.get(timeout=max(0.0, until - monotonic()) if timeout else None)
            except queue.Empty:
                break
            found[reference] = answer
        return found

    def _work(self) -> None:
        while True:
            try:
                reference = self._todo.get_nowait()
            except queue.Empty:
                return
            self._done.put((reference, self._read(reference)))

    def _read(self, reference: Reference) -> Found | Unresolved:
        try:
            return self._sources[reference.kind].read(reference.place)
        except Unresolved as error:
            return error
        except Exception as error:  # of a library; its text may hold what was read
            return Unresolved(f"reading it failed with {type(error).__name__}")
