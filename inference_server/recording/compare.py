"""Where two answers differ, as JSON paths with both values; numbers within a tolerance are the same."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

MISSING = "(nothing)"
_DEPTH = 200
_PLAIN = re.compile(r"[A-Za-z_]\w*")

Prepare = Callable[[Any], Any]  # what is done to both values before they are compared


class Tolerance(NamedTuple):
    """Two numbers are the same when they are no further apart than `absolute` + `relative` × the first."""

    relative: float = 1e-5
    absolute: float = 1e-8

    def same(self, one: float, other: float) -> bool:
        if one == other or (one != one and other != other):
            return True
        try:
            return math.isfinite(one) and abs(one - other) <= self.absolute + self.relative * abs(one)
        except OverflowError:  # a whole number that no float is near
            return False


class Difference(NamedTuple):
    """One place where two answers differ."""

    path: str  # `$.rows[0].label`; "body" where they are not both JSON
    then: Any
    now: Any


def differences(
    then: bytes, now: bytes, tolerance: Tolerance, prepare: Prepare = lambda value: value
) -> list[Difference]:
    """All places where two bodies differ, in their order; whole bodies where one is no JSON."""
    if then == now:
        return []
    try:
        values = prepare(json.loads(then)), prepare(json.loads(now))
    except (ValueError, RecursionError):
        return [Difference("body", _shown(then), _shown(now))]
    return list(_differences(*values, "$", tolerance, 0))


def _differences(then: Any, now: Any, path: str, tolerance: Tolerance, depth: int) -> Iterator[Difference]:
    if depth < _DEPTH:
        if isinstance(then, dict) and isinstance(now, dict):
            for name in dict.fromkeys([*then, *now]):
                one, other = then.get(name, MISSING), now.get(name, MISSING)
                yield from _differences(one, other, path + _step(name), tolerance, depth + 1)
            return
        if isinstance(then, list) and isinstance(now, list):
            if len(then) != len(now):
                yield Difference(path, f"{len(then)} items", f"{len(now)} items")
            for at, (one, other) in enumerate(zip(then, now, strict=False)):
                yield from _differences(one, other, f"{path}[{at}]", tolerance, depth + 1)
            return
        if isinstance(then, str) and isinstance(now, str) and then[:1] in ("{", "["):
            try:  # a result that the script has encoded itself
                inner = json.loads(then), json.loads(now)
            except (ValueError, RecursionError):
                pass
            else:
                yield from _differences(*inner, path, tolerance, depth + 1)
                return
    if not _same(then, now, tolerance):
        yield Difference(path, then, now)


def _same(then: Any, now: Any, tolerance: Tolerance) -> bool:
    if isinstance(then, bool) or isinstance(now, bool):
        return then is now
    if isinstance(then, int) and isinstance(now, int):  # counts and classes
        return then == now
    if isinstance(then, int | float) and isinstance(now, int | float):
        return tolerance.same(then, now)
    return type(then) is type(now) and then == now


def _step(name: str) -> str:
    return f".{name}" if _PLAIN.fullmatch(name) else f"[{json.dumps(name, ensure_ascii=False)}]"


def _shown(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return f"({len(body):,} bytes)"
